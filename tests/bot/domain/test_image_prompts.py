"""Which adapter reads pictures, and how much each of them counts."""

import pytest

from bot.domain.image_prompts import choose_adapter, read_shares, read_strength, with_image_prompts
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ImageRef, Txt2Img

SD, XL = (ModelFact(kind="checkpoint", name=name, family=name) for name in ("sd1", "sdxl"))
EYES = ModelFact(kind="annotator", name="clip", variant="clip_vision")


def adapter(name, family="sd1", problem=None):
    return ModelFact(kind="controlnet", name=name, family=family, variant="ip_adapter", problem=problem)


def test_the_first_that_fits_is_taken_or_the_named_one():
    facts = (SD, XL, adapter("big", "sdxl"), adapter("one"), adapter("two"), adapter("any", None), EYES)
    assert choose_adapter(None, "sd1", facts) == "one"
    assert choose_adapter(" TWO", "sd1", facts) == "two"
    assert choose_adapter("any", "sdxl", facts) == "any"
    assert choose_adapter(None, "sdxl", facts) == "big"


@pytest.mark.parametrize(
    ("facts", "wanted", "key"),
    [
        ((SD,), None, "image_prompt_none"),
        ((SD, EYES), None, "image_prompt_none"),
        ((SD, EYES), "one", "image_prompt_none"),
        ((SD, adapter("one")), None, "image_prompt_eyes"),
        ((SD, adapter("one"), ModelFact(kind="annotator", name="hed")), None, "image_prompt_eyes"),
        ((SD, adapter("big", "sdxl"), EYES), None, "image_prompt_base"),
        ((SD, adapter("big", "sdxl"), EYES), "big", "image_prompt_base"),
        ((SD, adapter("one", problem="corrupt"), EYES), None, "image_prompt_none"),
        ((SD, adapter("one"), EYES), "on", "image_prompt_unknown"),
        ((SD, adapter("one", problem="disabled"), adapter("two"), EYES), "one", "model_disabled"),
        ((SD, ModelFact(kind="controlnet", name="canny", family="sd1"), EYES), None, "image_prompt_none"),
    ],
)
def test_what_cannot_read_pictures_says_what_to_do(facts, wanted, key):
    with pytest.raises(UserFacingError) as caught:
        choose_adapter(wanted, "sd1", facts)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("typed", "prompt", "strength"),
    [
        ("a cat", "a cat", None),
        ("a cat --iw 0.5", "a cat", 0.5),
        ("a —iw=1,5 cat", "a cat", 1.5),
        ("--image-weight 2 a cat --iw 0", "a cat", 0.0),
        ("a x--iw 3", "a x--iw 3", None),
    ],
)
def test_the_strength_stands_in_the_prompt(typed, prompt, strength):
    assert read_strength(typed) == (prompt, strength)


@pytest.mark.parametrize("typed", ["--iw 2.1", "--iw 1.2.3", "--iw ."])
def test_a_strength_that_is_none(typed):
    with pytest.raises(UserFacingError) as caught:
        read_strength(typed)
    assert caught.value.key == "image_prompt_strength"


def test_shares_have_the_sum_one():
    assert read_shares("", 4) == (0.25,) * 4
    assert read_shares("3:1", 2) == (0.75, 0.25)
    assert read_shares(" 1 0 1 ", 3) == (0.5, 0.0, 0.5)
    for typed, count in (("1:2", 3), ("a:b", 2), ("0 0", 2), ("-1:2", 2), ("inf:1", 2), ("nan:1", 2), (":", 2)):
        with pytest.raises(UserFacingError) as caught:
            read_shares(typed, count)
        assert caught.value.key == "image_prompt_shares", typed


def test_together_they_count_as_much_as_one():
    spec = Txt2Img(prompt="a", checkpoint="sd1", width=64, height=64, seed=1)
    refs = [ImageRef(ref=f"input:{n}", sha256="a" * 64, mime="image/png", size_bytes=1) for n in range(2)]
    made = with_image_prompts(spec, refs, "one", 0.8, (0.75, 0.25))
    assert made.image_prompts is not None
    assert [p.weight for p in made.image_prompts.pictures] == pytest.approx([0.6, 0.2])
    assert made.image_prompts.adapter == "one"


def test_a_changed_request_keeps_its_pictures_as_far_as_they_can_be_read():
    import random

    from bot.domain.actions import edit
    from bot.domain.limits import Limits
    from bot.domain.parameters import Parameters

    facts = (SD, XL, adapter("one"), EYES)
    spec = Txt2Img(prompt="a", checkpoint="sd1", width=512, height=512, seed=1)
    refs = [ImageRef(ref=f"input:{n}", sha256="a" * 64, mime="image/png", size_bytes=1) for n in range(2)]
    before = with_image_prompts(spec, refs, "one", 0.8, (0.75, 0.25))

    def edited(prompt="b", **changes):
        return edit(
            before, prompt=prompt, negative_prompt="", changes=Parameters(**changes), facts=facts, limits=Limits(),
            rng=random.Random(1),
        )  # fmt: skip

    assert edited().spec.image_prompts == before.image_prompts
    stronger = edited("b --iw 0.4").spec
    assert stronger.prompt == "b"
    assert [p.weight for p in stronger.image_prompts.pictures] == pytest.approx([0.3, 0.1])
    other = edited(checkpoint="sdxl")
    assert other.spec.image_prompts is None
    assert [note.key for note in other.notes] == ["image_prompts_dropped"]
