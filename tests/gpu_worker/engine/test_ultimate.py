"""Ultimate SD upscale: the tiles that A1111's script draws, one after the other, and taken up again."""

import io

import numpy as np
import pytest
from drawing import Recorder, draw, pixels, ref_to, spec
from PIL import Image
from pydantic import ValidationError

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.images.geometry import resample
from gpu_worker.engine.images.masks import blurred, crop_region
from gpu_worker.engine.tasks.ultimate.cutting import part_of, regions_of_tile
from gpu_worker.engine.tasks.ultimate.masks import place
from gpu_worker.engine.tasks.ultimate.watching import HUNDRED
from gpu_worker.language.tiles import TileDraw, drawn_tiles
from gpu_worker.protocol.specs import Img2Img, Regions, Ultimate


class Keeping(Recorder):
    """Hooks that keep parts, as a worker does; `lose_after` is how many are kept before the worker dies."""

    def __init__(self, *, parts=None, lose_after=None, **more):
        super().__init__(**more)
        self.state = None
        self.parts = dict(parts or {})
        self.kept = []
        self._lose_after = lose_after

    def part(self, number):
        return self.parts.get(number)

    def keep(self, number, data, state=None):
        self.parts[number] = data
        self.kept.append(number)
        if len(self.kept) == self._lose_after:
            raise DrawingCancelled


def wish(source, *, drawing=None, **changes):
    own = spec(seed=21, steps=8).model_dump(exclude={"kind", "hires"})
    own |= {"image": ref_to(source.png), "denoising_strength": 0.3} | (drawing or {})
    values = {"width": 256, "height": 256, "tile_width": 128, "mask_blur": 8, "padding": 16} | changes
    return Ultimate(drawing=Img2Img.model_validate(own), **values)


def drawn_in_tiles(engine, source, hooks=None, **changes):
    hooks = hooks or Recorder(pictures={"picture": source.png})
    return engine.draw(wish(source, **changes), hooks)


@pytest.fixture(scope="module")
def source(engine):
    return draw(engine, steps=12, seed=21)[0]


def png(picture):
    target = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("redraw", ["linear", "chess"])
def test_it_is_inpainting_tile_by_tile_on_the_picture_so_far(engine, source, redraw):
    (drawn,) = drawn_in_tiles(engine, source, redraw=redraw, width=320)
    canvas = resample(pixels(source).astype(np.uint8), 320, 256)
    places = [(0, 0), (128, 0), (256, 0), (0, 128), (128, 128), (256, 128)]
    if redraw == "chess":
        places = [(0, 0), (256, 0), (128, 128), (128, 0), (0, 128), (256, 128)]
    for left, top in places:
        mask = np.zeros((256, 320), np.uint8)
        mask[top : top + 129, left : left + 129] = 255
        pictures = {"canvas": png(canvas), "mask": png(mask)}
        values = spec(seed=21, steps=8, width=192, height=192).model_dump(exclude={"kind", "hires"})
        values |= {"image": ref_to(pictures["canvas"], "canvas"), "denoising_strength": 0.3}
        values["mask"] = {"image": ref_to(pictures["mask"], "mask"), "blur": 8, "padding_px": 16, "only_masked": True}
        (next_one,) = engine.draw(Img2Img.model_validate(values), Recorder(pictures=pictures))
        canvas = pixels(next_one).astype(np.uint8)
    assert (pixels(drawn) == canvas).all()
    assert "Ultimate SD upscale tile_width: 128" in drawn.infotext
    assert "Size: 320x256" in drawn.infotext


def whole_mask(tile, size):
    """A1111's way: a mask as large as the picture."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    left, top, right, bottom = tile.box
    mask[max(0, top) : bottom, max(0, left) : right] = 255
    return blurred(mask, tile.blur)


@pytest.mark.parametrize("at", [(0, 0), (40, 30), (300, 200), (250, 0), (-20, 60)])
@pytest.mark.parametrize("blur", [0, 1, 8, 33])
def test_a_mask_made_for_its_window_is_the_whole_pictures(at, blur):
    size = (400, 300)
    tile = TileDraw("rectangle", (at[0], at[1], at[0] + 129, at[1] + 129), (192, 192), blur, 16)
    placed, whole = place(tile, size), whole_mask(tile, size)
    left, top, right, bottom = placed.crop
    assert (placed.mask == whole[top:bottom, left:right]).all()
    assert placed.changed == crop_region(whole, 0)


def steps_across(image, edges, axis):
    """Mean step over the borders and over all, in grey levels."""
    steps = np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2))
    return np.mean([steps[edge - 1] for edge in edges]), np.mean(steps)


@pytest.mark.slow
def test_seams_do_not_show(engine, source):
    """Measured with the demo checkpoint at 512 px: steps across borders are 1.2 times those elsewhere; without blur and
    padding, 5 to 8 times."""
    stronger = {"denoising_strength": 0.4}
    upscaled, mended = drawn_in_tiles(
        engine, source, drawing=stronger, seams="half tile offset pass + intersections", seams_blur=8
    )
    (bare,) = drawn_in_tiles(engine, source, drawing=stronger, mask_blur=0, padding=0)
    plain = resample(pixels(source).astype(np.uint8), 256, 256).astype(int)
    for drawn in (upscaled, mended):
        image = pixels(drawn)
        assert 1 < np.abs(image - plain).mean() < 30, "drawn on, and the same picture"
        for axis in (0, 1):
            seam, elsewhere = steps_across(image, [128], axis)
            assert seam < 2 * elsewhere + 0.5
    assert (
        max(seam / elsewhere for seam, elsewhere in (steps_across(pixels(bare), [128], axis) for axis in (0, 1))) > 2.5
    )
    assert (pixels(upscaled) != pixels(mended)).any()


@pytest.mark.slow
def test_a_band_is_drawn_over_each_seam(engine, source):
    hooks = Keeping(pictures={"picture": source.png})
    upscaled, mended = drawn_in_tiles(engine, source, hooks, seams="band pass", seams_width=32)
    assert hooks.kept == [0, 1, 2, 3, 4, 5]
    changed = (pixels(upscaled) != pixels(mended)).any(axis=2)
    assert changed[:, 120:136].mean() > 0.5
    assert not changed[:110, :110].any()
    (only,) = drawn_in_tiles(engine, source, seams="band pass", seams_width=32, keep_upscaled=False)
    assert (pixels(only) == pixels(mended)).all()


@pytest.mark.slow
def test_what_is_finished_is_not_drawn_again(engine, source):
    undisturbed = Keeping(pictures={"picture": source.png})
    (whole,) = drawn_in_tiles(engine, source, undisturbed)
    dying = Keeping(pictures={"picture": source.png}, lose_after=2)
    with pytest.raises(DrawingCancelled):
        drawn_in_tiles(engine, source, dying)
    assert dying.kept == [0, 1]
    parts = dict(dying.parts)
    later = Keeping(pictures={"picture": source.png}, parts=parts)
    (again,) = drawn_in_tiles(engine, source, later)
    assert later.kept == [2, 3]
    assert again.png == whole.png
    # A damaged one is drawn again, those after it are not.
    parts = {**undisturbed.parts, 1: undisturbed.parts[1][:200]}
    mending = Keeping(pictures={"picture": source.png}, parts=parts)
    (again,) = drawn_in_tiles(engine, source, mending)
    assert (mending.kept, again.png) == ([1], whole.png)
    # One of another start (the upscaler's file was exchanged, perhaps) counts for nothing.
    inverted = Image.fromarray((255 - pixels(source)).astype(np.uint8))
    target = io.BytesIO()
    inverted.save(target, "PNG")
    other = Keeping(pictures={"picture": target.getvalue()}, parts=undisturbed.parts)
    drawing = {"image": ref_to(target.getvalue())}
    drawn_in_tiles(engine, source, other, drawing=drawing)
    assert other.kept == [0, 1, 2, 3]


@pytest.mark.slow
def test_progress_counts_tiles_and_previews_show_all(engine, source):
    hooks = Recorder(pictures={"picture": source.png}, hz=1e6)
    drawn_in_tiles(engine, source, hooks)
    told = [(step, of) for phase, step, of in hooks.calls if phase == "tiles"]
    assert {of for _, of in told} == {4 * HUNDRED}
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert told[-1][0] == 4 * HUNDRED
    seen = np.asarray(Image.open(io.BytesIO(hooks.previews[-1])).convert("RGB")).astype(int)
    plain = resample(pixels(source).astype(np.uint8), seen.shape[1], seen.shape[0]).astype(int)
    assert np.abs(seen - plain).mean() < 25, "the whole picture, not the tile alone"


@pytest.mark.slow
def test_nothing_drawn_is_the_enlarged_picture(engine, source):
    (drawn,) = drawn_in_tiles(engine, source, redraw="none")
    assert (pixels(drawn) == resample(pixels(source).astype(np.uint8), 256, 256)).all()


def test_a_pixel_can_be_enlarged(engine):
    dot = draw(engine, steps=1)[0]
    small = png(np.full((1, 1, 3), 90, np.uint8))
    object.__setattr__(dot, "png", small)
    (drawn,) = drawn_in_tiles(engine, dot, width=64, height=64, tile_width=64, padding=0, drawing={"steps": 1})
    assert (drawn.width, drawn.height) == (64, 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 10_000}, {"width": 63}, {"tile_width": 0, "tile_height": 0}, {"tile_width": 32}, {"tile_width": 2048},
        {"padding": 513}, {"mask_blur": 65}, {"seams_denoise": float("nan")}, {"seams": "glue"}, {"redraw": "spiral"},
        {"width": 8192, "height": 8192, "tile_width": 64},
        {"seams": "band pass", "keep_upscaled": False, "keep_mended": False},
        {"drawing": {"denoising_strength": float("nan")}}, {"drawing": {"count": 2}},
        {"drawing": {"extend": {"left": 8}}},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_drawn_is_no_spec(engine, source, changes):
    with pytest.raises(ValidationError):
        wish(source, **changes)


@pytest.mark.slow
def test_a_corner_that_blurring_leaves_nothing_of_is_not_drawn(engine, source):
    hooks = Keeping(pictures={"picture": source.png})
    (drawn,) = drawn_in_tiles(engine, source, hooks, width=257, height=257, mask_blur=16, drawing={"steps": 2})
    assert (drawn.width, drawn.height) == (257, 257)
    assert hooks.kept == [0, 1, 2, 3, 4, 5, 6, 7]


def test_an_upscaler_that_is_not_there_is_named(engine, source):
    with pytest.raises(EngineError) as caught:
        drawn_in_tiles(engine, source, upscaler="4x-Nowhere")
    assert (caught.value.kind, caught.value.detail["upscaler"]) == ("bad_input", "4x-Nowhere")


def test_a_picture_of_8192_has_tiles_that_a_small_card_draws():
    tiles = drawn_tiles((8192, 8192), (512, 0), seams="band pass")
    assert len(tiles) == 256 + 30
    assert max(width * height for width, height in (tile.process for tile in tiles)) <= 8192 * 96
    placed = place(tiles[-1], (8192, 8192))
    assert placed.mask.nbytes <= 8192 * 96


def test_a_tile_has_its_part_of_control_pictures_and_regions():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 100:] = 255
    right = part_of(picture, (256, 0, 512, 256), (512, 256), (64, 64))
    assert right.shape == (64, 64, 3)
    assert right[:, 8:].min() == 255
    # A square one is cut to the picture's shape first.
    square = np.zeros((200, 200, 3), np.uint8)
    square[:50] = square[150:] = 255
    assert part_of(square, (0, 0, 512, 256), (512, 256), (64, 32))[2:-2].max() <= 1
    regions = Regions.model_validate(
        {"areas": [{"columns": 2, "left": 0, "right": 1}, {"columns": 2, "left": 1, "right": 2}]}
    )
    first, second = regions_of_tile(regions, (256, 0, 512, 256), (512, 256)).areas
    assert (first.left, first.right) == (0, 0)
    assert (second.left, second.right) == (0, 1)


@pytest.mark.slow
def test_out_of_memory_tells_the_size_of_a_tile(engine, source, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("gpu_worker.engine.denoise.evaluate", full)
    hooks = Keeping(pictures={"picture": source.png})
    with pytest.raises(EngineError) as caught:
        drawn_in_tiles(engine, source, hooks)
    assert caught.value.kind == "oom"
    assert caught.value.detail == {"width": 192, "height": 192, "count": 1, "reason": "tile"}
    assert hooks.kept == []
