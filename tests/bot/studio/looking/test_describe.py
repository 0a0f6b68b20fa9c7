"""/describe: to a tagger and back, and what can be made of what it saw."""

import json

import pytest

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.results import TEXT_MIME, Description, Tag
from tests.stage.painter import FACTS, Drawn
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.visitor import verbs

SEEN = Description(
    general=(Tag(name="cat_ears", score=0.9), Tag(name="smile_(expression)", score=0.8), Tag(name="^_^", score=0.7)),
    character=(Tag(name="pincel_(bird)", score=0.95),),
    width=1000,
    height=500,
)


@pytest.fixture
async def looked(stage):
    """A stage whose worker describes; `looked.found` is what it says."""
    stage.found = SEEN
    stage.painter.tasks = (*stage.painter.tasks, "describe")
    stage.painter.answers["describe"] = lambda spec: [
        Drawn(stage.found.model_dump_json().encode(), 0, 0, 0, "", TEXT_MIME)
    ]
    await stage.painter.announce()
    return stage


async def described(member, data=None, **options):
    files = {"image": ("a.png", data or picture())}
    answer = await member.slash("general", "describe", options, attachments=files)
    return await member.shown(answer, lambda card: "cancel" not in verbs(card) and not card.loading)


async def test_tags_as_a_prompt(looked):
    member = await looked.visitor()
    card = await described(member, general=0.2)
    assert not card.ephemeral
    assert r"pincel \(bird\), cat ears, smile \(expression\), ^_^" in card.text
    assert "**Characters:** pincel" in card.text
    (spec,) = looked.painter.specs
    assert (spec.tagger, spec.general, spec.character) == ("tagger-v3", 0.2, 0.85)
    assert looked.painter.input(spec.image) == picture()


async def test_draw_this_by_whoever_presses(looked):
    member, ann = await looked.visitor(), await looked.visitor("Ann")
    card = await described(member)
    drawn = await ann.drawn(await ann.press(card, "drawtags"))
    spec = ann.spec(drawn)
    assert spec["prompt"] == r"pincel \(bird\), cat ears, smile \(expression\), ^_^"
    assert spec["width"] > spec["height"]
    assert str(ann.job(drawn)["user_id"]) == ann.user_id


async def test_edit_first(looked):
    member = await looked.visitor()
    form = await member.press(await described(member), "edittags")
    drawn = await member.drawn(await member.fill(form, {"prompt": "cat ears, hat", "negative": "fog"}))
    assert (member.spec(drawn)["prompt"], member.spec(drawn)["negative_prompt"]) == ("cat ears, hat", "fog")


async def test_a_picture_that_says_itself_how_it_was_made(looked):
    looked.found = SEEN.model_copy(update={"infotext": INFOTEXT})
    member = await looked.visitor()
    card = await described(member)
    panel = await member.shown(await member.press(card, "useseen"))
    drawn = await member.drawn(await member.press(panel, "draw"))
    assert member.spec(drawn)["seed"] == 99


async def test_what_the_rules_refuse_is_not_told(looked):
    looked.found = Description(general=(Tag(name="nude", score=0.9), Tag(name="beach", score=0.8)))
    card = await described(await looked.visitor())
    assert "nude" not in card.text
    assert "beach" in card.text
    looked.found = Description(general=(Tag(name="nude", score=0.9),))
    card = await described(await looked.visitor())
    assert "keep it to myself" in card.text
    assert "drawtags" not in verbs(card)
    looked.found = Description(general=(Tag(name="child", score=0.9), Tag(name="bikini", score=0.8)))
    card = await described(await looked.visitor())
    assert "bikini" not in card.text
    assert "drawtags" not in verbs(card)


async def test_nothing_seen(looked):
    looked.found = Description()
    card = await described(await looked.visitor())
    assert "recognise nothing" in card.text


async def test_a_picture_of_ours_from_its_menu(looked):
    member = await looked.visitor()
    card = await member.imagine(count=1)
    answer = await member.context_menu(card, "Describe")
    shown = await member.shown(answer, lambda one: "drawtags" in verbs(one))
    assert shown.text.count("cat ears") == 1
    image = member.images(card)[0]
    assert member.job(shown)["source_image_id"] == image["id"]
    assert looked.painter.specs[-1].image.sha256 == image["sha256"]


async def test_of_several_pictures_one_is_chosen(looked):
    member = await looked.visitor()
    card = await member.imagine(count=2)
    shown = await member.shown(await member.context_menu(card, "Describe"))
    assert shown.ephemeral
    answer = await member.press(shown, "finddescribe", 0)
    await member.shown(answer, lambda one: "drawtags" in verbs(one))


async def test_anybodys_message(looked):
    ann, member = await looked.visitor("Ann"), await looked.visitor()
    message = await ann.message("general", await ann.say("general", "", {"files[0]": ("x.webp", picture())}))
    card = await member.shown(await member.context_menu(message, "Describe"), lambda one: "drawtags" in verbs(one))
    assert str(member.job(card)["user_id"]) == member.user_id


async def test_without_a_tagger(stage):
    stage.painter.facts = tuple(fact for fact in FACTS if fact.kind != "tagger")
    await stage.painter.announce()
    member = await stage.visitor()
    answer = await member.slash("general", "describe", {}, attachments={"image": ("a.png", picture())})
    assert "models install wd-tagger" in await member.told(answer)
    answer = await member.slash("general", "describe", {}, attachments={"image": ("a.png", picture(INFOTEXT))})
    told = await member.told(answer)
    assert "models install wd-tagger" in told
    assert "a lighthouse at night" in told


async def test_a_tagger_that_is_not_there_or_unusable(stage):
    stage.painter.facts = (*FACTS, m.ModelFact(kind="tagger", name="broken", problem="corrupt"))
    await stage.painter.announce()
    member = await stage.visitor()
    files = {"image": ("a.png", picture())}
    for name, sentence in (("tagger-v4", "Did you mean: tagger-v3"), ("broken", "cannot be used")):
        assert sentence in await member.told(
            await member.slash("general", "describe", {"tagger": name}, attachments=files)
        )
    found = await member.autocomplete("general", "describe", "tagger", {"tagger": ""})
    assert [choice["value"] for choice in found] == ["tagger-v3"]


@pytest.mark.parametrize(
    ("data", "sentence"), [(b"no picture", "cannot read"), (picture(size=(5000, 4000)), "megapixels")]
)
async def test_what_cannot_be_looked_at(looked, data, sentence):
    member = await looked.visitor()
    await member.slash("general", "describe", {}, attachments={"image": ("a.png", data)})
    await member.wait_for_message("general", lambda one: one.ephemeral and sentence in one.text)
    assert looked.painter.assigned == []


async def test_a_worker_that_fails(looked):
    looked.painter.fail("bad_model", tagger="tagger-v3", problem="no_tags")
    member = await looked.visitor()
    answer = await member.slash("general", "describe", {}, attachments={"image": ("a.png", picture())})
    card = await member.shown(answer, lambda one: "retry" in verbs(one))
    assert "selected_tags.csv" in card.text
    again = await member.shown(await member.press(card, "retry"), lambda one: "drawtags" in verbs(one))
    assert "cat ears" in again.text


async def test_an_answer_that_is_none_is_asked_again_and_then_given_up(looked):
    looked.painter.answers["describe"] = lambda spec: [Drawn(b"{", 0, 0, 0, "", TEXT_MIME)]
    member = await looked.visitor()
    answer = await member.slash("general", "describe", {}, attachments={"image": ("a.png", picture())})
    await member.shown(answer, lambda one: "retry" in verbs(one))
    assert len(looked.painter.assigned) == 3


async def test_it_waits_is_cancelled_and_survives_a_restart(looked):
    looked.painter.hold()
    member = await looked.visitor()
    answer = await member.slash("general", "describe", {}, attachments={"image": ("a.png", picture())})
    await looked.painter.asked(1)
    await looked.restart(kill=True)
    looked.painter.release()
    await member.shown(answer, lambda one: "drawtags" in verbs(one))
    looked.painter.hold()
    answer = await member.slash("general", "describe", {}, attachments={"image": ("a.png", picture())})
    await looked.painter.asked(3)
    card = await member.shown(answer, lambda one: "cancel" in verbs(one))
    await member.press(card, "cancel")
    looked.painter.release()
    card = await member.shown(answer, lambda one: "retry" in verbs(one))
    assert "Nothing was made of the picture" in card.text


async def test_deleting_takes_the_given_picture_along(looked):
    member = await looked.visitor()
    card = await described(member)
    (kept,) = [path for path in looked.settings.inputs_dir.rglob("*") if path.is_file()]
    await member.press(card, "delete")
    await member.gone(card)
    assert not kept.exists()
    assert json.loads(looked.rows("SELECT spec FROM jobs")[0]["spec"])["kind"] == "describe"
