"""SD 2.x, SDXL and what cannot be trained on: random checkpoints in single files."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from setting import models, spec, subset, train

from gpu_worker.engine.adapters.merge import merge_orders
from gpu_worker.engine.adapters.modules import ModuleBook
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.networks import LoraRef

sys.path.append(str(Path(__file__).parents[2] / "fidelity"))

from make_checkpoint import write_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture
def base(tmp_path):
    def made(kind):
        folder = tmp_path / "models" / "checkpoints"
        folder.mkdir(parents=True)
        write_checkpoint(folder / f"{kind}.safetensors", kind, dtype=torch.float32)
        return models(tmp_path / "models", kind)

    return made


@pytest.mark.parametrize(
    ("kind", "networks", "version"),
    [("sd21-v-small", {"unet", "only"}, "sd_v2"), ("sdxl-small", {"unet", "first", "second"}, "sdxl_base_v1-0")],
)
def test_files_fit_the_checkpoint_that_they_were_made_beside(tmp_path, base, kind, networks, version):
    where = base(kind)
    long = subset(["p0", "wide"], caption=", ".join(f"word{number}" for number in range(60)))
    wanted = spec(long, checkpoint=kind, max_train_steps=2, max_token_length=150, min_snr_gamma=5.0)
    _, watcher = train(wanted, tmp_path / "out", models=where)
    assert len(watcher.steps) == 2
    parts = read_network("zorb", tmp_path / "out" / "zorb.safetensors")
    assert {part.place.network for part in parts} == networks
    options = EngineOptions(device="cpu")
    with ModelCache(Device.choose(options), options, where.vocabulary).borrow(where.checkpoint) as checkpoint:
        applied = AppliedNetwork(LoraRef("zorb", 1.0, 1.0), parts, ("zorb", 0, 0))
        assert len(merge_orders(ModuleBook(checkpoint), kind, (applied,))) == len(parts)
    with safe_open(tmp_path / "out" / "zorb.safetensors", "pt") as file:
        assert file.metadata()["ss_base_model_version"].startswith(version)
        layers = {key.split("_layers_")[1].split("_")[0] for key in file.keys() if key.startswith("lora_te_")}  # noqa: SIM118
        # Of three layers: SD 2.x does not read its last one.
        assert layers == ({"0", "1"} if kind == "sd21-v-small" else set())
        assert len(json.loads(file.metadata()["ss_bucket_info"])["buckets"]) == 2


def test_an_inpainting_checkpoint_is_no_base(tmp_path, base):
    with pytest.raises(EngineError) as refused:
        train(spec(checkpoint="sd15-inpaint-small"), tmp_path / "out", models=base("sd15-inpaint-small"))
    assert refused.value.detail["reason"] == "base_not_trainable"
    assert "ordinary checkpoint" in refused.value.message
