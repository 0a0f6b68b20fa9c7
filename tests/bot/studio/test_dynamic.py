"""Dynamic prompts from the command to the picture, and back through every button."""

import asyncio

import pytest

from bot.domain.ids import UserId
from gpu_worker.language.infotext import parse_infotext
from tests.stage.refusing import refused
from tests.stage.visitor import finished

pytestmark = pytest.mark.slow

TEMPLATE = "a {red|green|blue|pink|grey|white|black} {cat|dog|owl|fox}, [ink:oil:0.5], (soft:1.2)"


def ask(member, **options):
    return member.slash("general", "imagine", options)


def texts(spec):
    return [own.prompt for own in spec.texts]


async def test_every_picture_has_a_text_of_its_own_and_says_so(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt=TEMPLATE, seed=5, count=4)
    (spec,) = stage.painter.specs
    assert len(set(texts(spec))) > 1
    assert all(text.endswith(", [ink:oil:0.5], (soft:1.2)") for text in texts(spec))
    assert spec.prompt == texts(spec)[0]
    for image, text in zip(member.images(card), texts(spec), strict=True):
        info = parse_infotext(image["infotext"])
        assert (info.prompt, info.fields["Template"]) == (text, TEMPLATE)
    again = await member.imagine(prompt=TEMPLATE, seed=5, count=4)
    assert member.spec(again)["texts"] == member.spec(card)["texts"]


async def test_reroll_draws_anew_and_edit_shows_the_template(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt=TEMPLATE, seed=5, count=4)
    again = await member.drawn(await member.press(card, "reroll"))
    first, second = (member.spec(one) for one in (card, again))
    assert second["texts"] != first["texts"]
    assert second["template"] == first["template"]
    assert (await member.drawn(await member.press(again, "reroll"))).media
    form = await member.press(card, "edit")
    edited = await member.drawn(await member.fill(form, {"prompt": "{a bee}"}))
    assert member.spec(edited)["texts"][0]["prompt"] == "a bee"


async def test_what_is_made_of_a_picture_has_its_text(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt=TEMPLATE, seed=5, count=4)
    images = [row["id"] for row in member.images(card)]
    chosen = member.spec(card)["texts"][2]["prompt"]
    for verb, n in (("vary", 1), ("upscale", None)):
        address = f"v1:{verb}:{images[2]}" + ("" if n is None else f":{n}")
        made = member.spec(await member.drawn(await member.click(card, address)))
        assert (made["prompt"], made["texts"]) == (chosen, [])


async def test_loras_are_drawn_and_looked_up(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a cat {<lora:inkwash:1>|<lora:ink:0.5>} <lora:{ink|inkwash}:{0.4|0.6}>", count=2)
    assert all("{" not in text for text in texts(stage.painter.specs[-1]))
    refused = await ask(member, prompt="a {cat <lora:nothing:1>}")
    assert "nothing" in await member.told(refused)


@pytest.mark.parametrize(("prompt", "said"), [("{a|b", None), ("{a} {b", "cannot be read"), ("{a} ${x}", "variable")])
async def test_what_cannot_be_read_is_told_and_a_lone_brace_is_a_text(stage, prompt, said):
    member = await stage.visitor()
    answer = await ask(member, prompt=prompt, count=1)
    if said:
        assert said in await member.told(answer)
    else:
        assert member.spec(await member.drawn(answer))["prompt"] == prompt


async def test_the_rules_judge_what_is_drawn(stage):
    member = await stage.visitor()
    answer = await ask(member, prompt="{a __bad__}", count=1)
    assert (await member.drawn(answer)).media
    (stage.settings.data / "wildcards").mkdir(exist_ok=True)
    (stage.settings.data / "wildcards" / "bad.txt").write_text("a nude child\n")
    refused = await ask(member, prompt="{a __bad__}", count=1)
    await member.told(refused)
    assert len(stage.painter.specs) == 1


async def test_an_unknown_wildcard_stays_and_is_told(stage):
    member = await stage.visitor()
    answer = await ask(member, prompt="a cat in __seasom__", count=1)
    card = await member.drawn(answer)
    assert member.spec(card)["prompt"] == "a cat in __seasom__"
    note = await member.wait_for_message("general", lambda m: "season" in m.content and "seasom" in m.content)
    assert "season" in note.content


async def test_combinations_show_their_cost_and_are_drawn_once(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a cat", count=1)  # from now on times are known
    stage.painter.assigned.clear()
    offer = await member.shown(await ask(member, prompt="a {cat|dog|owl} at {dawn|dusk} --combinatorial", seed=7))
    assert "6" in offer.text
    assert not stage.painter.assigned
    await member.drawn(await member.press(offer, "combine", 1))
    card = await member.wait_for_message("general", lambda m: finished(m) and len(m.media) == 2)
    await refused(member, await member.press(offer, "combine", 1), "combinations_drawn")
    drawn = [text for spec in stage.painter.specs for text in texts(spec)]
    assert drawn == [f"a {who} at {when}" for who in ("cat", "dog", "owl") for when in ("dawn", "dusk")]
    assert [spec.seed for spec in stage.painter.specs] == [7, 11]
    assert [spec.count for spec in stage.painter.specs] == [4, 2]
    wishes = stage.studio.combinations._wishes
    (draft,) = stage.rows("SELECT draft_id FROM combination_wishes")
    await wishes.give_back(draft["draft_id"])
    assert sorted(await asyncio.gather(*(wishes.take(draft["draft_id"]) for _ in range(3))), key=str) == [6, None, None]
    again = await member.drawn(await member.press(card, "reroll"))
    assert [own["prompt"] for own in member.spec(again)["texts"]] == drawn[4:]


async def test_combinations_some_at_random(stage):
    member = await stage.visitor()
    offer = await member.shown(await ask(member, prompt="a {cat|dog|owl} --combinatorial", count=2))
    assert offer.ephemeral
    card = await member.drawn(await member.press(offer, "combine", 2))
    assert len(member.spec(card)["texts"]) == 2


@pytest.mark.parametrize(
    ("prompt", "key", "said"),
    [
        ("{" + "|".join("abcdefgh") + "} {1|2|3|4|5|6} --combinatorial", "combinations_many", "40"),
        ("{a|b} __nothing__ --combinatorial", "wildcard_unknown", "nothing"),
    ],
)
async def test_combinations_that_cannot_be_drawn_are_told(stage, prompt, key, said):
    member = await stage.visitor()
    assert said in await refused(member, await ask(member, prompt=prompt), key)
    assert not stage.painter.assigned


async def test_combinations_need_room_and_what_changed_is_told(stage):
    stage.painter.hold()
    folder = stage.settings.data / "wildcards"
    folder.mkdir(exist_ok=True)
    (folder / "kinds.txt").write_text("\n".join(f"kind {n}" for n in range(36)))
    member = await stage.visitor()
    offer = await member.shown(await ask(member, prompt="a __kinds__ --combinatorial"))
    for _ in range(2):
        await member.begin(prompt="a cat")
    assert "9" in await refused(member, await member.press(offer, "combine", 1), "combinations_room")
    (folder / "kinds.txt").write_text("one\ntwo\n")
    assert "36" in await refused(member, await member.press(offer, "combine", 1), "combinations_changed")
    stage.painter.release()
    await stage.told()


async def test_private_combinations_stay_with_their_user(stage):
    member, other = await stage.visitor(), await stage.visitor("Ann")
    offer = await member.shown(await ask(member, prompt="a {cat|dog|owl|fox|bee} --combinatorial --private"))
    await member.drawn(await member.press(offer, "combine", 1))
    await stage.told()
    assert [row["private"] for row in stage.rows("SELECT private FROM jobs")] == [1, 1]
    assert not [seen for seen in await other.messages("general") if seen.media]


async def test_where_it_takes_long_the_command_is_acknowledged_first(stage, monkeypatch):
    monkeypatch.setattr("bot.studio.dynamic.SOON_S", 0)
    member, other = await stage.visitor(), await stage.visitor("Ann")
    answer = await ask(member, prompt="a {cat|dog}", count=1)
    assert answer.kind == "deferred"
    card = await member.drawn(answer)
    assert (await member.drawn(await member.press(card, "reroll"))).media
    await ask(member, prompt="a {cat} {b", count=1)
    told = await member.wait_for_message("general", lambda m: "cannot be read" in m.text)
    assert told.ephemeral
    await ask(member, prompt="a {cat|dog} {b --combinatorial")
    seen = await other.messages("general")
    assert not [message for message in seen if message.loading or "⚠" in message.text or "cannot" in message.text]


async def test_the_history_knows_each_pictures_own_text(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a {red|green|blue|pink|grey} {cat|dog|owl|fox}", count=4, seed=3)
    user_id = UserId(int(member.user_id))
    own = [text["prompt"] for text in member.spec(card)["texts"]]
    assert [prompt for _, prompt in await stage.studio.images.recent_of(user_id, "", 9)] == own
    (found,) = {prompt for _, prompt in await stage.studio.images.recent_of(user_id, own[-1], 9)}
    assert found == own[-1]
    assert stage.rows("SELECT prompt FROM history_prompts")[0]["prompt"].split("\n") == own


async def test_the_prompt_of_a_second_pass_is_drawn_once_for_all(stage):
    member = await stage.visitor()
    flags = '--hires 2 --hires-prompt "a {red|blue} # face" --seed 3'
    await member.imagine(prompt=f"a cat # no comment {flags}", count=2)
    await member.imagine(prompt=f"a {{cat|dog}} {flags}", count=2)
    plain, dynamic = stage.painter.specs
    assert (plain.prompt, plain.texts) == ("a cat # no comment", ())
    assert {spec.hires.prompt.strip() for spec in (plain, dynamic)} <= {"a red", "a blue"}
    assert len(dynamic.texts) == 2
    offer = await member.shown(await ask(member, prompt=f"a {{cat|dog}} --combinatorial {flags}"))
    await member.drawn(await member.press(offer, "combine", 1))
    assert "{" not in stage.painter.specs[-1].hires.prompt
