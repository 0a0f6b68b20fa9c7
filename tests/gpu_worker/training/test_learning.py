"""A LoRA learns from pictures, and its file works here and in diffusers."""

import io
import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from setting import DEMO, PICTURES, spec, subset, train

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import Txt2Img

pytestmark = pytest.mark.slow

STEPS = 30
PROMPT = "zorb, a disc"


class Silent:
    preview = PreviewWish(hz=0)

    def progress(self, *_): ...

    def cancelled(self):
        return False


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """The folder of models with the LoRA in it, and what was told meanwhile."""
    folder = tmp_path_factory.mktemp("data") / "models" / "loras"
    folder.mkdir(parents=True)
    wanted = spec(
        subset(["p0", "p1", "p2"]), network_dim=8, network_alpha=8.0, unet_lr=3e-3, text_encoder_lr=3e-4,
        max_train_steps=STEPS, lr_scheduler="cosine", rules={"enable_bucket": False, "batch_size": 3},
    )  # fmt: skip
    _, watcher = train(wanted, folder)
    return folder, watcher


@pytest.fixture(scope="module")
def draw(taught):
    engine = Engine(models_dir=taught[0].parent, demo_dir=DEMO, options=EngineOptions(device="cpu"))

    def drawn(prompt):
        made = engine.draw(
            Txt2Img(
                prompt=prompt, checkpoint="pincel-demo", width=128, height=128, steps=8, cfg_scale=3.0,
                sampler="Euler", seed=5,
            ),
            Silent(),
        )  # fmt: skip
        return np.asarray(Image.open(io.BytesIO(made[0].png)).convert("RGB")).astype(int)

    yield drawn
    engine.close()


def distance(pixels):
    """How far a picture is off the nearest one that was trained, on the mean."""
    own = [np.asarray(Image.open(io.BytesIO(PICTURES[name])).convert("RGB")).astype(int) for name in ("p0", "p1", "p2")]
    return min(float(np.abs(pixels - one).mean()) for one in own)


def test_the_loss_falls(taught):
    losses = taught[1].losses
    assert len(losses) == STEPS
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    assert taught[1].prepared[-1] == (3, 3)


def test_it_draws_what_it_was_shown_and_nothing_at_weight_zero(draw):
    plain = draw(PROMPT)
    assert (draw(f"{PROMPT}<lora:zorb:0>") == plain).all()
    assert distance(draw(f"{PROMPT}<lora:zorb:1>")) < 0.7 * distance(plain)


def test_diffusers_loads_the_file_and_changes_the_same_weights_as_we_do(taught):
    from diffusers import StableDiffusionPipeline

    from gpu_worker.engine.adapters.network_file import read_network

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its scheduler and numpy
        pipeline = StableDiffusionPipeline.from_pretrained(DEMO / "sd-mini", safety_checker=None, local_files_only=True)
    before = {name: tensor.clone() for name, tensor in pipeline.unet.state_dict().items()}
    pipeline.load_lora_weights(taught[0], weight_name="zorb.safetensors")
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    after = pipeline.unet.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parts = read_network("zorb", taught[0] / "zorb.safetensors")
    unet = [part for part in parts if part.place.network == "unet"]
    assert len(changed) == len(unet) > 100
    by_flat = {name.removesuffix(".weight").replace(".", "_"): name for name in changed}
    for part in unet:
        name = by_flat[part.place.module]
        merged = before[name].clone().float().contiguous()
        part.merge_into(merged, 1.0, None)
        assert torch.allclose(merged, after[name], atol=1e-5)


def test_its_metadata_says_how_it_was_made(taught):
    with safe_open(taught[0] / "zorb.safetensors", "pt") as file:
        said = file.metadata()
        alphas = {float(file.get_tensor(key)) for key in file.keys() if key.endswith(".alpha")}  # noqa: SIM118
    assert alphas == {8.0}
    assert (said["ss_network_dim"], said["ss_network_alpha"], said["ss_unet_lr"]) == ("8", "8.0", "0.003")
    assert (said["ss_base_model_version"], said["ss_resolution"], said["ss_clip_skip"]) == (
        "sd_v1",
        "(128, 128)",
        "None",
    )
    assert json.loads(said["ss_dataset_dirs"]) == {"2_zorb": {"n_repeats": 2, "img_count": 3}}
    assert json.loads(said["ss_tag_frequency"]) == {"2_zorb": {"zorb": 3, "a disc": 3}}
    assert json.loads(said["ss_bucket_info"])["buckets"] == {"0": {"resolution": [128, 128], "count": 6}}
    assert said["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert len(said["sshs_model_hash"]) == 64
