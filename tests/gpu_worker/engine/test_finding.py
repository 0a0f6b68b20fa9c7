"""What somebody names is found in the demo's pictures, and drawn again alone."""

import numpy as np
import pytest
from drawing import Recorder, draw, pixels, ref_to, spec
from make_checkpoint import write_checkpoint

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.tasks.finding import marked
from gpu_worker.protocol.specs import Img2Img, Txt2Img

RED, GREEN, BLUE = range(3)


def redrawn(engine, source, find, **changes):
    picture = ref_to(source.png)
    values = spec().model_dump(exclude={"kind", "hires"}) | {
        "image": picture, "mask": {"image": picture, "prompt": find, "blur": 2}, "denoising_strength": 0.95,
        "steps": 10,
    }  # fmt: skip
    hooks = Recorder(pictures={"picture": source.png})
    return engine.draw(Img2Img(**values | changes), hooks)


def changed(source, drawn):
    """Where it is another picture now: bool [h, w]."""
    return np.abs(pixels(source) - pixels(drawn)).max(axis=2) > 12


def is_red(source):
    image = pixels(source)
    return (image[..., RED] > 140) & (image[..., BLUE] < 120)


@pytest.mark.slow
def test_the_thing_that_is_named_is_drawn_again_and_nothing_else(engine):
    (source,) = draw(engine, steps=20, seed=21)
    apple = is_red(source)
    assert 0.15 < apple.mean() < 0.6, "the demo draws an apple"
    (drawn,) = redrawn(engine, source, "apple", prompt="a yellow star on a blue background")
    moved = changed(source, drawn)
    # Most of the apple went, hardly anything of the background did.
    assert moved[apple].mean() > 0.6
    far = ~apple
    far[8:-8, 8:-8] &= ~_grown(apple)[8:-8, 8:-8]
    assert moved[far].mean() < 0.1
    assert "Mask of: apple" in drawn.infotext
    # The same words mark the same place.
    (again,) = redrawn(engine, source, "apple", prompt="a yellow star on a blue background")
    assert drawn.png == again.png


@pytest.mark.slow
def test_what_is_around_it_can_be_named_as_well(engine):
    (source,) = draw(engine, steps=20, seed=21)
    apple = is_red(source)
    (drawn,) = redrawn(engine, source, "blue background", prompt="a red apple on a green background")
    moved = changed(source, drawn)
    assert moved[~_grown(apple)].mean() > 0.7
    assert moved[~_grown(~apple)].mean() < 0.2


@pytest.mark.slow
def test_only_the_part_can_be_drawn_large(engine):
    (source,) = draw(engine, steps=20, seed=21)
    picture = ref_to(source.png)
    mask = {"image": picture, "prompt": "apple", "only_masked": True, "padding_px": 8}
    (drawn,) = redrawn(engine, source, "apple", mask=mask, prompt="a yellow star on a blue background")
    moved = changed(source, drawn)
    assert moved[is_red(source)].mean() > 0.5
    assert not moved[:6].any()


@pytest.mark.parametrize("heat", [np.zeros((16, 16), np.float32), np.full((16, 16), np.nan, np.float32)])
def test_nothing_is_marked_where_nothing_answers(heat):
    assert not marked(heat).any()


def test_holes_are_filled_specks_go_and_grounds_stay():
    rows, columns = np.mgrid[:64, :64]
    distance = np.hypot(rows - 32, columns - 32)
    ring = np.where((distance < 20) & (distance > 4), 1.0, 0.0).astype(np.float32)
    ring[2, 2] = 1
    cells = marked(ring)
    assert cells[32, 32]
    assert not cells[2, 2]
    ground = marked((distance > 20).astype(np.float32))
    assert not ground[32, 32]
    assert ground[2, 2]


def test_words_that_mark_nothing_fail_with_a_reason(engine, monkeypatch):
    monkeypatch.setattr("gpu_worker.engine.tasks.finding.marked", lambda heat: np.zeros(heat.shape, bool))
    (source,) = draw(engine, steps=2)
    with pytest.raises(EngineError) as caught:
        redrawn(engine, source, "apple")
    assert (caught.value.kind, caught.value.detail["reason"]) == ("bad_input", "nothing_found")


def _grown(cells, by=12):
    grown = cells.copy()
    for axis in (0, 1):
        grown = np.logical_or.reduce([np.roll(grown, shift, axis) for shift in range(-by, by + 1)])
    return grown


KINDS = ("sd15-inpaint-small", "sd15-pix2pix-small", "sd21-v-small", "sdxl-small", "sdxl-inpaint-small")


@pytest.fixture(scope="module")
def families(models_dir):
    """Random checkpoints of every shape, among the demo's."""
    made = [models_dir / "checkpoints" / f"{kind}.safetensors" for kind in KINDS]
    for kind, path in zip(KINDS, made, strict=True):
        write_checkpoint(path, kind)
    yield KINDS
    for path in made:
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_checkpoint_looks_and_draws_in_tiles(engine, families, kind):
    """What they draw is noise; that each reads what it needs is the point."""
    (source,) = draw(engine, steps=2)
    engine.facts()
    (drawn,) = redrawn(engine, source, "apple", checkpoint=kind, steps=2)
    assert (drawn.width, drawn.height) == (128, 128)
    stored = {"scale": 1.5, "tile_px": 128, "source": {"type": "stored", "image": ref_to(source.png)}}
    values = spec(checkpoint=kind, steps=2).model_dump(exclude={"hires"})
    (large,) = engine.draw(Txt2Img(**values, hires=stored), Recorder(pictures={"picture": source.png}))
    assert (large.width, large.height) == (192, 192)
