"""A part of a picture: its grid, its squares, and the request that draws it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.limits import Limits
from bot.domain.pictures import GivenPicture
from bot.domain.regions import PARTS, around, boxes_of, cell_box, grid_of, redrawn
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import ImageRef, Img2Img, Txt2Img

LIMITS = Limits(max_side_px=1536)
REF = ImageRef(ref="image:1", sha256="0" * 64, mime="image/png", size_bytes=10)
MASK = ImageRef(ref="input:" + "a" * 64, sha256="a" * 64, mime="image/png", size_bytes=10)
SPEC = Txt2Img(prompt="a cat", checkpoint="m", width=512, height=512, seed=100, count=4)


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_cells_are_nearly_square_and_fit_one_list(width, height):
    columns, rows = grid_of(width, height)
    assert columns * rows + len(PARTS) <= 25
    if 1 / 3 <= width / height <= 3:
        assert 0.5 <= (width / columns) / (height / rows) <= 2


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_cells_cover_the_picture_once(width, height):
    grid = grid_of(width, height)
    boxes = [cell_box(cell, grid) for cell in range(1, grid[0] * grid[1] + 1)]
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) == pytest.approx(1)
    assert around(boxes) == pytest.approx((0, 0, 1, 1))


def test_squares_and_parts_are_chosen_together():
    assert boxes_of(["1", "right"], (4, 4)) == [(0, 0, 0.25, 0.25), PARTS["right"]]
    assert around(boxes_of(["6", "11"], (4, 4))) == (0.25, 0.25, 0.75, 0.75)


@pytest.mark.parametrize("chosen", [[], ["99"], ["0"], ["heaven"]])
def test_nothing_is_no_region(chosen):
    with pytest.raises(UserFacingError, match="region_nothing"):
        boxes_of(chosen, (4, 4))


@pytest.mark.parametrize("chosen", [["top", "bottom"], ["left", "right"], [str(n) for n in range(1, 17)]])
def test_everything_is_no_region(chosen):
    with pytest.raises(UserFacingError, match="region_everything"):
        boxes_of(chosen, (4, 4))


def redraw(size, bounds=(0, 0, 0.5, 0.5), **named):
    picture = GivenPicture(REF, *size)
    return redrawn(
        SPEC, 1, picture, MASK, bounds, "change", Random(1), LIMITS, prompt="a dog", **({"native_px": 512} | named)
    )


def test_what_the_checkpoint_can_draw_is_drawn_as_a_whole():
    found = redraw((512, 512))
    assert (found.width, found.height, found.mask.only_masked) == (512, 512, False)
    assert (found.prompt, found.count, found.mask.image, found.image) == ("a dog", 4, MASK, REF)
    assert not redraw((768, 768)).mask.only_masked


def test_of_a_large_one_only_the_part_is_drawn_in_its_own_shape():
    found = redraw((2048, 2048), (0, 0, 1, 0.25))
    assert found.mask.only_masked
    assert found.width / found.height == pytest.approx(4, rel=0.1)
    assert found.width * found.height == pytest.approx(512 * 512, rel=0.1)
    assert 0 < found.mask.padding_px <= 256
    # What latent cells do not divide is never drawn as a whole.
    assert redraw((510, 510)).mask.only_masked


@given(st.integers(64, 4096), st.integers(64, 4096), st.sampled_from([None, 512, 1024]))
def test_any_picture_gives_what_the_worker_takes(width, height, native_px):
    found = redraw((width, height), native_px=native_px)
    assert Img2Img.model_validate(found.model_dump()) == found
    assert max(found.width, found.height) <= LIMITS.max_side_px
