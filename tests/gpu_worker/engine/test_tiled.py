"""The second pass in tiles: it shows the same picture, without seams, however small the tiles."""

import numpy as np
import pytest
from drawing import Recorder, draw, pixels, ref_to, spec

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import resample
from gpu_worker.engine.tasks.tiled import overlap_px, tile_grid
from gpu_worker.protocol.specs import Txt2Img


@pytest.mark.parametrize(
    ("size", "tile"), [((4096, 4096), 512), ((2048, 1536), 1024), ((600, 96), 512), ((64, 64), 512)]
)
def test_tiles_cover_the_picture_and_are_of_one_size(size, tile):
    grid = tile_grid(*size, tile)
    seen = np.zeros((size[1], size[0]), bool)
    for left, top, right, bottom in grid.boxes():
        assert (right - left, bottom - top) == (grid.tile_width, grid.tile_height)
        assert min(left, top) >= 0
        assert (grid.tile_width % 8, grid.tile_height % 8) == (0, 0)
        seen[top:bottom, left:right] = True
    assert seen.all()


def test_neighbours_overlap_enough_to_be_blended():
    assert (overlap_px(512), overlap_px(1024), overlap_px(128), overlap_px(64)) == (64, 64, 16, 8)
    grid = tile_grid(4096, 4096, 512)
    assert all(b - a <= 512 - 64 for a, b in zip(grid.columns, grid.columns[1:], strict=False))


def enlarged(engine, source, hooks=None, **hires):
    values = spec(steps=8, seed=21).model_dump(exclude={"hires"})
    stored = {"type": "stored", "image": ref_to(source.png)}
    wish = {"scale": 2, "denoising_strength": 0.35, "source": stored} | hires
    hooks = hooks or Recorder(pictures={"picture": source.png})
    return engine.draw(Txt2Img(**values, hires=wish), hooks)[0]


@pytest.mark.slow
def test_a_tiled_pass_draws_detail_and_leaves_no_seams(engine):
    (source,) = draw(engine, steps=12, seed=21)
    hooks = Recorder(pictures={"picture": source.png})
    drawn = enlarged(engine, source, hooks, tile_px=128)
    assert (drawn.width, drawn.height) == (256, 256)
    image, plain = pixels(drawn), resample(pixels(source).astype(np.uint8), 256, 256).astype(int)
    # The same picture, drawn on.
    assert 2 < np.abs(image - plain).mean() < 30
    # Steps across the tiles' borders are no larger than elsewhere.
    grid = tile_grid(256, 256, 128)
    steps = np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))
    borders = [edge for column in grid.columns[1:] for edge in (column, column + overlap_px(128))]
    assert max(steps[edge - 1] for edge in borders) < 3 * np.median(steps) + 2
    # Progress runs once over all of them.
    told = [(step, of) for phase, step, of in hooks.calls if phase == "hires"]
    assert {of for _, of in told} == {len(grid) * 8}
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert "Hires tile: 128" in drawn.infotext


@pytest.mark.slow
def test_the_same_again(engine):
    (source,) = draw(engine, steps=4, seed=3)
    assert enlarged(engine, source, tile_px=128).png == enlarged(engine, source, tile_px=128).png


@pytest.mark.slow
def test_a_first_pass_of_its_own_may_come_before(engine):
    values = spec(steps=4, seed=5, count=2).model_dump(exclude={"hires"})
    drawn = engine.draw(Txt2Img(**values, hires={"scale": 1.5, "tile_px": 128}), Recorder())
    assert [(each.width, each.height) for each in drawn] == [(192, 192)] * 2
    assert drawn[0].png != drawn[1].png


def test_latents_are_not_enlarged_in_tiles(engine):
    values = spec().model_dump(exclude={"hires"})
    with pytest.raises(EngineError) as caught:
        engine.draw(Txt2Img(**values, hires={"upscaler": "Latent", "tile_px": 128}), Recorder())
    assert caught.value.detail["upscaler"] == "Latent"
