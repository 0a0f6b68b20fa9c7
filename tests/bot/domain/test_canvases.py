"""Zoom, pan and square: sizes, margins, and what stays of the request."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.actions import upscale
from bot.domain.canvases import pan, read_zoom, square, zoom
from bot.domain.limits import Limits
from bot.domain.pictures import GivenPicture
from bot.domain.recorded import parameters_of
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import ImageRef, Img2Img, StoredSource, Txt2Img, Variation

LIMITS = Limits(max_side_px=1536)
REF = ImageRef(ref="image:1", sha256="0" * 64, mime="image/png", size_bytes=10)
SPEC = Txt2Img(
    prompt="a cat", negative_prompt="bad", checkpoint="m", width=512, height=768, seed=100, count=4, tiling=True,
    variations=(Variation(seed=1, strength=0.2),), clip_skip=2,
)  # fmt: skip
SIDES = st.integers(8, 256).map(lambda n: n * 8)


def picture(width=512, height=768):
    return GivenPicture(REF, width, height)


def drawn(make, *values, size=(512, 768), spec=SPEC, limits=LIMITS, **named):
    return make(spec, 0, picture(*size), *values, Random(1), limits, **named)


def inner(spec):
    extend = spec.extend
    return spec.width - extend.left - extend.right, spec.height - extend.top - extend.bottom


def test_a_zoom_is_as_large_as_before_with_the_picture_in_its_middle():
    found = drawn(zoom, 2.0)
    assert (found.width, found.height) == (512, 768)
    assert inner(found) == (256, 384)
    assert (found.extend.left, found.extend.top) == (found.extend.right, found.extend.bottom) == (128, 192)
    assert (found.image, found.count, found.clip_skip, found.negative_prompt) == (REF, 4, 2, "bad")
    # No noise of the old one, and nothing that wraps.
    assert found.seed != 100
    assert (found.variations, found.tiling) == ((), False)


def test_what_was_enlarged_is_zoomed_out_of_at_the_size_it_was_drawn_at():
    enlarged = upscale(SPEC, 0, StoredSource(image=REF), LIMITS)
    found = drawn(zoom, 1.5, size=(1024, 1536), spec=enlarged)
    assert (found.width, found.height) == (512, 768)


@given(st.floats(1.1, 4), SIDES, SIDES, st.sampled_from([None, "1:1", "16:9", "2:3"]), st.booleans())
def test_any_zoom_is_drawable_or_refused(factor, width, height, aspect, enlarged):
    spec = SPEC if not enlarged else upscale(SPEC, 0, StoredSource(image=REF), LIMITS)
    try:
        found = drawn(zoom, factor, size=(width, height), spec=spec, aspect=aspect, native_px=512)
    except UserFacingError as error:
        if error.key not in ("zoom_too_far", "canvas_long"):
            raise
        return
    assert Img2Img.model_validate(found.model_dump()) == found
    assert max(found.width, found.height) <= LIMITS.max_side_px
    assert found.width * found.height <= LIMITS.max_pixels
    assert min(inner(found)) >= 64
    # An edit starts from what the record says, and gives it again.
    assert parameters_of(found).width == inner(found)[0]


@given(st.sampled_from(["left", "right", "top", "bottom"]), SIDES, SIDES)
def test_a_pan_grows_at_its_side_alone(side, width, height):
    try:
        found = drawn(pan, side, size=(width, height), native_px=512)
    except UserFacingError as error:
        if error.key not in ("zoom_too_far", "canvas_long"):
            raise
        return
    sides = found.extend.model_dump()
    assert sides.pop(side) > 0
    assert set(sides.values()) == {0}
    assert max(found.width, found.height) <= LIMITS.max_side_px


def test_a_pan_keeps_the_scale_as_long_as_the_checkpoint_bears_it():
    assert inner(drawn(pan, "right", native_px=1024)) == (512, 768)
    # 2.25 times the area of a checkpoint for 512 is the most.
    small = drawn(pan, "right", size=(1024, 768), spec=SPEC.model_copy(update={"width": 1024}), native_px=512)
    assert small.width * small.height <= 1024 * 768 * 1.05
    assert small.width / small.height == pytest.approx(2, rel=0.05)


def test_square_fills_the_shorter_sides_evenly_and_once():
    found = drawn(square, native_px=1024)
    assert (found.width, found.height) == (768, 768)
    assert (found.extend.left, found.extend.right, found.extend.top) == (128, 128, 0)
    with pytest.raises(UserFacingError, match="square_already"):
        drawn(square, size=(512, 512))


def test_limits_make_it_smaller_not_impossible():
    found = drawn(pan, "bottom", limits=Limits(max_side_px=768))
    assert found.height == 768
    assert inner(found)[1] == pytest.approx(512, abs=8)


@pytest.mark.parametrize(
    ("factor", "aspect", "key"),
    [(0.5, None, "zoom_range"), (4.5, None, "zoom_range"), (1.0, None, "zoom_nothing"), (1.0, "2:3", "zoom_nothing")],
)
def test_zooms_that_are_none(factor, aspect, key):
    with pytest.raises(UserFacingError, match=key):
        drawn(zoom, factor, aspect=aspect)


def test_another_shape_alone_is_a_zoom():
    found = drawn(zoom, 1.0, aspect="1:1")
    assert found.width == found.height
    assert (found.extend.top, found.extend.bottom) == (0, 0)


def test_what_is_left_of_the_picture_must_be_seen():
    with pytest.raises(UserFacingError, match="zoom_too_far"):
        drawn(zoom, 4.0, size=(128, 128), spec=SPEC.model_copy(update={"width": 128, "height": 128}))


@pytest.mark.parametrize(("text", "factor"), [("1.75", 1.75), (" 1,5 ", 1.5), ("2x", 2), ("3×", 3), ("150%", 1.5)])
def test_numbers_as_people_write_them(text, factor):
    assert read_zoom(text) == factor


@pytest.mark.parametrize("text", ["", "far", "1.2.3", "-2", "1e3", "150 %%", "x2"])
def test_what_is_no_number(text):
    with pytest.raises(UserFacingError, match="zoom_unreadable"):
        read_zoom(text)
