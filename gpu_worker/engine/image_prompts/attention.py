"""Cross-attention that reads pictures' tokens beside the text: diffusers' processors, put in and taken out again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.image_prompts.adapter import ImageAdapter

__all__ = ["AppliedImages", "image_processors"]


@dataclass(frozen=True, eq=False)
class AppliedImages:
    """An adapter and how strongly each picture counts; the pictures themselves are each call's own."""

    adapter: ImageAdapter
    scales: tuple[float, ...]

    @property
    def key(self) -> tuple[object, ...]:
        return id(self.adapter), self.scales


def image_processors(unet: Any, images: AppliedImages, checkpoint: str) -> dict[str, Any]:
    """For every attention of `unet`; those that read no text keep theirs. The pictures share the adapter's weights.

    Raises EngineError `bad_input` (`image_prompt_misfit`) for an adapter of another family."""
    from diffusers.models import attention_processor

    make: Any = attention_processor.IPAdapterAttnProcessor2_0
    adapter = images.adapter
    processors = dict(unet.attn_processors)
    crossing = [name for name in processors if name.endswith("attn2.processor")]
    detail = {"reason": "image_prompt_misfit", "controlnet": adapter.name, "checkpoint": checkpoint}
    if len(crossing) != len(adapter.attend):
        text = f"{len(adapter.attend)} cross-attentions for {len(crossing)}"
        raise EngineError("bad_input", f"{adapter.name}: {text}", detail)
    slots = len(images.scales)
    for name, (key, value) in zip(crossing, adapter.attend, strict=True):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        like = attention.to_k.weight
        if key.shape != like.shape:
            raise EngineError("bad_input", f"{adapter.name}: {tuple(key.shape)} at {name}", detail)
        with torch.device("meta"):
            made = make(key.shape[0], key.shape[1], (1,) * slots, list(images.scales))
        made.to_k_ip = torch.nn.ModuleList([_linear(key, like)] * slots)
        made.to_v_ip = torch.nn.ModuleList([_linear(value, like)] * slots)
        processors[name] = made
    return processors


def _linear(weight: torch.Tensor, like: torch.Tensor) -> torch.nn.Linear:
    with torch.device("meta"):
        made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight = torch.nn.Parameter(weight.to(like.device, like.dtype), requires_grad=False)
    return made
