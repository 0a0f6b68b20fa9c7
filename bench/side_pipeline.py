"""The other side: diffusers' pipelines as their documentation uses them."""

from __future__ import annotations

import argparse
import io
from typing import Any

import torch
from diffusers import (
    AutoPipelineForImage2Image,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from transformers.utils import logging as transformers_logging

from bench.side_engine import PROMPT, source_picture

__all__ = ["PipelineSide"]


class PipelineSide:
    def __init__(self, options: argparse.Namespace) -> None:
        diffusers_logging.set_verbosity_error()
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        self._options = options
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        # As the engine holds it: half on CUDA, full on the CPU.
        self._dtype = torch.float16 if self._device == "cuda" else torch.float32
        self._picture = Image.open(io.BytesIO(source_picture(options.size)))
        self._pipeline = self._load()
        self._from_picture: Any = None

    def do(self, what: str, seed: int) -> None:
        options = self._options
        if what == "load":
            self._from_picture = None
            self._pipeline = None
            self._pipeline = self._load()
            return
        given: dict[str, Any] = {
            "prompt": PROMPT[0], "negative_prompt": PROMPT[1], "num_inference_steps": options.steps,
            "guidance_scale": 5, "generator": torch.Generator().manual_seed(seed),
        }  # fmt: skip
        if what == "img2img":
            if self._from_picture is None:
                self._from_picture = AutoPipelineForImage2Image.from_pipe(self._pipeline)
                self._from_picture.set_progress_bar_config(disable=True)
            self._from_picture(image=self._picture, strength=0.5, **given)
            return
        given |= {"width": options.size, "height": options.size}
        self._pipeline(num_images_per_prompt=4 if what == "batch" else 1, **given)

    def _load(self) -> Any:
        options = self._options
        shared: dict[str, Any] = {"dtype": self._dtype, "local_files_only": True}
        if options.family == "demo":
            pipeline: Any = StableDiffusionPipeline.from_pretrained(
                str(options.demo / "sd-mini"), safety_checker=None, requires_safety_checker=False, **shared
            )
        else:
            kind = StableDiffusionXLPipeline if options.family == "sdxl" else StableDiffusionPipeline
            path = options.data / "models" / "checkpoints" / f"{options.family}.safetensors"
            pipeline = kind.from_single_file(str(path), config=str(options.config), **shared)
        pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas=True)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(self._device)
