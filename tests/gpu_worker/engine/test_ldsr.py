"""LDSR with random weights in its published layout. The networks were compared once with CompVis' own code, which gave
the same numbers; the published weights have never been at hand."""

import math

import numpy as np
import pytest
import torch
from ldsr_files import UNET, averaged, ldsr_weights
from safetensors.torch import save_file

from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.upscale import ldsr
from gpu_worker.engine.upscale.ldsr import LatentUpscaler
from gpu_worker.engine.upscale.ldsr_file import is_ldsr, load_ldsr
from gpu_worker.engine.upscale.upscalers import Upscalers
from gpu_worker.language.kinds import read_file
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact

CPU = Device(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("ldsr") / "LDSR.ckpt"
    torch.save({"state_dict": ldsr_weights(), "epoch": 3, "optimizer_states": [{"lr": 0.1}]}, path)
    return path


@pytest.fixture(scope="module")
def networks(checkpoint):
    return load_ldsr(checkpoint, "LDSR")


@pytest.fixture(autouse=True)
def small_patches(monkeypatch):
    """A quarter of the published ones, so that the tests are quick."""
    assert (ldsr.PATCH_CELLS, ldsr.PAD_CELLS) == (128, 64)
    for name, cells in (("PATCH_CELLS", 32), ("PATCH_LEAST", 16), ("PAD_CELLS", 16)):
        monkeypatch.setattr(ldsr, name, cells)


def shades(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def enlarged(networks, picture, steps=2, **watch):
    def nothing(*_):
        pass

    return LatentUpscaler(networks, steps).run(picture, CPU, watch.get("check", nothing), watch.get("done", nothing))


def test_it_is_told_by_its_keys(checkpoint, tmp_path):
    assert is_ldsr(checkpoint)
    assert read_file("upscaler", checkpoint).problem is None
    save_file({"conv_first.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert not is_ldsr(tmp_path / "other.safetensors")
    (tmp_path / "none.pth").write_bytes(b"none")
    assert not is_ldsr(tmp_path / "none.pth")


def test_both_kinds_of_files_hold_the_same(networks, tmp_path):
    save_file(ldsr_weights(), tmp_path / "model.safetensors")
    again = load_ldsr(tmp_path / "model.safetensors", "LDSR")
    one, other = networks.unet.state_dict(), again.unet.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert networks.unet.config.down_block_types == ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D")


def test_the_average_draws_where_there_is_one(tmp_path):
    save_file({**ldsr_weights(), **averaged(ldsr_weights(9))}, tmp_path / "x.safetensors")
    found = load_ldsr(tmp_path / "x.safetensors", "LDSR").unet.conv_in.weight
    assert torch.equal(found, ldsr_weights(9)[f"{UNET}input_blocks.0.0.weight"])


def test_heads_are_parted_as_openais_attention_has_them(networks):
    """Its convolution gives each head's query, key and value one behind the other."""
    width, head = 64, 32
    weights = {key.removeprefix(f"{UNET}middle_block.1."): value for key, value in ldsr_weights().items()}
    x = torch.randn(1, width, 6, 5, generator=torch.Generator().manual_seed(2))
    normed = torch.nn.functional.group_norm(x.flatten(2), 32, weights["norm.weight"], weights["norm.bias"], 1e-5)
    mixed = torch.nn.functional.conv1d(normed, weights["qkv.weight"], weights["qkv.bias"])
    query, key, value = mixed.reshape(width // head, 3 * head, -1).split(head, dim=1)
    shares = (torch.einsum("bct,bcs->bts", query, key) / math.sqrt(head)).softmax(dim=-1)
    seen = torch.einsum("bts,bcs->bct", shares, value).reshape(1, width, -1)
    out = torch.nn.functional.conv1d(seen, weights["proj_out.weight"], weights["proj_out.bias"])
    expected = x + out.reshape(x.shape)
    with torch.no_grad():
        assert torch.allclose(networks.unet.mid_block.attentions[0](x), expected, atol=1e-5)


def test_four_times_as_large_whatever_the_size_and_always_the_same(networks):
    picture = shades(20, 28)
    found = enlarged(networks, picture)
    assert found.shape == (80, 112, 3)
    assert found.dtype == np.uint8
    assert found.std() > 0
    assert np.array_equal(found, enlarged(networks, picture))
    assert not np.array_equal(found, enlarged(networks, shades(20, 28, seed=2)))
    assert not np.array_equal(found, enlarged(networks, picture, steps=3))


def test_a_large_picture_is_drawn_in_patches_that_are_counted(networks):
    told = []
    found = enlarged(networks, shades(34, 10), steps=2, done=lambda step, of: told.append((step, of)))
    assert found.shape == (136, 40, 3)
    # 48 x 32 cells: two patches, for two steps and the decoder.
    assert told == [(number, 6) for number in range(1, 7)]


def test_it_can_be_cancelled_between_patches(networks):
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 2:
            raise DrawingCancelled

    with pytest.raises(DrawingCancelled):
        enlarged(networks, shades(20, 20), steps=50, check=check)
    assert len(calls) == 3


def test_where_memory_is_short_patches_are_smaller_and_then_it_is_told(networks, monkeypatch):
    sides = []
    drawn = LatentUpscaler._drawn

    def short(self, picture, patch, *others):
        sides.append(patch)
        if patch > 16:
            raise torch.OutOfMemoryError("none left")
        return drawn(self, picture, patch, *others)

    monkeypatch.setattr(LatentUpscaler, "_drawn", short)
    assert enlarged(networks, shades(10, 10)).shape == (40, 40, 3)
    assert sides == [32, 16]
    monkeypatch.setattr(ldsr, "PATCH_LEAST", 32)
    with pytest.raises(EngineError) as caught:
        enlarged(networks, shades(10, 10))
    assert caught.value.kind == "oom"


def test_steps_that_do_not_divide_the_training_still_begin_at_its_noisy_end(networks):
    for steps in (1, 7, 100, 150, 1000):
        times = LatentUpscaler(networks, steps)._times()
        assert times[0] == 1
        assert len(times) >= steps
        assert times[-1] > 1000 - 2 * (1000 // steps)
    assert LatentUpscaler(networks, 100)._times() == [at * 10 + 1 for at in range(100)]


def test_the_list_of_upscalers_has_it_and_reaches_any_size(checkpoint):
    files = [ModelFile(ModelFact(kind="upscaler", name="LDSR"), checkpoint, checkpoint)]
    upscalers = Upscalers(lambda: files, CPU, ldsr_steps=1)
    assert "LDSR" in upscalers.names()
    told = []
    (found,) = upscalers.enlarge(
        [shades(24, 32)], 64, 48, "LDSR", check=lambda: None, report=lambda step, of: told.append((step, of))
    )
    assert found.shape == (48, 64, 3)
    assert told[-1] == (100, 100)


@pytest.mark.parametrize("gone", ["middle_block.1.qkv.weight", "out.0.weight", "input_blocks.1.0.in_layers.2.weight"])
def test_weights_that_lack_something(tmp_path, gone):
    weights = {key: value for key, value in ldsr_weights().items() if key != UNET + gone}
    save_file(weights, tmp_path / "bad.safetensors")
    with pytest.raises(EngineError) as caught:
        load_ldsr(tmp_path / "bad.safetensors", "bad")
    assert caught.value.detail == {"upscaler": "bad", "problem": "corrupt"}
