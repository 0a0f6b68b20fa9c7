"""The same picture without the product, in a process of its own: `python -m bench.straight`.

Each line of standard input is JSON: {"by": "pipeline" or "engine", "seed": n}. The answer is one line with the seconds
that it took, from the prompt to pictures in memory. The first line, unasked, says what draws.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from gpu_worker.engine.engine import Engine
from gpu_worker.language.models import DEMO_NAME
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Txt2Img

__all__ = ["main"]


@dataclass
class _Hooks:
    """Asks for no preview and is never cancelled."""

    preview: PreviewWish

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        pass

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: ImageRef) -> bytes:
        raise FileNotFoundError(ref.ref)


class _Straight:
    def __init__(self, spec: Txt2Img, demo: Path, data: Path) -> None:
        self._spec = spec
        self._engine = Engine(models_dir=data / "models", demo_dir=demo)
        cuda = torch.cuda.is_available()
        # As the engine holds it: half on CUDA, full on the CPU.
        pipeline: Any = StableDiffusionPipeline.from_pretrained(
            str(demo), dtype=torch.float16 if cuda else torch.float32, local_files_only=True,
            safety_checker=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas=True)
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline.to("cuda" if cuda else "cpu")

    def draw(self, by: str, seed: int) -> float:
        spec = self._spec
        started = time.perf_counter()
        if by == "engine":
            self._engine.draw(spec.model_copy(update={"seed": seed}), _Hooks(PreviewWish(hz=0)))
        else:
            self._pipeline(
                spec.prompt, negative_prompt=spec.negative_prompt, width=spec.width, height=spec.height,
                num_inference_steps=spec.steps, guidance_scale=spec.cfg_scale, num_images_per_prompt=spec.count,
                generator=[torch.Generator().manual_seed(seed + i) for i in range(spec.count)],
            )  # fmt: skip
        return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.straight")
    parser.add_argument("--spec", required=True, help="JSON of a Txt2Img")
    parser.add_argument("--demo", type=Path, required=True)
    options = parser.parse_args()
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    spec = Txt2Img.model_validate_json(options.spec)
    assert spec.checkpoint == DEMO_NAME
    with tempfile.TemporaryDirectory() as data:
        straight = _Straight(spec, options.demo, Path(data))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        print(
            json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "device": device}), file=answers
        )
        for line in sys.stdin:
            wish = json.loads(line)
            print(json.dumps(straight.draw(wish["by"], wish["seed"])), file=answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
