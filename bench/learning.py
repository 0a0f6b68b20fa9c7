"""`python -m bench.learning FOLDER`: teaches the demo checkpoint a character by `launch.py train`, and prints one JSON
object of what its files then draw, in distance from the character (bench/character.py).

Parts of it are a test (tests/gpu_worker/training/test_character.py).
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.character import REPEATS, TRIGGER, distance, write_pictures
from gpu_worker import train
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Txt2Img

__all__ = ["BASE", "FUSED", "OTHERS", "SETTINGS", "WORDS", "Easel", "fuse_by_diffusers", "main", "teach"]

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"
BASE, FUSED = "pincel-demo", "fused"
WORDS = f"{TRIGGER} on a white background"
OTHERS = ("a cat on a white background", "a red apple on a yellow background", "a house in the snow")
"""What the checkpoint knows already, and the character must not be in."""
SETTINGS: Mapping[str, object] = {
    "pretrained_model_name_or_path": BASE, "caption_extension": ".txt", "resolution": 128, "network_dim": 16,
    "network_alpha": 16, "unet_lr": 1e-3, "text_encoder_lr": 2e-4, "lr_scheduler": "cosine", "train_batch_size": 4,
    "max_train_epochs": 8, "save_every_n_epochs": 1, "cache_latents": True, "seed": 1, "output_name": TRIGGER,
}  # fmt: skip

_SIDE_PX, _STEPS, _SCALE, _SEED = 128, 12, 5.0, 5

Pixels = npt.NDArray[np.uint8]


def teach(folder: Path, **changes: object) -> tuple[int, float]:
    """Pictures into `folder/pictures`, files into `folder/models/loras`; the exit code, and the seconds it took."""
    write_pictures(folder / "pictures")
    places = {"train_data_dir": folder / "pictures", "output_dir": folder / "models" / "loras", "data": folder}
    words = [f"--{name}={value}" for name, value in {**SETTINGS, **places, **changes}.items()]
    started = time.perf_counter()
    code = train.main(words)
    return code, time.perf_counter() - started


class Easel:
    """The engine over `folder/models`."""

    def __init__(self, folder: Path, device: str | None = None) -> None:
        self._engine = Engine(models_dir=folder / "models", demo_dir=DEMO, options=EngineOptions(device=device))

    def draw(self, prompt: str, count: int = 1, checkpoint: str = BASE) -> list[Pixels]:
        spec = Txt2Img(
            prompt=prompt, checkpoint=checkpoint, width=_SIDE_PX, height=_SIDE_PX, steps=_STEPS, cfg_scale=_SCALE,
            sampler="Euler", schedule="Automatic", seed=_SEED, count=count,
        )  # fmt: skip
        return [
            np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB")) for drawn in self._engine.draw(spec, _Silent())
        ]

    def distance(self, prompt: str, count: int) -> float:
        return float(np.mean([distance(pixels) for pixels in self.draw(prompt, count)]))

    def close(self) -> None:
        self._engine.close()


def fuse_by_diffusers(lora: Path, target: Path) -> None:
    """The demo checkpoint with `lora` in it at weight 1, by diffusers' own loader alone: a folder that any engine draws
    with, so that the two ways differ in nothing but who understood the file."""
    from diffusers import StableDiffusionPipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy and of its own former names
        pipeline: Any = StableDiffusionPipeline.from_pretrained(
            DEMO / "sd-mini", safety_checker=None, local_files_only=True
        )
        pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
        pipeline.fuse_lora()
        pipeline.unload_lora_weights()
        pipeline.save_pretrained(target)


class _Silent:
    preview = PreviewWish(hz=0)

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        pass

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: ImageRef) -> bytes:
        raise AssertionError(ref)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.learning")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=SETTINGS["max_train_epochs"])
    parser.add_argument("--pictures", type=int, default=4, help="drawn for each figure")
    options = parser.parse_args(arguments)
    answers, sys.stdout = sys.stdout, sys.stderr
    code, seconds = teach(options.folder, max_train_epochs=options.epochs)
    if code:
        return code
    models = options.folder / "models"
    fuse_by_diffusers(models / "loras" / f"{TRIGGER}.safetensors", models / "checkpoints" / FUSED)
    easel, count = Easel(options.folder), options.pictures
    names = [f"{TRIGGER}-{epoch:06d}" for epoch in range(1, options.epochs)] + [TRIGGER]
    plain = easel.draw(WORDS, count)
    found = {
        "seconds": seconds,
        "steps": options.epochs * -(-15 * REPEATS // int(str(SETTINGS["train_batch_size"]))),
        "base": easel.distance(WORDS, count),
        "epochs": [easel.distance(f"{WORDS} <lora:{name}:1>", count) for name in names],
        "others": [easel.distance(f"{words} <lora:{TRIGGER}:1>", count) for words in OTHERS],
        "zero": _apart(plain, easel.draw(f"{WORDS} <lora:{TRIGGER}:0>", count)),
        "diffusers": _apart(
            easel.draw(f"{WORDS} <lora:{TRIGGER}:1>", count), easel.draw(WORDS, count, checkpoint=FUSED)
        ),
    }
    easel.close()
    print(json.dumps(found), file=answers)
    return 0


def _apart(some: Sequence[Pixels], others: Sequence[Pixels]) -> int:
    """The largest difference of a colour of a pixel."""
    pairs = zip(some, others, strict=True)
    return max(int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max()) for one, other in pairs)


if __name__ == "__main__":
    sys.exit(main())
