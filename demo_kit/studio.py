"""Draws through the product's own engine, as a user would: what is measured is what people get."""

import hashlib
import io
import shutil
import tempfile
import weakref
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
from gpu_worker.protocol.specs import ControlUnit, ImageRef, JobSpec, Txt2Img

__all__ = ["Studio", "contact_sheet"]

Pixels = NDArray[np.uint8]


class _Quiet:
    """Hooks of a job that nobody watches."""

    preview = PreviewWish(hz=0)

    def __init__(self, given: dict[str, bytes]) -> None:
        self._given = given

    def progress(self, *_about: Any) -> None: ...

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: ImageRef) -> bytes:
        return self._given[ref.ref]


class Studio:
    """One checkpoint's pictures. `models` is a folder of models beside those of `kit`; of two with one name it is the
    checkpoint in `models`."""

    def __init__(self, models: Path, checkpoint: str, kit: Path = KIT) -> None:
        notes = Path(tempfile.mkdtemp(prefix="pincel-studio"))
        weakref.finalize(self, shutil.rmtree, notes, ignore_errors=True)
        self._engine = Engine(models_dir=models, demo_dir=kit, options=EngineOptions(), data_dir=notes)
        beside_namesake = f"{checkpoint} (.safetensors)"
        own = any(fact.name == beside_namesake for fact in self._engine.facts())
        self._checkpoint = beside_namesake if own else checkpoint
        self._given: dict[str, bytes] = {}

    def give(self, picture: Pixels) -> ImageRef:
        """A picture that jobs can refer to."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "png")
        digest = hashlib.sha256(file.getvalue()).hexdigest()
        self._given[digest] = file.getvalue()
        return ImageRef(ref=digest, sha256=digest, mime="image/png", size_bytes=len(file.getvalue()))

    def draw(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        batch: int = 8,
        control: Sequence[tuple[ControlUnit, ...]] = (),
        **options: Any,
    ) -> list[Pixels]:
        """Pictures of those prompts at the kit's settings; `control` has the units of each, or is empty."""
        units = list(control) or [()] * len(prompts)
        specs = [
            self.spec(prompt, seed, control=held, **options)
            for prompt, seed, held in zip(prompts, seeds, units, strict=True)
        ]
        return [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for png in self.files(specs, batch)]

    def files(self, specs: Sequence[JobSpec], batch: int = 8) -> list[bytes]:
        """The last PNG of each job, side by side `batch` at a time."""
        made: list[bytes] = []
        for start in range(0, len(specs), batch):
            jobs = [(spec, _Quiet(self._given)) for spec in specs[start : start + batch]]
            made += [outcome.get()[-1].png for outcome in self._engine.draw_all(jobs)]
        return made

    def spec(self, prompt: str, seed: int, **options: Any) -> Txt2Img:
        """A request at the kit's settings, but for the options."""
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
