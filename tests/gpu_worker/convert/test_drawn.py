"""What is made draws what it should: a converted file the same picture, a baked LoRA what its tag draws."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from make_checkpoint import write_checkpoint
from PIL import Image
from safetensors.torch import save_file
from test_baking import lora_for
from test_workshop import Hooks

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, MergeSpec, Txt2Img
from gpu_worker.workshop import Workshop

pytestmark = pytest.mark.slow
DEMO = Path(__file__).parents[3] / "data" / "demo"


class Drawing(Hooks):
    preview = PreviewWish(hz=0)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "models"
    for name in ("checkpoints", "loras"):
        (folder / name).mkdir(parents=True)
    write_checkpoint(folder / "checkpoints" / "plain.ckpt", "sd15-small", dtype=torch.float32)
    tensors = lora_for(folder / "checkpoints" / "plain.ckpt")
    save_file({key: tensor * 0.3 for key, tensor in tensors.items()}, folder / "loras" / "ink.safetensors")
    engine = Engine(models_dir=folder, demo_dir=DEMO, options=EngineOptions(device="cpu"))
    yield folder / "checkpoints", Workshop(engine)
    engine.close()


def drawn(workshop, checkpoint, prompt="a red apple"):
    spec = Txt2Img(prompt=prompt, checkpoint=checkpoint, width=64, height=64, steps=2, seed=5)
    (picture,) = workshop.draw(spec, Drawing(Path()))
    return np.asarray(Image.open(io.BytesIO(picture.png))).astype(int)


def make(shop, spec):
    folder, workshop = shop
    (made,) = workshop.draw(spec, Hooks(folder / "x"))
    made.path.rename(folder / f"{spec.output}.safetensors")
    return workshop


def test_a_converted_file_draws_the_same_picture(shop):
    workshop = make(shop, ConvertSpec(output="kept", model="plain", precision="keep"))
    assert np.array_equal(drawn(workshop, "kept"), drawn(workshop, "plain"))
    make(shop, ConvertSpec(output="half", model="plain"))
    assert np.abs(drawn(workshop, "half") - drawn(workshop, "plain")).max() <= 8


def test_a_baked_lora_draws_what_its_tag_draws(shop):
    spec = BakeSpec(
        output="inked", checkpoint="plain", precision="fp32", loras=(BakedLora(name="ink", unet=0.7, text_encoder=0.7),)
    )
    workshop = make(shop, spec)
    tagged = drawn(workshop, "plain", "a red apple<lora:ink:0.7>")
    assert np.abs(tagged - drawn(workshop, "plain")).max() > 8
    assert np.abs(drawn(workshop, "inked") - tagged).max() <= 1


def test_a_merge_with_itself_changes_nothing(shop):
    workshop = make(shop, MergeSpec(output="same", first="plain", second="plain", multiplier=0.5, precision="keep"))
    assert np.abs(drawn(workshop, "same") - drawn(workshop, "plain")).max() <= 1
