"""Reads a LoRA file: kohya's and PEFT's names, the low-rank factors of each module.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021); naming of kohya-ss/sd-scripts networks/lora.py
and of diffusers. W' = W + weight * alpha / rank * up @ down; without alpha the scale is 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gpu_worker.engine.errors import EngineError

__all__ = ["LoraPart", "read_lora"]

_TEXT_PREFIXES = ("lora_te_", "lora_te1_", "text_encoder_")
_UNET_PREFIXES = ("lora_unet_", "unet_")
_FACTOR = re.compile(
    r"(?:[._]lora(?:_linear_layer)?)?[._](?P<factor>lora_down|lora_up|lora_mid|lora_A|lora_B|down|up)"
    r"(?:\.default)?\.weight$"
)
_SIDES = {"lora_down": "down", "lora_A": "down", "down": "down", "lora_up": "up", "lora_B": "up", "up": "up"}


@dataclass(frozen=True)
class LoraPart:
    """One module's change. `module` is its name with `_` for `.`, below the network; `text` says which network."""

    text: bool
    module: str
    down: torch.Tensor
    """[rank, in] or [rank, in, kh, kw]."""
    up: torch.Tensor
    """[out, rank] or [out, rank, 1, 1]."""
    mid: torch.Tensor | None
    """[rank, rank, kh, kw] of a Tucker decomposition."""
    alpha: float | None

    def change(self, rank: int | None, device: torch.device) -> torch.Tensor:
        """The full change of the weight for multiplier 1, float32; `rank` keeps only the first ranks."""
        kept = slice(0, rank)
        down, up = self.down.to(device, torch.float32)[kept], self.up.to(device, torch.float32)[:, kept]
        scale = 1.0 if self.alpha is None else self.alpha / self.down.shape[0]
        if self.mid is not None:
            mid = self.mid.to(device, torch.float32)[kept, kept]
            return torch.einsum("or,rshw,si->oihw", up.flatten(1), mid, down.flatten(1)) * scale
        flat = up.flatten(1) @ down.flatten(1)
        return flat.reshape(up.shape[0], *down.shape[1:]) * scale


def read_lora(name: str, path: Path) -> list[LoraPart]:
    """Raises EngineError `bad_model` for a damaged file or one that is no plain LoRA."""
    detail = {"lora": name, "problem": "corrupt"}
    try:
        tensors = load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise EngineError("bad_model", f"{path}: {error!r}", detail) from error
    factors: dict[str, dict[str, torch.Tensor]] = {}
    alphas: dict[str, float] = {}
    for key, tensor in tensors.items():
        match = _FACTOR.search(key)
        if match:
            factor = match["factor"]
            factors.setdefault(key[: match.start()], {})[_SIDES.get(factor, "mid")] = tensor
        elif key.endswith(".alpha") and tensor.numel() == 1:
            alphas[key.removesuffix(".alpha")] = float(tensor)
        elif key.endswith("dora_scale"):
            raise EngineError("bad_model", f"{path}: DoRA", {"lora": name, "problem": "unsupported"})
    parts = [_part(base, found, alphas.get(base)) for base, found in factors.items()]
    usable = [part for part in parts if part is not None]
    if not usable:
        raise EngineError("bad_model", f"{path}: no LoRA factors", {"lora": name, "problem": "unknown_layout"})
    return usable


def _part(base: str, found: dict[str, torch.Tensor], alpha: float | None) -> LoraPart | None:
    if "down" not in found or "up" not in found:
        return None
    # Old diffusers files: `….attn1.processor.to_q_lora.down.weight`.
    flat = base.replace(".processor.", ".").replace(".", "_")
    flat = f"{flat}_0" if flat.endswith("_to_out") else flat
    for text, prefixes in ((True, _TEXT_PREFIXES), (False, _UNET_PREFIXES)):
        for prefix in prefixes:
            if flat.startswith(prefix):
                module = flat.removeprefix(prefix).removeprefix("text_model_" if text else "")
                return LoraPart(text, module, found["down"], found["up"], found.get("mid"), alpha)
    return None
