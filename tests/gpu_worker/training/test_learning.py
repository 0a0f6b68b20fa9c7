"""A LoRA learns from pictures, and its file works here and in diffusers."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from setting import DEMO, PICTURES, spec, subset, train

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.engine.sampling.streams import first_normals
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


@pytest.mark.filterwarnings("ignore")  # of diffusers' schedulers and numpy
def test_diffusers_loads_the_file_and_draws_the_same_picture(taught, draw):
    """By its own loader and its own Euler; only the noise is A1111's, which is a card's and not torch's."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        DEMO / "sd-mini", safety_checker=None, local_files_only=True, torch_dtype=torch.float32
    )
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing="linspace")
    pipeline.set_progress_bar_config(disable=True)

    def theirs():
        drawn = pipeline(
            PROMPT, width=128, height=128, num_inference_steps=8, guidance_scale=3.0, output_type="np",
            latents=first_normals("GPU", [5], (4, 16, 16), torch.device("cpu")),
        )  # fmt: skip
        return (drawn.images[0] * 255).astype(int)

    plain = draw(PROMPT)
    assert np.abs(theirs() - plain).max() <= 1
    pipeline.load_lora_weights(taught[0], weight_name="zorb.safetensors")
    learnt = draw(f"{PROMPT}<lora:zorb:1>")
    assert np.abs(theirs() - learnt).max() <= 1
    assert np.abs(plain - learnt).mean() > 10


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
