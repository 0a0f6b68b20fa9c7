"""What is baked in draws as the LoRA does, and equals the engine's own merge."""

import json

import pytest
import torch
from make_checkpoint import weights_of, write_checkpoint
from safetensors.torch import load_file, save_file

from gpu_worker.convert.baking import baked_rows
from gpu_worker.convert.source import open_source
from gpu_worker.engine.adapters.merge import merged_networks
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.checkpoints.single_file import load_networks
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.networks import LoraRef
from gpu_worker.protocol.specs import BakedLora, BakeSpec

pytestmark = pytest.mark.slow
CPU = Device(torch.device("cpu"), torch.float32)


class Words:
    eos_token_id = 49407


def loaded(path):
    networks = load_networks(path, {}, Words(), CPU, lambda ask: "epsilon")
    return Checkpoint(
        name="m", family=networks.family, unet=networks.unet, vae=None, text_encoders=networks.text_encoders,
        latent_scale=1, table=networks.table, device=CPU,
    )  # fmt: skip


def parameters(checkpoint):
    networks = {"unet": checkpoint.unet} | {str(i): e.model for i, e in enumerate(checkpoint.text_encoders)}
    return {f"{n} {k}": t.clone() for n, network in networks.items() for k, t in network.named_parameters()}


def lora_for(path, rank=2):
    """A factor for every linear and convolution of all its networks, in kohya's names, with differences of norms."""
    checkpoint = loaded(path)
    dice = torch.Generator().manual_seed(7)
    xl = checkpoint.family in {"sdxl", "sdxl_refiner"}
    texts = ["lora_te1_", "lora_te2_"] if xl else ["lora_te_"]
    networks = [("lora_unet_", checkpoint.unet)]
    for encoder, prefix in zip(checkpoint.text_encoders, texts[-len(checkpoint.text_encoders) :], strict=True):
        networks.append((prefix, encoder.model))
    tensors = {}
    for prefix, network in networks:
        for name, module in network.named_modules():
            text = prefix.startswith("lora_te")
            flat = name.replace(".", "_")
            if text and not flat.startswith("text_"):
                flat = f"text_model_{flat}"
            at = f"{prefix}{flat}"
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
                out, into = module.weight.shape[:2]
                kernel = tuple(module.weight.shape[2:])
                tensors[f"{at}.lora_up.weight"] = torch.randn(out, rank, *(1 for _ in kernel), generator=dice)
                tensors[f"{at}.lora_down.weight"] = torch.randn(rank, into, *kernel, generator=dice)
                tensors[f"{at}.alpha"] = torch.tensor(0.5)
            elif isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm):
                tensors[f"{at}.w_norm"] = torch.randn(module.weight.shape, generator=dice)
                tensors[f"{at}.b_norm"] = torch.randn(module.bias.shape, generator=dice)
    return tensors


@pytest.mark.parametrize(
    "kind", ["sd15-small", "sd15-inpaint-small", "sd21-base-small", "sdxl-small", "sdxl-refiner-small"]
)
def test_every_module_as_the_engine_merges_it(shop, kind):
    path = shop.files["checkpoint", "m"] = shop.folder / "m.safetensors"
    write_checkpoint(path, kind, dtype=torch.float32)
    lora = shop.files["lora", "l"] = shop.folder / "l.safetensors"
    save_file(lora_for(path), lora)
    spec = BakeSpec(
        output="o", checkpoint="m", precision="fp32", loras=(BakedLora(name="l", unet=0.8, text_encoder=-0.5),)
    )
    made = shop.make(spec)
    checkpoint = loaded(path)
    plain = parameters(checkpoint)
    network = AppliedNetwork(LoraRef("l", te=-0.5, unet=0.8), read_network("l", lora), ("", 0, 0))
    with merged_networks(checkpoint, [network]):
        wanted = parameters(checkpoint)
    got = parameters(loaded(made.path))
    assert got.keys() == wanted.keys()
    changed = 0
    for name, tensor in wanted.items():
        torch.testing.assert_close(got[name], tensor, rtol=1e-5, atol=1e-5, msg=name)
        changed += not torch.equal(tensor, plain[name])
    assert changed > len(wanted) / 3
    vae = {key: tensor for key, tensor in weights_of(kind).items() if key.startswith("first_stage_model.")}
    kept = load_file(made.path)
    assert all(torch.equal(kept[key], tensor) for key, tensor in vae.items())


def test_several_and_their_record(shop):
    path = shop.files["checkpoint", "m"] = shop.folder / "m.safetensors"
    write_checkpoint(path, "sd15-small", dtype=torch.float16)
    tensors = lora_for(path)
    for name in ("l", "n"):
        shop.files["lora", name] = shop.folder / f"{name}.safetensors"
        save_file(
            tensors if name == "l" else {key: tensor * 0.5 for key, tensor in tensors.items()}, shop.files["lora", name]
        )
    spec = BakeSpec(output="o", checkpoint="m", loras=(BakedLora(name="l"), BakedLora(name="n", unet=0.5)))
    first, metadata = shop.load(spec)
    assert [entry["name"] for entry in json.loads(metadata["pincel.loras"])] == ["l.safetensors", "n.safetensors"]
    assert metadata["modelspec.merged_from"] == "m, l, n"
    assert {tensor.dtype for tensor in first.values() if tensor.is_floating_point()} == {torch.float16}
    made = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made.append(shop.make(spec, f"on {threads}").sha256)
    torch.set_num_threads(1)
    assert made[0] == made[1]


def test_a_lora_of_another_family(shop):
    for name, kind in (("m", "sd15-small"), ("x", "sdxl-small")):
        shop.files["checkpoint", name] = shop.folder / f"{name}.safetensors"
        write_checkpoint(shop.files["checkpoint", name], kind)
    shop.files["lora", "l"] = shop.folder / "l.safetensors"
    save_file(lora_for(shop.files["checkpoint", "x"]), shop.files["lora", "l"])
    with pytest.raises(EngineError) as caught:
        shop.make(BakeSpec(output="o", checkpoint="m", loras=(BakedLora(name="l"),)))
    assert caught.value.detail == {"lora": "l", "checkpoint": "m", "reason": "lora_misfit"}


def test_a_bias_where_the_layout_has_none(shop):
    path = shop.folder / "m.safetensors"
    write_checkpoint(path, "sd15-small")
    at = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    save_file({f"{at}.diff_b": torch.ones(64)}, shop.folder / "l.safetensors")
    parts = read_network("l", shop.folder / "l.safetensors")
    with open_source(path, "m") as source, pytest.raises(EngineError) as caught:
        baked_rows(source, [AppliedNetwork(LoraRef("l"), parts, ("", 0, 0))])
    assert caught.value.detail["reason"] == "lora_misfit"
