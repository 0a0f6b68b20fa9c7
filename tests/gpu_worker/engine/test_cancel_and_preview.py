"""A cancelled job stops at the next step; previews are small pictures of what is being drawn."""

import io

import numpy as np
import pytest
from drawing import Recorder, draw, spec
from PIL import Image

from gpu_worker.engine.engine import DrawingCancelled
from gpu_worker.engine.hooks import Watch
from gpu_worker.engine.preview import preview_bytes
from gpu_worker.protocol.messages import PreviewWish


@pytest.mark.parametrize("at", [1, 3, 6])
def test_cancel_stops_within_one_step(engine, at):
    hooks = Recorder(cancel_at=at)
    with pytest.raises(DrawingCancelled):
        engine.draw(spec(steps=10), hooks)
    assert len(hooks.calls) <= at + 1
    assert draw(engine)


def test_cancel_before_the_second_pass_and_before_decoding(engine):
    hooks = Recorder(cancel_at=5)
    with pytest.raises(DrawingCancelled):
        engine.draw(spec(steps=4, hires={"upscaler": "Latent"}), hooks)
    assert all(phase != "hires" for phase, _, _ in hooks.calls)


@pytest.mark.parametrize("count", [1, 4])
def test_previews_are_small_pictures_in_a_grid(engine, count):
    hooks = Recorder(hz=1000)
    engine.draw(spec(steps=3, count=count), hooks)
    assert len(hooks.previews) == 3
    for data in hooks.previews:
        assert len(data) <= hooks.preview.max_kb * 1024
        assert Image.open(io.BytesIO(data)).size == (256, 256)


@pytest.mark.slow
def test_the_last_preview_looks_like_the_picture(engine):
    hooks = Recorder(hz=1000)
    (drawn,) = engine.draw(spec(steps=12), hooks)
    preview, picture = (
        np.asarray(Image.open(io.BytesIO(data)).resize((8, 8), Image.Resampling.BOX)).astype(int)
        for data in (hooks.previews[-1], drawn.png)
    )
    assert np.abs(preview - picture).mean() < 40  # its colours are learnt from what was drawn before


def test_previews_keep_to_the_wished_rate():
    now = iter([0.0, 0.1, 0.2, 0.6, 0.6, 0.7])
    hooks = Recorder(hz=2)
    watch = Watch(hooks, clock=lambda: next(now))
    for step in range(4):
        watch.report("sampling", step, 4, lambda wish: b"picture" if wish.hz == 2 else None)
    assert len(hooks.previews) == 1


def test_no_previews_for_who_wishes_none():
    hooks = Recorder(hz=0)
    Watch(hooks).report("sampling", 1, 4, lambda _: pytest.fail("drawn"))
    assert hooks.previews == []


def test_a_preview_that_cannot_be_small_enough_is_left_out():
    noise = np.random.default_rng(0).integers(0, 255, (1, 256, 256, 3), dtype=np.uint8)
    assert preview_bytes(noise, PreviewWish(px=512, max_kb=1)) is None
    assert len(preview_bytes(noise, PreviewWish(px=256, max_kb=16))) <= 16 * 1024
