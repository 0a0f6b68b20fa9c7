"""Conversions against plain computations on the whole dictionary."""

import hashlib

import pytest
import torch
from conftest import digest
from make_checkpoint import KINDS, weights_of, write_checkpoint
from safetensors.torch import load_file, save_file

from gpu_worker.engine.errors import EngineError
from gpu_worker.language.headers import read_header
from gpu_worker.protocol.specs import ConvertSpec, Parts

SMALL = sorted(kind for kind in KINDS if kind.endswith("-small"))
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def same(one, other):
    assert one.keys() == other.keys()
    for key, tensor in one.items():
        assert tensor.dtype == other[key].dtype, key
        assert torch.equal(tensor, other[key]), key


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_half_precision_without_averages(shop, tmp_path, kind, suffix):
    path = shop.files["checkpoint", "m"] = tmp_path / f"m{suffix}"
    write_checkpoint(path, kind, dtype=torch.float32)
    got, metadata = shop.load(ConvertSpec(output="o", model="m"))
    wanted = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in weights_of(kind).items()
        if not key.startswith("model_ema.")
    }
    same(wanted, got)
    assert metadata["pincel.source_sha256"] == digest(path)
    assert metadata["pincel.source"] == path.name


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "keep"])
def test_precisions(shop, tmp_path, precision):
    path = shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    write_checkpoint(path, "sd15-small", dtype=torch.bfloat16)
    got, _ = shop.load(ConvertSpec(output="o", model="m", precision=precision, weights="all"))
    kept = load_file(path)
    dtype = DTYPES.get(precision)
    same({k: t.to(dtype or t.dtype) if t.is_floating_point() else t for k, t in kept.items()}, got)


def test_the_same_bytes_from_safetensors_and_from_a_pickle(shop, tmp_path):
    paths = [tmp_path / "m.safetensors", tmp_path / "other" / "m.ckpt"]
    paths[1].parent.mkdir()
    digests = []
    for index, path in enumerate(paths):
        write_checkpoint(path, "sd15-small", dtype=torch.float32)
        shop.files["checkpoint", "m"] = path
        made = [shop.make(ConvertSpec(output="o", model="m"), f"o{index}{n}") for n in range(2)]
        assert made[0].sha256 == made[1].sha256 == digest(made[0].path) == digest(made[1].path)
        assert made[0].size_bytes == made[0].path.stat().st_size
        length = int.from_bytes(made[0].path.read_bytes()[:8], "little")
        digests.append(hashlib.sha256(made[0].path.read_bytes()[8 + length :]).hexdigest())
    assert digests[0] == digests[1]


def with_averages(tmp_path, **more):
    weights = weights_of("sd15-small") | more
    averages = {
        "model_ema." + key.removeprefix("model.").replace(".", ""): tensor + 1
        for key, tensor in weights.items()
        if key.startswith("model.diffusion_model.")
    }
    path = tmp_path / "ema.safetensors"
    save_file(weights | averages, path)
    return path, weights, averages


def test_averages_alone_and_all(shop, tmp_path):
    path, weights, averages = with_averages(tmp_path)
    shop.files["checkpoint", "m"] = path
    got, _ = shop.load(ConvertSpec(output="o", model="m", precision="keep", weights="ema-only"))
    wanted = {
        key: tensor + 1 if key.startswith("model.diffusion_model.") else tensor
        for key, tensor in weights.items()
        if not key.startswith("model_ema.")
    }
    same(wanted, got)
    got, _ = shop.load(ConvertSpec(output="o", model="m", precision="keep", weights="all"))
    same(weights | averages, got)


def test_averages_that_are_not_there(shop, tmp_path):
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    write_checkpoint(tmp_path / "m.safetensors", "sd15-small")
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="m", weights="ema-only"))
    assert caught.value.detail == {"reason": "no_ema"}
    assert not list(tmp_path.glob("made*"))


def test_parts(shop, tmp_path):
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    write_checkpoint(tmp_path / "m.safetensors", "sdxl-small", dtype=torch.float32)
    parts = Parts(vae="delete", text_encoder="copy")
    got, _ = shop.load(ConvertSpec(output="o", model="m", parts=parts))
    assert not [key for key in got if key.startswith("first_stage_model.")]
    assert got["conditioner.embedders.1.model.ln_final.weight"].dtype == torch.float32
    assert got["model.diffusion_model.out.0.weight"].dtype == torch.float16


def test_position_ids(shop, tmp_path):
    key = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    weights = weights_of("sd15-small")
    weights[key] = (weights[key].float() - 0.4).half()
    save_file(weights, tmp_path / "m.safetensors")
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    got, _ = shop.load(ConvertSpec(output="o", model="m"))
    assert torch.equal(got[key], torch.arange(77)[None])
    got, _ = shop.load(ConvertSpec(output="o", model="m", fix_clip=False))
    assert torch.equal(got[key], weights[key])


@pytest.mark.parametrize("layout", ["bare", "prefixed", "diffusers", "checkpoint"])
def test_another_vae(shop, tmp_path, layout):
    kind = "sd15-small"
    write_checkpoint(tmp_path / "m.safetensors", kind, dtype=torch.float32)
    vae = {
        key.removeprefix("first_stage_model."): tensor
        for key, tensor in weights_of(kind, seed=1).items()
        if key.startswith("first_stage_model.")
    }
    match layout:
        case "bare":
            save_file(
                vae | {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.zeros(1)}, tmp_path / "v.safetensors"
            )
        case "prefixed":
            save_file({f"first_stage_model.{key}": tensor for key, tensor in vae.items()}, tmp_path / "v.safetensors")
        case "checkpoint":
            write_checkpoint(tmp_path / "v.safetensors", kind, seed=1, dtype=torch.float32)
        case _:
            from gpu_worker.engine.checkpoints.libraries import libraries
            from gpu_worker.engine.families.vae import vae_config

            config = vae_config({key: tuple(tensor.shape) for key, tensor in vae.items()}, 0.18215)
            named = libraries().convert_vae(dict(vae), config)
            save_file({key: tensor.contiguous() for key, tensor in named.items()}, tmp_path / "v.safetensors")
    shop.files |= {("checkpoint", "m"): tmp_path / "m.safetensors", ("vae", "v"): tmp_path / "v.safetensors"}
    got, metadata = shop.load(ConvertSpec(output="o", model="m", vae="v", precision="fp32"))
    wanted = {k: t for k, t in weights_of(kind).items() if not k.startswith(("first_stage_model.", "model_ema."))}
    same(wanted | {f"first_stage_model.{key}": tensor for key, tensor in vae.items()}, got)
    assert metadata["pincel.vae"] == "v.safetensors"


def test_what_is_no_vae(shop, tmp_path):
    write_checkpoint(tmp_path / "m.safetensors", "sd15-small")
    save_file({"a": torch.zeros(2)}, tmp_path / "v.safetensors")
    shop.files |= {("checkpoint", "m"): tmp_path / "m.safetensors", ("vae", "v"): tmp_path / "v.safetensors"}
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="m", vae="v"))
    assert caught.value.detail == {"vae": "v", "problem": "unknown_layout"}


def test_numbers_too_large_for_half(shop, tmp_path):
    save_file({"a": torch.tensor([1e5]), "b": torch.tensor([float("inf")])}, tmp_path / "u.safetensors")
    shop.files["upscaler", "u"] = tmp_path / "u.safetensors"
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="u", model_kind="upscaler"))
    assert caught.value.detail["reason"] == "overflow"
    assert not list(tmp_path.glob("made*"))
    got, _ = shop.load(ConvertSpec(output="o", model="u", model_kind="upscaler", precision="bf16"))
    assert got["b"].isinf().all()


def test_other_kinds(shop, tmp_path):
    lora = {"lora_unet_x.lora_up.weight": torch.randn(4, 2), "lora_unet_x.alpha": torch.tensor(2.0)}
    torch.save(lora, tmp_path / "l.pt")
    embedding = {"string_to_param": {"*": torch.randn(3, 8)}, "name": "e", "step": 3, "string_to_token": {"*": 265}}
    torch.save(embedding, tmp_path / "e.pt")
    upscaler = {"params_ema": {"conv_first.weight": torch.randn(2, 2)}, "params": {"conv_first.weight": torch.ones(1)}}
    torch.save(upscaler, tmp_path / "u.pth")
    shop.files |= {
        ("lora", "l"): tmp_path / "l.pt",
        ("embedding", "e"): tmp_path / "e.pt",
        ("upscaler", "u"): tmp_path / "u.pth",
    }
    wanted = {
        "lora": lora,
        "embedding": {"emb_params": embedding["string_to_param"]["*"]},
        "upscaler": upscaler["params_ema"],
    }
    for (kind, name), path in shop.files.items():
        got, _ = shop.load(ConvertSpec(output="o", model=name, model_kind=kind, precision="keep"))
        same(wanted[kind], got)
        assert path.exists()


def test_patterns_of_keys_that_are_left_out(shop, tmp_path):
    write_checkpoint(tmp_path / "m.safetensors", "sd15-small")
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    got, _ = shop.load(ConvertSpec(output="o", model="m", discard=("*alphas*", "beta?", "first_stage_model.*")))
    assert "posterior_variance" in got
    assert not [key for key in got if "alphas" in key or key == "betas" or key.startswith("first_stage")]
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="m", discard=("*",)))
    assert caught.value.detail == {"reason": "nothing_left"}


def test_metadata_goes_along_but_not_what_is_no_longer_true(shop, tmp_path):
    metadata = {"modelspec.title": "T", "modelspec.hash_sha256": "0x1", "sshs_model_hash": "2", "ss_v2": "True"}
    write_checkpoint(tmp_path / "m.safetensors", "sd15-small", metadata=metadata)
    (tmp_path / "m.yaml").write_text("model:\n  params:\n    parameterization: v\n", encoding="utf-8")
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    _, got = shop.load(ConvertSpec(output="o", model="m"))
    assert got["modelspec.title"] == "T"
    assert got["ss_v2"] == "True"
    assert got["modelspec.prediction_type"] == "v"
    assert not {"modelspec.hash_sha256", "sshs_model_hash"} & got.keys()


def test_the_header_is_sound(shop, tmp_path):
    write_checkpoint(tmp_path / "m.safetensors", "sd15-small")
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    made = shop.make(ConvertSpec(output="o", model="m"))
    header = read_header(made.path)
    assert header.shapes.keys() == load_file(made.path).keys()
