"""What is put beside which modules, and what the files of it are."""

import pytest
import torch
from safetensors.torch import load_file
from setting import PICTURES, spec, subset, train

from gpu_worker.engine.adapters.merge import merge_orders
from gpu_worker.engine.adapters.modules import ModuleBook
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.language.networks import LoraRef

pytestmark = pytest.mark.slow

KINDS = {
    "lora": {},
    "locon": {"network_module": "lycoris.kohya", "conv_dim": 2, "conv_alpha": 1.0},
    "loha": {"network_module": "lycoris.kohya", "algo": "loha"},
    "lokr": {"network_module": "lycoris.kohya", "algo": "lokr", "factor": 4},
    "unet": {"network_train_unet_only": True, "save_precision": "fp16"},
    "text": {"network_train_text_encoder_only": True, "gradient_checkpointing": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_by_our_own_loader_for_modules_that_are_there(tmp_path, kind, checkpoint):
    train(spec(max_train_steps=2, **KINDS[kind]), tmp_path)
    parts = read_network("zorb", tmp_path / "zorb.safetensors")
    places = {part.place.network for part in parts}
    assert places == {"unet": {"unet"}, "text": {"only"}}.get(kind, {"unet", "only"})
    applied = AppliedNetwork(LoraRef("zorb", 1.0, 1.0), parts, ("zorb", 0, 0))
    orders = merge_orders(ModuleBook(checkpoint), "pincel-demo", (applied,))
    assert len(orders) == len(parts)
    tensors = load_file(tmp_path / "zorb.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16 if kind == "unet" else torch.float32}
    wide = [name for name, tensor in tensors.items() if "lora_down" in name and tensor.shape[-1] == 3]
    assert bool(wide) == (kind == "locon")
    # Both factors moved: the second is no longer zero.
    second = [name for name in tensors if name.endswith(("lora_up.weight", "hada_w2_a", "lokr_w2", "lokr_w2_b"))]
    assert second
    assert any(bool((tensors[name] != 0).any()) for name in second)


@pytest.fixture(scope="module")
def checkpoint():
    from setting import models

    from gpu_worker.engine.checkpoints.cache import ModelCache
    from gpu_worker.engine.device import Device
    from gpu_worker.engine.options import EngineOptions

    options = EngineOptions(device="cpu")
    where = models()
    with ModelCache(Device.choose(options), options, where.vocabulary).borrow(where.checkpoint) as found:
        yield found


def test_files_of_epochs_come_and_go(tmp_path):
    wanted = spec(max_train_steps=1600, max_train_epochs=5, save_every_n_epochs=1, save_last_n_epochs=2)
    wanted = wanted.model_copy(update={"datasets": spec(subset(["p0"], num_repeats=1)).datasets})
    _, watcher = train(wanted, tmp_path)
    assert [file.path.name for file in watcher.files] == [
        "zorb-000001.safetensors", "zorb-000002.safetensors", "zorb-000003.safetensors", "zorb-000004.safetensors",
        "zorb.safetensors",
    ]  # fmt: skip
    assert [file.final for file in watcher.files] == [False] * 4 + [True]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "zorb-000003.safetensors", "zorb-000004.safetensors", "zorb.safetensors",
    ]  # fmt: skip


def test_what_is_cached_and_what_is_not_learns_alike(tmp_path):
    names = list(PICTURES)
    one, other = (
        train(spec(subset(names, rules={"flip_aug": True}), max_train_steps=2, cache_latents=cached), tmp_path / name)[
            1
        ]
        for name, cached in (("a", True), ("b", False))
    )
    assert one.losses == other.losses
