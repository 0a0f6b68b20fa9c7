"""Draws through the product's own engine, as a user would: what is measured is what people get."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_kit.folders import KIT
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["Studio", "contact_sheet"]

Pixels = NDArray[np.uint8]


class _Quiet:
    """Hooks of a job that nobody watches."""

    preview = PreviewWish(hz=0)

    def progress(self, *_about: Any) -> None: ...

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: Any) -> bytes:
        raise LookupError(ref)


class Studio:
    """One checkpoint's pictures. `models` is a folder of models beside the kit."""

    def __init__(self, models: Path, checkpoint: str) -> None:
        self._engine = Engine(models_dir=models, demo_dir=KIT, options=EngineOptions())
        self._checkpoint = checkpoint

    def draw(self, prompts: Sequence[str], seeds: Sequence[int], batch: int = 8, **options: Any) -> list[Pixels]:
        """Pictures of those prompts at the kit's settings."""
        made: list[Pixels] = []
        for start in range(0, len(prompts), batch):
            chosen = zip(prompts[start : start + batch], seeds[start : start + batch], strict=True)
            jobs = [(self._spec(prompt, seed, options), _Quiet()) for prompt, seed in chosen]
            for outcome in self._engine.draw_all(jobs):
                picture = Image.open(io.BytesIO(outcome.get()[0].png))
                made.append(np.asarray(picture.convert("RGB")))
        return made

    def _spec(self, prompt: str, seed: int, options: dict[str, Any]) -> Txt2Img:
        values = {
            "prompt": prompt, "checkpoint": self._checkpoint, "width": 128, "height": 128, "steps": 20, "cfg_scale": 5,
            "sampler": "DPM++ 2M", "schedule": "Karras", "seed": seed,
        }  # fmt: skip
        return Txt2Img.model_validate(values | options)


def contact_sheet(pictures: Sequence[Pixels], columns: int = 12) -> Image.Image:
    """All pictures on one sheet."""
    side = 132
    sheet = Image.new("RGB", (columns * side, -(-len(pictures) // columns) * side), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (place % columns * side + 2, place // columns * side + 2))
    return sheet
