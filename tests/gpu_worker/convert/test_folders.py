"""A diffusers folder becomes the single file that it came from."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from make_checkpoint import write_checkpoint
from safetensors.torch import load_file

from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.checkpoint import TextEncoder
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, MergeSpec

DEMO = Path(__file__).parents[3] / "data" / "demo" / "sd-mini"
CLASSES = {"sdxl": "StableDiffusionXLPipeline", "sdxl_refiner": "StableDiffusionXLImg2ImgPipeline"}
FOLDERS = {"clip_g": "text_encoder_2"}
KINDS = ["sd15-small", "sd15-inpaint-small", "sd21-base-small", "sd21-v-small", "sdxl-small", "sdxl-refiner-small"]


def as_folder(single, folder):
    """What diffusers makes of a single file."""
    options = EngineOptions(device="cpu", precision="full")
    cache = ModelCache(Device.choose(options), options, DEMO / "tokenizer")
    with cache.borrow(ModelFile(ModelFact(kind="checkpoint", name="m"), single, single)) as found:
        found.unet.save_pretrained(folder / "unet")
        found.vae.save_pretrained(folder / "vae")
        index = {"_class_name": CLASSES.get(found.family, "StableDiffusionPipeline"), "text_encoder": [None, None]}
        for encoder in found.text_encoders:
            assert isinstance(encoder, TextEncoder)
            part = FOLDERS.get(encoder.kind, "text_encoder")
            encoder.model.save_pretrained(folder / part)
            index[part] = ["transformers", "CLIPTextModel"]
        prediction = {"v": "v_prediction"}.get(found.prediction, "epsilon")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": prediction}))
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="module")
def singles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("singles")
    for kind in KINDS:
        write_checkpoint(folder / f"{kind}.safetensors", kind, dtype=torch.float32)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_becomes_the_file_that_it_came_from(shop, singles, tmp_path, kind, monkeypatch):
    if kind.startswith("sd21"):  # a folder is known for SD 2 by this width, of which the small one has none
        monkeypatch.setattr("gpu_worker.language.layouts._TURBO_WIDTH", 64)
    folder = shop.files["checkpoint", "m"] = as_folder(singles / f"{kind}.safetensors", tmp_path / "m")
    got, metadata = shop.load(ConvertSpec(output="o", model="m", precision="fp32"))
    wanted = load_file(singles / f"{kind}.safetensors")
    # Loading drops what nobody reads: the averages, position ids, and a projection that only pooling would use.
    unread = ("model_ema.", "logit_scale")
    for key, tensor in wanted.items():
        known = key.startswith(unread) or key.endswith(("position_ids", "logit_scale"))
        if known or (kind.startswith("sd21") and key.endswith("text_projection")):
            assert key not in got
        elif key in got:
            assert torch.equal(tensor, got[key].reshape(tensor.shape)), key
        else:
            assert not key.startswith(("model.diffusion_model.", "first_stage_model.", "cond", "transformer")), key
    assert got.keys() <= wanted.keys()
    assert metadata.get("modelspec.prediction_type") == ("v" if kind == "sd21-v-small" else None)
    unet = (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert metadata["pincel.source_sha256"] == hashlib.sha256(unet).hexdigest()


def test_a_folder_can_be_merged_with_a_file(shop, singles, tmp_path):
    shop.files["checkpoint", "a"] = as_folder(singles / "sd15-small.safetensors", tmp_path / "a")
    shop.files["checkpoint", "b"] = tmp_path / "b.safetensors"
    write_checkpoint(tmp_path / "b.safetensors", "sd15-small", seed=1, dtype=torch.float32)
    spec = MergeSpec(output="o", method="weighted sum", first="a", second="b", multiplier=0.25, precision="fp32")
    got, _ = shop.load(spec)
    one, other = load_file(singles / "sd15-small.safetensors"), load_file(tmp_path / "b.safetensors")
    key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    assert torch.allclose(got[key], one[key] * 0.75 + other[key] * 0.25, atol=1e-6)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("unet", "attention_head_dim", 4),
        ("unet", "norm_num_groups", 16),
        ("vae", "scaling_factor", 0.3),
        ("scheduler", "beta_schedule", "linear"),
    ],
)
def test_what_a_single_file_cannot_say_is_refused(shop, singles, tmp_path, part, key, value):
    folder = shop.files["checkpoint", "m"] = as_folder(singles / "sd15-small.safetensors", tmp_path / "m")
    place = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
    place.write_text(json.dumps({**json.loads(place.read_text()), key: value}))
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="m"))
    assert (caught.value.kind, caught.value.detail["reason"]) == ("bad_input", "folder_shape")
    assert not list(tmp_path.glob("made*"))


def test_a_damaged_folder_is_told(shop, singles, tmp_path):
    folder = shop.files["checkpoint", "m"] = as_folder(singles / "sd15-small.safetensors", tmp_path / "m")
    (folder / "scheduler" / "scheduler_config.json").write_text("[]")
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="m"))
    assert caught.value.detail["problem"] == "corrupt"
    shutil.rmtree(folder / "vae")
    with pytest.raises(EngineError) as caught:
        shop.make(BakeSpec(output="o", checkpoint="m", loras=(BakedLora(name="l"),)))
    assert caught.value.detail["problem"] == "corrupt"
