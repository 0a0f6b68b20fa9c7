import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from upscaler_files import CPU, model_file, rrdb_weights

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.images.geometry import resample
from gpu_worker.engine.upscale import run
from gpu_worker.engine.upscale import upscalers as upscalers_module
from gpu_worker.engine.upscale.tiles import averaged, dense_grid, merged, split_grid
from gpu_worker.engine.upscale.upscalers import Upscalers


def silent(*_):
    return None


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.fixture
def upscalers(tmp_path):
    save_file(rrdb_weights(factor=4), tmp_path / "Repeat4.safetensors")
    torch.save({"params_ema": rrdb_weights(factor=2)}, tmp_path / "repeat2.pth")
    save_file(rrdb_weights(factor=4, seed=3), tmp_path / "Random.safetensors")
    files = [model_file(path) for path in tmp_path.iterdir()]
    return Upscalers(lambda: files, CPU)


def repeated(picture, factor):
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def test_names_come_in_a1111s_order(upscalers):
    assert upscalers.names() == ("None", "Lanczos", "Nearest", "Random", "repeat2", "Repeat4")


@pytest.mark.parametrize(("name", "factor"), [("Repeat4", 4), ("repeat2", 2)])
def test_a_model_draws_its_own_factor(upscalers, picture, name, factor):
    (drawn,) = upscalers.enlarge([picture], 56 * factor, 40 * factor, name, check=silent, report=silent)
    assert (drawn == repeated(picture, factor)).all()


def test_sizes_beyond_and_below_the_factor_end_in_lanczos(upscalers, picture):
    (thrice,) = upscalers.enlarge([picture], 168, 120, "Repeat4", check=silent, report=silent)
    assert (thrice == resample(repeated(picture, 4), 168, 120)).all()
    (odd,) = upscalers.enlarge([picture], 301, 203, "repeat2", check=silent, report=silent)
    assert odd.shape == (203, 301, 3)
    (sixfold,) = upscalers.enlarge([picture], 336, 240, "repeat2", check=silent, report=silent)
    assert (sixfold == resample(repeated(picture, 8), 336, 240)).all()


def test_scaled_reaches_a_multiple_of_eight(upscalers):
    picture = np.zeros((50, 100, 3), np.uint8)
    for name in ("None", "Lanczos", "Nearest", "Repeat4"):
        assert upscalers.scaled(picture, 2.5, name, check=silent, report=silent).shape == (120, 248, 3), name


def test_without_a_model(upscalers, picture):
    for name in ("None", "Lanczos"):
        (drawn,) = upscalers.enlarge([picture], 112, 80, name, check=silent, report=silent)
        assert (drawn == resample(picture, 112, 80)).all()
    (nearest,) = upscalers.enlarge([picture], 112, 80, "Nearest", check=silent, report=silent)
    assert (nearest == repeated(picture, 2)).all()
    (smaller,) = upscalers.enlarge([picture], 28, 20, "Nearest", check=silent, report=silent)
    assert (smaller == resample(picture, 28, 20)).all()


def test_channels_go_in_as_bgr(tmp_path):
    save_file(rrdb_weights(blue_bias=0.5), tmp_path / "bluer.safetensors")
    upscalers = Upscalers(lambda: [model_file(tmp_path / "bluer.safetensors")], CPU)
    picture = np.full((16, 16, 3), 10, np.uint8)
    (drawn,) = upscalers.enlarge([picture], 64, 64, "bluer", check=silent, report=silent)
    assert (drawn[:, :, :2] == 10).all()
    assert (abs(drawn[:, :, 2].astype(int) - 137.5) <= 1).all()


def test_tiles_join_without_a_seam(upscalers):
    picture = np.random.default_rng(2).integers(0, 256, (200, 408, 3), dtype=np.uint8)
    told = []
    (drawn,) = upscalers.enlarge([picture], 816, 400, "repeat2", check=silent, report=lambda *a: told.append(a))
    assert (drawn == repeated(picture, 2)).all()
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({done for done, _ in told}) >= 6
    assert told[-1] == (100, 100)


def test_tiles_of_a_real_network_are_blended(upscalers, monkeypatch):
    """Random weights see beyond their tile, so that tiles disagree where they meet: slightly, and without a step."""
    x, y = np.meshgrid(np.linspace(0, 6, 96), np.linspace(0, 6, 96))
    picture = np.stack([127 + 120 * np.sin(x), 127 + 120 * np.cos(y), 127 + 120 * np.sin(x + y)], axis=2).astype(
        np.uint8
    )
    (whole,) = upscalers.enlarge([picture], 384, 384, "Random", check=silent, report=silent)
    monkeypatch.setattr(run, "TILE_PX", 48)
    (tiled,) = upscalers.enlarge([picture], 384, 384, "Random", check=silent, report=silent)
    difference = np.abs(whole.astype(int) - tiled)
    assert 0 < difference.max() < 40
    assert difference.mean() < 1


def test_overlaps_are_a_linear_ramp():
    grid = split_grid(40, 24, 24, 24, 8)
    assert grid.columns == (0, 16)
    left, right = np.full((24, 24, 3), 0, np.uint8), np.full((24, 24, 3), 240, np.uint8)
    row = merged([left, right], grid, 1)[12, :, 0]
    assert (row[:17] == 0).all()
    assert (np.abs(row[16:24] - np.arange(8) * 30) <= 1).all()
    assert (row[24:] == 240).all()
    upright = split_grid(24, 40, 24, 24, 8)
    assert (merged([left, right], upright, 1)[:, 12, 0] == row).all()


def test_dense_grids_are_averaged():
    grid = dense_grid(40, 24, 24, 8)
    assert grid.columns == (0, 16)
    row = averaged([np.full((24, 24, 3), 0, np.uint8), np.full((24, 24, 3), 241, np.uint8)], grid, 1)[3, :, 0]
    assert list(row) == [0] * 16 + [121] * 8 + [241] * 16


def test_cancelling_between_tiles(upscalers):
    picture, checks = np.zeros((400, 400, 3), np.uint8), []

    def check():
        checks.append(1)
        if len(checks) > 3:
            raise DrawingCancelled

    with pytest.raises(DrawingCancelled):
        upscalers.enlarge([picture], 800, 800, "repeat2", check=check, report=silent)
    assert len(checks) == 4


def test_out_of_memory_makes_tiles_smaller(upscalers, monkeypatch):
    picture, sizes = np.random.default_rng(3).integers(0, 256, (200, 200, 3), dtype=np.uint8), []
    tile = run._tile

    def small_card(model, part, device):
        sizes.append(part.shape[1])
        if part.shape[1] > 100:
            raise torch.OutOfMemoryError("no room")
        return tile(model, part, device)

    monkeypatch.setattr(run, "_tile", small_card)
    (drawn,) = upscalers.enlarge([picture], 400, 400, "repeat2", check=silent, report=silent)
    assert (drawn == repeated(picture, 2)).all()
    assert sizes[0] == 192
    assert set(sizes[1:]) == {96}

    def no_card(model, part, device):
        raise torch.OutOfMemoryError("no room at all")

    monkeypatch.setattr(run, "_tile", no_card)
    with pytest.raises(EngineError) as caught:
        upscalers.enlarge([picture], 400, 400, "repeat2", check=silent, report=silent)
    assert caught.value.kind == "oom"
    assert caught.value.detail == {"upscaler": "repeat2"}


def test_no_number_in_half_precision_is_drawn_again_in_full(tmp_path, picture):
    weights = rrdb_weights(factor=2)
    # Beyond half precision's range in between, and back in it at the end.
    weights["conv_first.weight"] *= 4
    weights["conv_up1.weight"] *= 2**15
    weights["conv_hr.weight"] *= 2**-9
    weights["conv_last.weight"] *= 2**-8
    save_file(weights, tmp_path / "loud.safetensors")
    upscalers = Upscalers(lambda: [model_file(tmp_path / "loud.safetensors")], CPU)
    model = upscalers._model("loud")
    model.use(torch.float16)
    (drawn,) = upscalers.enlarge([picture], 112, 80, "loud", check=silent, report=silent)
    assert (drawn == repeated(picture, 2)).all()
    assert model.dtype == torch.float32


class Attack:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def damaged(path):
    path.write_bytes(b"\x00" * 100)


def attacking(path):
    with path.open("wb") as file:
        pickle.dump({"conv_first.weight": Attack()}, file)


def huge_number(path):
    torch.save(rrdb_weights() | {"body.999999999.rdb1.conv1.weight": torch.zeros(4, 8, 3, 3)}, path)


def other_layout(path):
    torch.save({"something.weight": torch.zeros(3)}, path)


def missing_half(path):
    torch.save({key: value for key, value in rrdb_weights().items() if "rdb2" not in key}, path)


@pytest.mark.parametrize("make", [damaged, attacking, huge_number, other_layout, missing_half])
def test_bad_files_are_refused(tmp_path, picture, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pth"
    make(path)
    upscalers = Upscalers(lambda: [model_file(path)], CPU)
    with pytest.raises(EngineError) as caught:
        upscalers.enlarge([picture], 224, 160, "bad", check=silent, report=silent)
    assert caught.value.kind == "bad_model"
    assert caught.value.detail["upscaler"] == "bad"
    assert caught.value.detail["problem"] in {"corrupt", "unsafe", "unknown_layout"}
    assert not (tmp_path / "pwned").exists()


def test_unknown_and_vanished_models(tmp_path, picture):
    gone = model_file(tmp_path / "gone.pth")
    noted = model_file(tmp_path / "noted.pth", problem="corrupt")
    upscalers = Upscalers(lambda: [gone, noted], CPU)
    assert upscalers.names() == ("None", "Lanczos", "Nearest", "gone")
    for name, kind in (("gone", "missing_model"), ("never there", "missing_model"), ("noted", "bad_model")):
        with pytest.raises(EngineError) as caught:
            upscalers.enlarge([picture], 224, 160, name, check=silent, report=silent)
        assert caught.value.kind == kind
        assert caught.value.detail["upscaler"] == name


def test_a_loaded_model_is_used_again_until_its_file_changes(tmp_path, picture):
    path = tmp_path / "model.safetensors"
    save_file(rrdb_weights(factor=2), path)
    upscalers = Upscalers(lambda: [model_file(path)], CPU)
    first = upscalers._model("model")
    assert upscalers._model("model") is first
    save_file(rrdb_weights(factor=4), path)
    assert upscalers._model("model").network.scale == 4


def test_a_network_that_cannot_read_pictures_is_named(upscalers, picture, monkeypatch):
    def failing(model, part, device):
        raise RuntimeError("expected 6 channels")

    monkeypatch.setattr(run, "_tile", failing)
    with pytest.raises(EngineError) as caught:
        upscalers.enlarge([picture], 112, 80, "repeat2", check=silent, report=silent)
    assert caught.value.kind == "bad_model"
    assert caught.value.detail == {"upscaler": "repeat2", "problem": "unsupported"}


def test_a_last_run_does_not_overshoot_by_far(upscalers, picture, monkeypatch):
    """Four times four times 56 is far beyond six times 56: the second run gets what leads just there."""
    seen, tile = [], run._tile
    monkeypatch.setattr(run, "_tile", lambda model, part, device: seen.append(part.shape) or tile(model, part, device))
    monkeypatch.setattr(upscalers_module, "INTERMEDIATE_MAX_PX", 500)
    (drawn,) = upscalers.enlarge([picture], 336, 240, "Repeat4", check=silent, report=silent)
    assert seen == [(40, 56, 3), (60, 84, 3)]
    assert drawn.shape == (240, 336, 3)


def test_the_model_unused_longest_goes_first(upscalers):
    first, second = upscalers._model("Repeat4"), upscalers._model("repeat2")
    assert upscalers._model("Repeat4") is first
    upscalers._model("Random")
    assert upscalers._model("Repeat4") is first
    assert upscalers._model("repeat2") is not second
    upscalers.clear()
    assert upscalers._model("Repeat4") is not first
