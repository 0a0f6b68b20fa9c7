"""Previews by TAESD: both layouts of its file, which pictures it is for, and what happens where it cannot be used."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DecoderTiny
from safetensors.torch import save_file

from gpu_worker.engine.taesd import COST_MAX_S, PreviewDecoders
from gpu_worker.language.kinds import read_file
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact

SD1, SDXL = SimpleNamespace(family="sd1"), SimpleNamespace(family="sdxl")
LATENT = torch.zeros(2, 4, 8, 6)


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(1)
    return DecoderTiny(4, 3, (3, 3, 3, 1), (64, 64, 64, 64), 2, "relu", "nearest").eval()


def written(decoder, path, *, layout="own"):
    tensors = {}
    for key, tensor in decoder.state_dict().items():
        number, rest = key.removeprefix("layers.").split(".", 1)
        own = f"{int(number) + 1}.{rest}"
        tensors[own if layout == "own" else f"decoder.{key}"] = tensor.contiguous()
    if path.suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    return model(path)


def model(path, problem=None):
    fact = ModelFact(kind="preview", name=path.stem, problem=problem)
    return ModelFile(fact, path, path, stamp=(str(path), 1, 1, 1, "preview"))


@pytest.mark.parametrize(
    ("name", "layout"), [("taesd_decoder.safetensors", "own"), ("taesd_decoder.pth", "own"), ("t.safetensors", "diff")]
)
def test_a_decoder_of_either_layout_draws_what_diffusers_draws(decoder, tmp_path, name, layout):
    file = written(decoder, tmp_path / name, layout=layout)
    latent = torch.randn(2, 4, 8, 6)
    colours = PreviewDecoders(lambda: [file]).colours(SD1, latent)
    with torch.no_grad():
        wanted = ((decoder(latent) + 1) / 2).clamp(0, 1).mul(255).round()
    assert colours.shape == (2, 64, 48, 3)
    assert np.abs(colours.astype(int) - wanted.permute(0, 2, 3, 1).numpy()).max() <= 1


def test_the_reader_knows_its_file_wherever_it_lies(decoder, tmp_path):
    own = written(decoder, tmp_path / "a.safetensors")
    other = written(decoder, tmp_path / "b.safetensors", layout="diff")
    for file in (own, other):
        assert read_file("preview", file.path).problem is None
        assert read_file(None, file.path).kind == "preview"
        assert read_file("vae", file.path).kind == "preview"
    save_file({"x.weight": torch.zeros(3)}, tmp_path / "c.safetensors")
    assert read_file("preview", tmp_path / "c.safetensors").problem == "unknown_layout"


def test_each_family_has_its_own(decoder, tmp_path):
    small = written(decoder, tmp_path / "taesd_decoder.safetensors")
    decoders = PreviewDecoders(lambda: [small])
    assert decoders.colours(SDXL, LATENT) is None
    wide = written(decoder, tmp_path / "taesdxl_decoder.safetensors")
    assert PreviewDecoders(lambda: [wide]).colours(SD1, LATENT) is None
    assert PreviewDecoders(lambda: [small, wide]).colours(SDXL, LATENT) is not None
    assert (
        PreviewDecoders(lambda: [model(tmp_path / "taesd_decoder.safetensors", "corrupt")]).colours(SD1, LATENT) is None
    )


def test_a_file_that_is_something_else_is_no_trouble(tmp_path, caplog):
    path = tmp_path / "taesd.safetensors"
    save_file({"1.weight": torch.zeros(64, 4, 3, 3), "3.conv.0.weight": torch.zeros(1)}, path)
    decoders = PreviewDecoders(lambda: [model(path)])
    assert decoders.colours(SD1, LATENT) is None
    assert decoders.colours(SD1, LATENT) is None
    assert caplog.text.count("cannot be used") == 1


def test_latents_of_another_depth_are_left_to_the_estimate(decoder, tmp_path):
    file = written(decoder, tmp_path / "taesd.safetensors")
    assert PreviewDecoders(lambda: [file]).colours(SD1, torch.zeros(1, 16, 8, 8)) is None


def test_large_latents_are_made_small_first(decoder, tmp_path):
    file = written(decoder, tmp_path / "taesd.safetensors")
    assert PreviewDecoders(lambda: [file]).colours(SD1, torch.zeros(1, 4, 192, 96)).shape == (1, 768, 384, 3)


def test_a_decoder_that_is_slow_here_is_used_once(decoder, tmp_path):
    file = written(decoder, tmp_path / "taesd.safetensors")
    times = iter([0.0, 3 * COST_MAX_S])
    decoders = PreviewDecoders(lambda: [file], clock=lambda: next(times))
    assert decoders.colours(SD1, LATENT) is not None
    assert decoders.colours(SD1, LATENT) is None
