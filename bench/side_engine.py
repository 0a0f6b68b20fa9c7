"""Our side: the engine, as a worker uses it."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from gpu_worker.engine.adapters.merge import NetworkMerger
from gpu_worker.engine.books import NetworkBook
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import DEMO_NAME
from gpu_worker.language.networks import LoraRef
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Img2Img, Txt2Img

__all__ = ["PROMPT", "EngineSide", "source_picture"]

PROMPT = ("a red apple on a blue background", "blurry, low quality")


def source_picture(size: int) -> bytes:
    """A PNG of soft colours to draw over."""
    ramp = np.linspace(0, 255, size, dtype=np.uint8)
    picture = np.stack([np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), np.full((size, size), 90)], -1)
    target = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


class _Hooks:
    """Asks for no preview, is never cancelled, and hands out one picture."""

    preview = PreviewWish(hz=0)

    def __init__(self, picture: bytes) -> None:
        self._picture = picture

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        pass

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: ImageRef) -> bytes:
        return self._picture


class EngineSide:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._name = DEMO_NAME if options.family == "demo" else options.family
        self._engine = self._new()
        self._picture = source_picture(options.size)
        self._hooks = _Hooks(self._picture)
        self._borrowed = contextlib.ExitStack()
        self._merger: NetworkMerger | None = None

    def do(self, what: str, seed: int) -> None:
        if what == "load":
            self._engine.close()
            self._engine = self._new()
            self._engine.prepare(self._name)
        elif what == "again":
            self._engine.prepare(self._name)
        elif what == "img2img":
            self._engine.draw(self._img2img(seed), self._hooks)
        elif what.startswith("lora"):
            self._switch(what)
        else:
            self._engine.draw(self._txt2img(seed, 4 if what == "batch" else 1), self._hooks)

    def _switch(self, lora: str) -> None:
        """What the engine does between two jobs that differ in their LoRA, its file read included."""
        builder = self._engine.builder
        if self._merger is None:
            checkpoint = builder.cache.borrow(builder.finder.find("checkpoint", self._name))
            self._merger = NetworkMerger(self._borrowed.enter_context(checkpoint))
        self._merger.apply([NetworkBook().applied(LoraRef(lora), builder.finder.find("lora", lora))])

    def _new(self) -> Engine:
        options = self._options
        return Engine(models_dir=Path(options.data) / "models", demo_dir=options.demo, options=EngineOptions())

    def _values(self, seed: int, count: int) -> dict[str, object]:
        options = self._options
        return {
            "prompt": PROMPT[0], "negative_prompt": PROMPT[1], "checkpoint": self._name, "width": options.size,
            "height": options.size, "steps": options.steps, "cfg_scale": 5, "sampler": "DPM++ 2M", "schedule": "Karras",
            "seed": seed, "count": count,
        }  # fmt: skip

    def _txt2img(self, seed: int, count: int) -> Txt2Img:
        return Txt2Img.model_validate(self._values(seed, count))

    def _img2img(self, seed: int) -> Img2Img:
        ref = ImageRef(
            ref="source",
            sha256=hashlib.sha256(self._picture).hexdigest(),
            mime="image/png",
            size_bytes=len(self._picture),
        )
        # Exact steps, so that both sides make the same number of model calls.
        more = {"image": ref, "denoising_strength": 0.5, "exact_steps": True, "steps": max(1, self._options.steps // 2)}
        return Img2Img.model_validate(self._values(seed, 1) | more)
