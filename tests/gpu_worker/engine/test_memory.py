"""Out of memory: smaller portions first, then tiles, then a plain failure after which the engine goes on."""

import pytest
import torch
from drawing import Recorder, borrowed, draw, pixels, spec
from make_checkpoint import write_checkpoint

from gpu_worker.engine.engine import EngineError
from gpu_worker.engine.memory import Portions, is_out_of_memory

SMALL = {"width": 64, "height": 64, "steps": 2}


@pytest.fixture
def checkpoint(engine):
    with borrowed(engine) as checkpoint:
        yield checkpoint


def limited(function, limit, sizes, measure=len):
    """`function`, out of memory for arguments over `limit`."""

    def call(first, *rest, **named):
        sizes.append(measure(first))
        if measure(first) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return function(first, *rest, **named)

    return call


def test_portions_halve_until_they_fit_and_remember():
    sizes = []
    portions = Portions(torch.device("cpu"))
    double = limited(lambda part: part * 2, 1, sizes)
    batch = torch.arange(5.0)
    assert torch.equal(portions.run(batch, double), batch * 2)
    assert sizes == [5, 3, 2, 1, 1, 1, 1, 1]
    sizes.clear()
    portions.run(batch, double)
    assert sizes == [1] * 5


def test_other_errors_are_not_taken_for_it():
    def broken(_):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        Portions(torch.device("cpu")).run(torch.zeros(4), broken)
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not is_out_of_memory(ValueError("DefaultCPUAllocator"))


def test_a_batch_that_does_not_fit_is_split_and_draws_the_same(engine, checkpoint, monkeypatch):
    whole = draw(engine, **SMALL, count=4)
    sizes = []
    monkeypatch.setattr(checkpoint.unet, "forward", limited(checkpoint.unet.forward, 2, sizes))
    split = draw(engine, **SMALL, count=4)
    assert max(sizes) == 8
    for a, b in zip(whole, split, strict=True):
        assert abs(pixels(a) - pixels(b)).max() <= 1


def test_the_vae_falls_back_to_single_pictures_and_then_to_tiles(engine, checkpoint, monkeypatch):
    spec_ = {"width": 256, "height": 128, "steps": 2, "count": 2}
    whole = draw(engine, **spec_)
    decode, tried = checkpoint.vae.decode, []

    def tight(latents, **named):
        tried.append((len(latents), checkpoint.vae.use_tiling))
        if len(latents) > 1 or not checkpoint.vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(latents, **named)

    monkeypatch.setattr(checkpoint.vae, "decode", tight)
    tiled = draw(engine, **spec_)
    assert tried == [(2, False), (1, False), (1, True), (1, True)]
    assert not checkpoint.vae.use_tiling
    for a, b in zip(whole, tiled, strict=True):
        assert abs(pixels(a) - pixels(b)).mean() < 12


def test_a_picture_that_does_not_fit_at_all_fails_plainly(engine, checkpoint, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.unet, "forward", limited(checkpoint.unet.forward, 0, []))
        with pytest.raises(EngineError) as caught:
            engine.draw(spec(**SMALL), Recorder())
    assert caught.value.kind == "oom"
    assert caught.value.detail == {"width": 64, "height": 64, "count": 1}
    assert engine.loaded is None
    assert draw(engine, **SMALL)


def test_weights_that_give_no_numbers_fail_plainly(engine, checkpoint, monkeypatch):
    forward = checkpoint.unet.forward
    monkeypatch.setattr(checkpoint.unet, "forward", lambda *a, **k: (forward(*a, **k)[0] * float("nan"),))
    with pytest.raises(EngineError) as caught:
        draw(engine, **SMALL)
    assert caught.value.detail == {"reason": "not_finite"}


def test_a_vae_that_fails_in_half_precision_is_run_in_full_and_put_back(engine, checkpoint, monkeypatch):
    expected = draw(engine, **SMALL)[0]
    decode, used = checkpoint.vae.decode, []

    def overflowing(latents, **named):
        used.append(checkpoint.vae.dtype)
        scale = float("nan") if checkpoint.vae.dtype == torch.float16 else 1
        return (decode(latents, **named)[0] * scale,)

    monkeypatch.setattr(checkpoint.vae, "decode", overflowing)
    checkpoint.vae.half()
    try:
        (drawn,) = draw(engine, **SMALL)
        assert used == [torch.float16, torch.float32]
        assert checkpoint.vae.dtype == torch.float16
        assert abs(pixels(drawn) - pixels(expected)).max() <= 1
    finally:
        checkpoint.vae.float()


def test_a_files_vae_is_cut_into_tiles_of_its_training_size(models_dir, engine):
    write_checkpoint(models_dir / "checkpoints" / "tiles.safetensors", "sd15-small", 0, torch.float32)
    with borrowed(engine, "tiles") as loaded:
        assert (loaded.vae.tile_sample_min_size, loaded.vae.tile_latent_min_size) == (512, 64)


def test_tiles_are_left_alone_where_convolutions_wrap(engine, checkpoint, monkeypatch):
    decode, tried = checkpoint.vae.decode, []

    def tight(latents, **named):
        tried.append(checkpoint.vae.use_tiling)
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.vae, "decode", tight)
        with pytest.raises(EngineError) as caught:
            draw(engine, **SMALL, tiling=True)
    assert caught.value.kind == "oom"
    assert not any(tried)
    assert checkpoint.vae.decode == decode


def test_a_preview_that_fails_or_runs_away_costs_nothing_but_itself(engine, checkpoint, monkeypatch):
    plain = draw(engine, **SMALL, seed=4)[0]
    colours = checkpoint.preview_map
    colours.learn(torch.full((1, 4, 8, 8), float("nan")), torch.zeros(1, 3, 64, 64))
    assert not colours.empty
    hooks = Recorder(hz=1000)
    draw(engine, hooks, **SMALL, seed=4)
    assert hooks.previews

    def broken(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(colours, "colours", broken)
    (drawn,) = draw(engine, Recorder(hz=1000), **SMALL, seed=4)
    assert drawn.png == plain.png


def test_on_the_cpu_batches_are_bounded_from_the_start():
    sizes = []
    batch = torch.arange(7.0)
    work = limited(lambda part: part, 99, sizes)
    assert torch.equal(Portions(torch.device("cpu")).run(batch, work, at_most=3), batch)
    assert sizes == [3, 3, 1]
