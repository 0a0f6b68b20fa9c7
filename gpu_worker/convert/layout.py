"""What the keys of a checkpoint mean, and a VAE's keys in the original layout (behaviours §11, §12.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from gpu_worker.engine.families.vae import VAE_PREFIXES

__all__ = ["EMA", "VAE", "Part", "ema_key", "is_position_ids", "part_of", "vae_originals"]

Part = Literal["unet", "text_encoder", "vae", "other"]

VAE = VAE_PREFIXES[0]
EMA = "model_ema."
_PARTS: tuple[tuple[str, Part], ...] = (
    ("model.diffusion_model.", "unet"), (EMA, "unet"), ("cond_stage_model.", "text_encoder"),
    ("conditioner.", "text_encoder"), (VAE, "vae"),
)  # fmt: skip
_RESNET = {"conv_shortcut": "nin_shortcut"}
_ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
    "query": "q", "key": "k", "value": "v", "proj_attn": "proj_out",
}  # fmt: skip
_LEVEL = re.compile(r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def part_of(key: str) -> Part:
    for prefix, part in _PARTS:
        if key.startswith(prefix):
            return part
    return "other"


def ema_key(key: str) -> str | None:
    """Where the running average of a weight of the UNet is kept."""
    return EMA + key.removeprefix("model.").replace(".", "") if key.startswith("model.diffusion_model.") else None


def is_position_ids(key: str) -> bool:
    return key.endswith(("text_model.embeddings.position_ids", "transformer.embeddings.position_ids"))


def vae_originals(names: Iterable[str]) -> dict[str, str]:
    """A VAE's names, without prefix and in either layout, and those of the original one."""
    names = list(names)
    levels = [int(match[2]) for name in names if (match := _LEVEL.fullmatch(name))]
    last = max(levels, default=0)
    return {name: _original(name, last) for name in names}


def _original(name: str, last: int) -> str:
    if match := _LEVEL.fullmatch(name):
        side, number, kind, index, rest = match.groups()
        level = int(number) if side.startswith("encoder") else last - int(number)
        if kind == "resnets":
            return f"{side}.{level}.block.{index}.{_renamed(rest, _RESNET)}"
        return f"{side}.{level}.{kind.removesuffix('rs')}.{rest}"
    if match := _MIDDLE.fullmatch(name):
        side, kind, index, rest = match.groups()
        if kind == "resnets":
            return f"{side}.mid.block_{int(index) + 1}.{_renamed(rest, _RESNET)}"
        return f"{side}.mid.attn_{int(index) + 1}.{_renamed(rest, _ATTENTION)}"
    return name.replace(".conv_norm_out.", ".norm_out.")


def _renamed(rest: str, names: dict[str, str]) -> str:
    module, _, last = rest.rpartition(".")
    return f"{names.get(module, module)}.{last}"
