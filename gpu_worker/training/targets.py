"""Which modules a LoRA is trained beside, and kohya's names for them (behaviours §24.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, TextEncoder

__all__ = ["Target", "targets_of"]

_UNET = frozenset({"Transformer2DModel"})
_UNET_CONV = frozenset({"ResnetBlock2D", "Downsample2D", "Upsample2D"})
_TEXT = frozenset({"CLIPAttention", "CLIPSdpaAttention", "CLIPMLP"})


@dataclass(frozen=True, eq=False)
class Target:
    network: Any
    """The UNet or a text model."""
    path: str
    name: str
    """As in the file: `lora_unet_down_blocks_0_attentions_0_proj_in`."""
    module: Any
    part: Literal["unet", "text"]
    wide: bool
    """A convolution larger than 1x1: `conv_dim` is its rank."""


def targets_of(checkpoint: Checkpoint, *, unet: bool, text: bool, conv: bool) -> tuple[Target, ...]:
    """In the order of the networks' own modules, text models first, as sd-scripts lists them."""
    found: list[Target] = []
    several = len(checkpoint.text_encoders) > 1
    for number, encoder in enumerate(checkpoint.text_encoders if text else (), 1):
        prefix = f"lora_te{number}" if several else "lora_te"
        # transformers before 5.6 wraps the text model once more; the file's names have it always.
        for path, module in _inside(encoder.model, _TEXT):
            inner = path.removeprefix("text_model.")
            if inner.startswith(_unread(encoder)):
                continue
            found.append(Target(encoder.model, path, _flat(prefix, f"text_model.{inner}"), module, "text", wide=False))
    if unet:
        kinds = _UNET | _UNET_CONV if conv else _UNET
        for path, module in _inside(checkpoint.unet, kinds):
            wide = isinstance(module, torch.nn.Conv2d) and tuple(module.kernel_size) != (1, 1)
            if not wide or conv:
                found.append(Target(checkpoint.unet, path, _flat("lora_unet", path), module, "unet", wide))
    return tuple(found)


def _unread(encoder: TextEncoder) -> tuple[str, ...]:
    """SD 2.x never reads its last layer, which other programs' copies of the model lack."""
    if encoder.kind != "open_clip" or encoder.layer < 2:
        return ()
    return (f"encoder.layers.{encoder.model.config.num_hidden_layers - 1}.",)


def _inside(network: Any, kinds: frozenset[str]) -> list[tuple[str, Any]]:
    """Linear layers and convolutions below modules of those classes, each once."""
    found: dict[str, Any] = {}
    for outer, parent in network.named_modules():
        if type(parent).__name__ in kinds:
            for inner, module in parent.named_modules():
                if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
                    found[f"{outer}.{inner}"] = module
    return list(found.items())


def _flat(prefix: str, path: str) -> str:
    return f"{prefix}_{path.replace('.', '_')}"
