"""The forms behind "advanced": within Discord's limits, filled from the draft, and read back."""

from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest

from bot.domain import actions
from bot.domain.ids import JobId, UserId
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.lora_tags import with_weights
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, texts_for
from bot.storage.drafts import Draft
from bot.studio.advanced import GROUPS, Sent, advanced_form, groups_for, hidden_tails, read_advanced
from bot.studio.panel_card import panel
from bot.studio.sources import picture_of
from bot.ui.codec import Verb, parse
from bot.ui.forms import fields_of
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Extend, FaceRestore, Hires, ImageRef, Img2Img, Mask, Txt2Img, Variation

FACTS = (
    ModelFact(kind="checkpoint", name="m", family="sd1", native_px=512),
    ModelFact(kind="vae", name="soft"),
    ModelFact(kind="upscaler", name="4x"),
)
IMAGE = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=9)
RICH = Txt2Img(
    prompt="a cat", checkpoint="m", vae="soft", width=512, height=768, seed=7, sampler="Euler a", schedule="Karras",
    cfg_scale=5.5, variations=(Variation(seed=3, strength=0.25),), noise_source="CPU", tiling=True, eta=0.5,
    hires=Hires(scale=1.5, upscaler="4x", steps=9, denoising_strength=0.4, prompt="a dog"), seed_resize=(256, 384),
)  # fmt: skip
GIVEN = Img2Img(
    prompt="a cat", checkpoint="m", width=640, height=512, seed=7, image=IMAGE, denoising_strength=0.6,
    mask=Mask(image=IMAGE, blur=8, content="fill"), extend=Extend(left=128),
)  # fmt: skip
SPECS = {"rich": RICH, "plain": Txt2Img(prompt="a", checkpoint="m", width=64, height=64, seed=1), "given": GIVEN}


def draft_of(spec):
    return Draft(JobId("a" * 16), UserId(1), Action.IMAGINE, spec)


def sent(form, **changes):
    """What Discord sends of a form that was filled as it came, but for `changes`."""
    components = form.to_dict()["components"]
    for label in components:
        field = label["component"]
        chosen = [option["value"] for option in field.pop("options", []) if option.get("default")]
        match field["type"]:
            case 3:
                field["values"] = chosen
            case 21:
                field["value"] = chosen[0]
            case 23:
                field["value"] = field.pop("default")
            case 19:
                field["values"] = []
        if field["custom_id"] in changes:
            change = changes.pop(field["custom_id"])
            field.update({"values": [change]} if field["type"] == 3 else {"value": change})
    assert not changes
    return fields_of(SimpleNamespace(data={"components": components}))


def edited(spec, number, facts=FACTS, **changes):
    draft = draft_of(spec)
    form = advanced_form(draft, number, texts_for("en"), facts)
    read = read_advanced(draft, number, sent(form, **changes))
    prompt = spec.prompt if read.prompt is None else read.prompt
    return actions.edit(
        spec, prompt=with_weights(prompt, read.weights or {}), negative_prompt=read.negative_prompt or "",
        changes=read.wishes, dropped=read.dropped, picture=picture_of(spec), facts=facts, limits=Limits(),
        rng=Random(1),
    ).spec  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SPECS)
def test_every_form_fits_discord(name, language):
    for number in groups_for(SPECS[name]):
        data = advanced_form(draft_of(SPECS[name]), number, texts_for(language), FACTS).to_dict()
        address = parse(data["custom_id"])
        assert (address.verb, address.n) == (Verb.ADVANCED_FORM, number)
        assert 1 <= len(data["title"]) <= 45
        assert 1 <= len(data["components"]) <= 5
        for label in data["components"]:
            assert 1 <= len(label["label"]) <= 45
            assert len(label.get("description") or "") <= 100
            options = label["component"].get("options", [])
            assert len(options) <= (10 if label["component"]["type"] == 21 else 25)
            assert sum(bool(option.get("default")) for option in options) == bool(options)
            assert len({option["value"] for option in options}) == len(options)


@pytest.mark.parametrize("name", SPECS)
def test_a_form_that_is_sent_as_it_came_changes_nothing(name):
    for number in groups_for(SPECS[name]):
        assert edited(SPECS[name], number) == SPECS[name], GROUPS[number].key


def test_what_is_changed_changes():
    spec = edited(RICH, 0, hires="2", hires_steps="", denoising_strength="0,3", hires_prompt="")
    assert (spec.hires.scale, spec.hires.steps, spec.hires.denoising_strength, spec.hires.prompt) == (2, 0, 0.3, None)
    assert edited(RICH, 0, hires="").hires is None
    assert edited(RICH, 0, hires="800x0").hires.resize_width == 800
    plain = edited(SPECS["plain"], 0, hires_upscaler="Latent")
    assert (plain.hires.upscaler, plain.hires.scale) == ("Latent", 2)
    spec = edited(RICH, 1, seed="", variation="", noise_source="-")
    assert (spec.seed, spec.variations, spec.noise_source) == (Random(1).randrange(4294967294), (), "GPU")
    assert edited(RICH, 2, schedule="Exponential", eta="", clip_skip="2").schedule == "Exponential"
    spec = edited(RICH, 3, vae="-", tiling=False)
    assert (spec.vae, spec.tiling) == ("Automatic", False)
    spec = edited(GIVEN, 4, extend="", mask_content="original", mask_blur="0")
    assert (spec.extend, spec.width, spec.mask.content, spec.mask.blur) == (None, 512, "original", 0)


FACED = (
    *FACTS, ModelFact(kind="face", name="detection_Resnet50_Final"), ModelFact(kind="face", name="GFPGANv1.4"),
)  # fmt: skip


def test_faces_keep_their_visibility_unless_they_are_taken_away():
    spec = RICH.model_copy(update={"face_restore": FaceRestore(model="GFPGAN", visibility=0.8, weight=0.3)})
    assert edited(spec, 3, facts=FACED) == spec
    assert edited(spec, 3, facts=FACED, face_restore="-").face_restore is None


def test_only_what_is_installed_is_offered_for_faces():
    def offered(facts):
        (field,) = [
            label["component"]
            for label in advanced_form(draft_of(RICH), 3, texts_for("en"), facts).to_dict()["components"]
            if label["component"]["custom_id"] == "face_restore"
        ]
        return [option["value"] for option in field["options"]]

    assert offered(FACED) == ["-", "GFPGAN"]
    assert offered(FACTS) == ["-"]


def test_a_long_prompt_of_the_second_pass_keeps_its_hidden_end():
    prompt = "word " * 1000 + "end"
    spec = RICH.model_copy(update={"hires": RICH.hires.model_copy(update={"prompt": prompt})})
    assert hidden_tails(draft_of(spec), 0)
    assert edited(spec, 0).hires.prompt == prompt
    assert edited(spec, 0, hires_prompt="other").hires.prompt == f"other{prompt[4000:]}"
    assert edited(spec, 0, hires_prompt="").hires.prompt is None
    assert not hidden_tails(draft_of(RICH), 0)


def test_a_picture_without_a_mask_has_no_fields_of_one():
    form = advanced_form(draft_of(GIVEN.model_copy(update={"mask": None})), 4, texts_for("en"), FACTS).to_dict()
    names = [label["component"]["custom_id"] for label in form["components"]]
    assert names == ["denoising_strength", "resize_mode", "extend"]


def test_a_group_that_is_not_there_is_refused():
    with pytest.raises(UserFacingError, match="form_unknown"):
        advanced_form(draft_of(RICH), len(GROUPS), texts_for("en"), FACTS)
    with pytest.raises(UserFacingError, match="form_unknown"):
        read_advanced(draft_of(RICH), -1, {})


def test_many_models_are_typed_instead_of_listed():
    many = (*FACTS, *(ModelFact(kind="checkpoint", name=f"m{n}") for n in range(40)))
    fields = advanced_form(draft_of(RICH), 3, texts_for("en"), many).to_dict()["components"]
    assert fields[0]["component"]["type"] == 4
    assert fields[0]["component"]["value"] == "m"


async def test_the_panel_fits_and_is_not_kept_in_memory():
    for spec in SPECS.values():
        long = spec.model_copy(update={"prompt": "@everyone " * 900})
        view = panel(replace(draft_of(long), base=spec, parent_id=JobId("p")), texts_for("es"), ["a note"])
        assert view.is_finished()
        assert view.content_length() <= 4000
        assert panel(draft_of(spec), texts_for("es"), ["x" * 900] * 9).content_length() <= 4000
        assert view.total_children_count <= 40


def test_an_empty_form_wishes_nothing():
    assert read_advanced(draft_of(RICH), 2, {}) == Sent(Parameters())


def test_numbers_and_texts_change():
    spec = edited(RICH, 6, size="16:9", steps="30", count="2")
    assert (spec.width, spec.height, spec.steps, spec.count) == (704, 384, 30, 2)
    assert edited(RICH, 6, size="640X512").width == 640
    with pytest.raises(UserFacingError, match="parameter_value"):
        edited(RICH, 6, size="large")
    spec = edited(RICH, 5, prompt="a dog", negative_prompt="fog")
    assert (spec.prompt, spec.negative_prompt) == ("a dog", "fog")


LORAS = (*FACTS, *(ModelFact(kind="lora", name=f"l{n}") for n in range(7)))


def test_every_lora_has_a_field_for_its_weight():
    tags = " ".join(f"<lora:l{n}:0.{n + 1}>" for n in range(7))
    spec = RICH.model_copy(update={"prompt": f"a cat {tags}"})
    form = advanced_form(draft_of(spec), 7, texts_for("en"), LORAS).to_dict()
    assert [label["label"] for label in form["components"]] == ["l0", "l1", "l2", "l3", "l4"]
    changed = edited(spec, 7, facts=LORAS, lora0="1.5", lora1="")
    assert changed.prompt.startswith("a cat <lora:l0:1.5> <lora:l2:0.3>")
    with pytest.raises(UserFacingError, match="tweak_no_loras"):
        advanced_form(draft_of(RICH), 7, texts_for("en"), LORAS)
