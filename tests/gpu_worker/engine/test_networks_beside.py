"""LoRAs beside the weights answer as merged ones do, for the rows that have them alone."""

import pytest
import torch
from drawing import Recorder, borrowed, draw, pixels, spec
from networks import CONV, LINEAR, POINT, dice, kohya, lora, merged, network, saved

from gpu_worker.engine.adapters.beside import NetworksBeside, runs_beside
from gpu_worker.engine.conditioning.guide import PartNetworks
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.regions import DEFAULT_REGIONS
from gpu_worker.protocol.specs import Regions


@pytest.fixture(scope="module")
def checkpoint(engine):
    with borrowed(engine) as found:
        yield found


def answer(checkpoint, rows=3):
    sample = dice(rows, 4, 8, 8, seed=1)
    context = dice(rows, 77, checkpoint.unet.config.cross_attention_dim, seed=2)
    with torch.no_grad():
        return checkpoint.unet(sample, torch.full((rows,), 500.0), context, return_dict=False)[0]


def tensors(checkpoint, *names, seed=0, size=0.2):
    found = {}
    for name in names:
        weight = checkpoint.unet.get_submodule(name).weight
        found |= lora(kohya(name), weight.shape[0], tuple(weight.shape[1:]), seed=seed, alpha=1)
    return {key: value if "alpha" in key else value * size for key, value in found.items()}


def test_each_row_has_its_own_and_nothing_stays(checkpoint, tmp_path):
    one = network(saved(tmp_path, tensors(checkpoint, LINEAR, CONV, POINT, "conv_in"), "one"), unet=0.8)
    two = network(saved(tmp_path, tensors(checkpoint, LINEAR, "time_embedding.linear_1", seed=9), "two"), rank=1)
    plain = answer(checkpoint)
    wanted = []
    for own in ((), (one,), (one, two)):
        merger = merged(checkpoint, *own)
        wanted.append(answer(checkpoint)[len(wanted)])
        merger.restore()
    with NetworksBeside(checkpoint).of_rows([(), (one,), (one, two)]):
        got = answer(checkpoint)
    torch.testing.assert_close(got, torch.stack(wanted), atol=2e-4, rtol=1e-3)
    assert (got[1:] - plain[1:]).abs().mean() > 1e-3
    assert torch.equal(answer(checkpoint), plain)


def test_nothing_stays_of_a_failure(checkpoint, tmp_path):
    one = network(saved(tmp_path, tensors(checkpoint, LINEAR), "one"))
    misfit = network(saved(tmp_path, lora(kohya(LINEAR), 7, 5), "misfit"))
    plain, beside = answer(checkpoint), NetworksBeside(checkpoint)
    with pytest.raises(EngineError) as caught, beside.of_rows([(), (one,), (misfit,)]):
        pass
    assert caught.value.detail["reason"] == "lora_misfit"
    with pytest.raises(RuntimeError), beside.of_rows([(one,)] * 3):
        raise RuntimeError
    assert torch.equal(answer(checkpoint), plain)


def test_whatever_is_no_plain_lora_is_merged(checkpoint, tmp_path):
    weight = checkpoint.unet.get_submodule(LINEAR).weight
    plain = network(saved(tmp_path, tensors(checkpoint, LINEAR), "plain"))
    other = network(saved(tmp_path, {f"{kohya(LINEAR)}.diff": dice(*weight.shape)}, "whole"))
    dora = tensors(checkpoint, LINEAR) | {f"{kohya(LINEAR)}.dora_scale": torch.ones(weight.shape[0], 1)}
    assert [runs_beside(n) for n in (plain, other, network(saved(tmp_path, dora, "dora")))] == [True, False, False]
    shared = PartNetworks.of((other, plain), (other,))
    assert (shared.merged, shared.beside) == ((other,), (plain,))
    apart = PartNetworks.of((plain, other), (plain,))
    assert (apart.merged, apart.beside) == ((plain, other), ())
    # The part's own weight for a LoRA of the whole picture: its rows cannot go by what is merged for all.
    stronger = network(saved(tmp_path, tensors(checkpoint, LINEAR), "plain"), unet=2)
    assert PartNetworks.of((stronger, stronger), (plain,)).merged == (stronger, stronger)


@pytest.mark.slow
def test_merged_and_beside_draw_alike(engine, models_dir, monkeypatch):
    with borrowed(engine) as checkpoint:
        saved(models_dir / "loras", tensors(checkpoint, LINEAR, CONV, POINT, size=0.4), "beside-a")
        saved(models_dir / "loras", tensors(checkpoint, LINEAR, seed=4, size=0.4), "beside-b")
    regions = Regions(areas=DEFAULT_REGIONS, loras_apart=True)
    prompt = "a star AND a red star <lora:beside-a:1> AND a blue star <lora:beside-b:-0.7>"
    beside = draw(engine, prompt=prompt, regions=regions, count=2)
    without = draw(engine, prompt="a star AND a red star AND a blue star", regions=regions, count=2)
    monkeypatch.setattr("gpu_worker.engine.conditioning.guide.runs_beside", lambda network: False)
    merged_ones = engine.draw(spec(prompt=prompt, regions=regions, count=2), Recorder())
    for one, other, plain in zip(beside, merged_ones, without, strict=True):
        assert abs(pixels(one) - pixels(other)).max() <= 2
        assert abs(pixels(one) - pixels(plain)).max() > 10
