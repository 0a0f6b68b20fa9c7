import numpy as np
import pytest

from gpu_worker.engine.images.outpaint import OVERLAP_PX, extended
from gpu_worker.protocol.specs import Extend

SIDES = ("left", "right", "top", "bottom")


def scene(width=96, height=80, seed=0):
    """Sky above, earth below, with grain."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    picture[: height // 2], picture[height // 2 :] = (90, 140, 220), (120, 90, 40)
    return (picture + random.normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "sides",
    [{side: 40} for side in SIDES] + [{"left": 8, "bottom": 100}, dict.fromkeys(SIDES, 24), {"right": 500}],
    ids=str,
)
def test_the_picture_stays_and_the_mask_covers_the_new(sides):
    picture, extend = scene(), Extend(**sides)
    made = extended(picture, extend)
    height, width = picture.shape[:2]
    assert made.canvas.shape == (height + extend.top + extend.bottom, width + extend.left + extend.right, 3)
    assert made.mask.shape == made.canvas.shape[:2]
    inside = made.canvas[extend.top : extend.top + height, extend.left : extend.left + width]
    assert (inside == picture).all()
    kept = np.argwhere(made.mask == 0)
    overlaps = [OVERLAP_PX if sides.get(side) else 0 for side in SIDES]
    left, right, top, bottom = overlaps
    assert kept.min(axis=0).tolist() == [extend.top + top, extend.left + left]
    assert kept.max(axis=0).tolist() == [extend.top + height - bottom - 1, extend.left + width - right - 1]
    assert set(np.unique(made.mask)) == {0, 255}


def test_nothing_to_extend():
    picture = scene()
    made = extended(picture, Extend())
    assert (made.canvas == picture).all()
    assert not made.mask.any()


def test_the_same_picture_is_extended_the_same_way():
    first, second = (extended(scene(), Extend(right=64, top=16)) for _ in range(2))
    assert (first.canvas == second.canvas).all()


def test_new_canvas_goes_on_in_the_borders_colours():
    new = extended(scene(), Extend(right=64)).canvas[:, 96:].astype(float)
    assert np.abs(new[:20].mean(axis=(0, 1)) - (90, 140, 220)).max() < 6
    assert np.abs(new[-20:].mean(axis=(0, 1)) - (120, 90, 40)).max() < 6
    blue = new[:, :, 2]
    near, far = (blue[30:38, part].mean() - blue[42:50, part].mean() for part in (slice(8), slice(-16, None)))
    assert near > 1.3 * far > 0, "softer farther away"


def test_new_canvas_has_the_borders_grain():
    """Flat colour would stay flat: there must be grain, as much as the picture has, in cells of the latent too."""
    picture = scene()
    new = extended(picture, Extend(top=64)).canvas[:64].astype(float)
    own = picture[:36].astype(float)
    assert 0.6 < new.std(axis=(0, 1)).mean() / own.std(axis=(0, 1)).mean() < 1.6
    cells = new.reshape(8, 8, 12, 8, 3).mean(axis=(1, 3))
    assert cells.std(axis=(0, 1)).mean() > 2
    flat = extended(np.full((64, 64, 3), 77, np.uint8), Extend(top=32)).canvas
    assert (flat == 77).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (8, 8), (20, 40)])
def test_tiny_pictures(size):
    made = extended(scene(*size), Extend(left=16, right=16, top=16, bottom=16))
    assert made.canvas.shape == (size[1] + 32, size[0] + 32, 3)
    assert (made.mask == 0).any()
