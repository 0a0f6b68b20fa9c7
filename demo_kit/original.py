"""diffusers' names of weights → the names in single files, Stable Diffusion's own ("original layout")."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from gpu_worker.convert.layout import vae_originals
from gpu_worker.convert.originals import unet_originals

__all__ = ["controlnet_weights", "text_weights", "unet_weights", "vae_weights"]


def unet_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a UNet, under `model.diffusion_model.`"""
    return {f"model.diffusion_model.{theirs}": weights[ours] for ours, theirs in unet_originals(weights).items()}


def controlnet_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a ControlNet, under `control_model.`"""
    own = {name: theirs for name in weights if (theirs := _control_name(name)) is not None}
    shared = unet_originals(name for name in weights if name not in own)
    return {f"control_model.{theirs}": weights[ours] for ours, theirs in {**own, **shared}.items()}


def text_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a CLIP text model, with the position ids that old loaders ask for."""
    bare = {name.removeprefix("text_model."): value for name, value in weights.items()}
    made = {f"cond_stage_model.transformer.text_model.{name}": value for name, value in bare.items()}
    made["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return made


def vae_weights(weights: Mapping[str, Tensor], prefix: str = "first_stage_model.") -> dict[str, Tensor]:
    """Those of a VAE; a VAE's own file has no prefix."""
    made = {}
    for ours, theirs in vae_originals(weights).items():
        matrix = ".mid.attn_" in theirs and weights[ours].ndim == 2  # a convolution there
        made[prefix + theirs] = weights[ours][..., None, None] if matrix else weights[ours]
    return made


def _control_name(name: str) -> str | None:
    """Of what a UNet has not."""
    hint = re.fullmatch(r"controlnet_cond_embedding\.(conv_in|conv_out|blocks\.(\d+))\.(weight|bias)", name)
    if hint:
        place = {"conv_in": 0, "conv_out": 14}.get(hint[1], 2 * int(hint[2] or 0) + 2)
        return f"input_hint_block.{place}.{hint[3]}"
    if name.startswith("controlnet_down_blocks."):
        _, number, last = name.split(".")
        return f"zero_convs.{number}.0.{last}"
    if name.startswith("controlnet_mid_block."):
        return f"middle_block_out.0.{name.rpartition('.')[2]}"
    return None
