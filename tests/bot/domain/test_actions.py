"""What the buttons make of a recorded request."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.actions import (
    UPSCALE,
    VARIATION_STRENGTHS,
    edit,
    first_pass,
    picture_size,
    picture_spec,
    rendered_source,
    reroll,
    upscale,
    vary,
)
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Hires, ImageRef, RenderedSource, StoredSource, Txt2Img, Variation

LIMITS = Limits()
FACTS = (ModelFact(kind="checkpoint", name="m", native_px=512),)
STORED = StoredSource(image=ImageRef(ref="image:1", sha256="0" * 64, mime="image/png", size_bytes=10))
SPEC = Txt2Img(prompt="a cat", negative_prompt="bad", checkpoint="m", width=512, height=768, seed=100, count=4)
PATH = st.lists(st.builds(Variation, seed=st.integers(0, 2**32), strength=st.floats(0.01, 1)), max_size=5)
SPECS = st.builds(
    lambda seed, count, path: SPEC.model_copy(update={"seed": seed, "count": count, "variations": tuple(path)}),
    st.integers(0, 2**32),
    st.integers(1, 4),
    PATH,
)


def noise(spec: Txt2Img, index: int) -> tuple:
    """Seed and path of picture `index`, straight from the protocol's rule."""
    if not spec.variations:
        return spec.seed + index, ()
    path = [(step.seed, step.strength) for step in spec.variations]
    path[-1] = (path[-1][0] + index, path[-1][1])
    return spec.seed, tuple(path)


@given(SPECS, st.integers(0, 3))
def test_one_picture_alone_has_the_same_noise(spec, index):
    if index >= spec.count:
        with pytest.raises(ValueError, match="picture"):
            picture_spec(spec, index)
        return
    alone = picture_spec(spec, index)
    assert alone.count == 1
    assert noise(alone, 0) == noise(spec, index)
    assert picture_spec(alone, 0) == alone
    assert alone.model_copy(update={"seed": 0, "variations": (), "count": 1}) == spec.model_copy(
        update={"seed": 0, "variations": (), "count": 1}
    )
    assert Txt2Img.model_validate(alone.model_dump()) == alone


def test_upscale_draws_a_second_pass_over_that_picture():
    enlarged = upscale(SPEC, 2, STORED, LIMITS)
    assert (enlarged.seed, enlarged.count) == (102, 1)
    assert (enlarged.width, enlarged.height) == (512, 768)
    assert enlarged.hires is not None
    assert (enlarged.hires.scale, enlarged.hires.upscaler, enlarged.hires.source) == (2, "Lanczos", STORED)
    assert 0.3 <= enlarged.hires.denoising_strength <= 0.5
    assert picture_size(enlarged) == (1024, 1536)


def test_upscale_of_an_upscale_starts_from_the_larger_picture():
    small = SPEC.model_copy(update={"width": 128, "height": 128})
    once = upscale(small, 0, STORED, LIMITS)
    twice = upscale(once, 0, STORED, LIMITS)
    assert (twice.width, twice.height) == (256, 256)
    assert picture_size(twice) == (512, 512)


def test_upscale_refuses_what_would_be_too_large():
    large = SPEC.model_copy(update={"width": 1024, "height": 1536})
    with pytest.raises(UserFacingError) as refusal:
        upscale(large, 0, STORED, LIMITS, size=(2048, 3072))
    assert refusal.value.key == "upscale_too_large"
    assert refusal.value.values == {"width": 4096, "height": 6144}


def test_upscale_draws_in_tiles_what_is_too_large_to_be_drawn_at_once():
    assert upscale(SPEC, 0, STORED, LIMITS, size=(1024, 1536)).hires.tile_px == 512
    facts = (ModelFact(kind="checkpoint", name="m", native_px=1024),)
    assert upscale(SPEC, 0, STORED, LIMITS, facts, size=(2048, 2048)).hires.tile_px == 1024
    assert upscale(SPEC, 0, STORED, LIMITS, facts, size=(1024, 1024)).hires.tile_px == 0


def depth(spec: Txt2Img) -> int:
    source = spec.hires.source if spec.hires else None
    return 1 + depth(source.spec) if isinstance(source, RenderedSource) else 0


@given(st.sampled_from([64, 128, 512, 1024]), st.sampled_from([64, 256, 512]))
def test_sources_nest_only_as_often_as_a_side_can_double(width, height):
    spec = SPEC.model_copy(update={"width": width, "height": height})
    start = spec
    for _ in range(20):
        try:
            spec = upscale(spec, 0, rendered_source(spec, 0), LIMITS)
        except UserFacingError:
            break
    assert 1 <= depth(spec) <= 6
    assert Txt2Img.model_validate(spec.model_dump()) == spec
    assert first_pass(spec) == picture_spec(start, 0)


def test_vary_keeps_seed_and_path_and_adds_one_step():
    once = vary(SPEC, 1, "subtle", Random(1), LIMITS)
    assert (once.seed, once.count, len(once.variations)) == (101, 4, 1)
    assert once.variations[0].strength == VARIATION_STRENGTHS["subtle"] < VARIATION_STRENGTHS["strong"]
    twice = vary(once, 3, "strong", Random(2), LIMITS)
    assert twice.seed == 101
    assert twice.variations[0].seed == once.variations[0].seed + 3
    assert twice.variations[1].strength == VARIATION_STRENGTHS["strong"]


def test_vary_of_an_enlarged_picture_varies_what_was_enlarged():
    enlarged = upscale(SPEC, 1, rendered_source(SPEC, 1), LIMITS)
    varied = vary(enlarged, 0, "subtle", Random(1), LIMITS)
    assert varied.hires is None
    assert (varied.seed, varied.width, varied.height) == (101, 512, 768)


def test_vary_ends_where_the_path_is_full():
    spec = SPEC
    for _ in range(16):
        spec = vary(spec, 0, "subtle", Random(1), LIMITS)
    Txt2Img.model_validate(spec.model_dump())
    with pytest.raises(UserFacingError) as refusal:
        vary(spec, 0, "subtle", Random(1), LIMITS)
    assert refusal.value.key == "variation_depth"


def test_reroll_draws_anew():
    varied = vary(SPEC, 1, "subtle", Random(1), LIMITS)
    again = reroll(varied, Random(7))
    assert again.variations == ()
    assert again.seed == Random(7).randrange(4294967294)
    assert (again.prompt, again.count) == ("a cat", 4)
    assert reroll(upscale(SPEC, 0, STORED, LIMITS), Random(7)).hires is None
    asked = SPEC.model_copy(update={"hires": Hires()})
    assert reroll(asked, Random(7)).hires == Hires()


def edited(spec=SPEC, **changes):
    return edit(
        spec,
        prompt="a dog",
        negative_prompt="worse",
        changes=Parameters(**changes),
        facts=FACTS,
        limits=LIMITS,
        rng=Random(3),
    ).spec


def test_edit_changes_only_what_was_changed():
    assert edited() == SPEC.model_copy(update={"prompt": "a dog", "negative_prompt": "worse"})
    assert edited(steps=33).steps == 33
    assert (edited(aspect="1:1").width, edited(aspect="1:1").height) == (512, 512)
    assert edited(seed=-1).seed == Random(3).randrange(4294967294)


def test_edit_keeps_variations_as_long_as_the_seed_stays():
    varied = vary(SPEC, 1, "subtle", Random(1), LIMITS)
    assert edited(varied).variations == varied.variations
    assert edited(varied, seed=5).variations == ()


def test_edit_goes_through_every_check():
    with pytest.raises(UserFacingError) as refusal:
        edited(width=510)
    assert refusal.value.key == "size_odd"
    with pytest.raises(UserFacingError) as refusal:
        edited(checkpoint="gone")
    assert refusal.value.key == "checkpoint_unknown"


def test_parameters_of_show_the_request():
    shown = parameters_of(SPEC)
    assert (shown.width, shown.height, shown.seed, shown.aspect) == (512, 768, 100, None)


def test_a_checkpoint_may_know_its_own_denoising_strength() -> None:
    spec = Txt2Img(prompt="a cat", checkpoint="small", width=128, height=128, seed=1)
    source = StoredSource(image=ImageRef(ref="image:x", sha256="0" * 64, mime="image/png", size_bytes=1))
    fact = ModelFact(kind="checkpoint", name="small", defaults={"upscale_denoising": 0.2})

    def strength(facts: tuple[ModelFact, ...]) -> float | None:
        hires = upscale(spec, 0, source, facts=facts).hires
        return hires.denoising_strength if hires else None

    assert strength((fact,)) == 0.2
    assert strength((fact.model_copy(update={"name": "another"}),)) == UPSCALE.denoising_strength
