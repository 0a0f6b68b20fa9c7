"""diffusers' names of weights → the names in single files, Stable Diffusion's own ("original layout")."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["controlnet_weights", "text_weights", "unet_weights", "vae_weights"]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTER = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_PER_LEVEL = 3
"""Entries a level has in the list of blocks: two layers, and what changes the size."""


def unet_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a UNet of SD 1.x's shape, under `model.diffusion_model.`"""
    return {f"model.diffusion_model.{_unet_name(name)}": value for name, value in weights.items()}


def controlnet_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a ControlNet of SD 1.x's shape, under `control_model.`"""
    return {f"control_model.{_control_name(name)}": value for name, value in weights.items()}


def text_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of a CLIP text model, with the position ids that old loaders ask for."""
    bare = {name.removeprefix("text_model."): value for name, value in weights.items()}
    made = {f"cond_stage_model.transformer.text_model.{name}": value for name, value in bare.items()}
    made["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return made


def vae_weights(weights: Mapping[str, Tensor], prefix: str = "first_stage_model.") -> dict[str, Tensor]:
    """Those of a VAE; a VAE's own file has no prefix."""
    made = {}
    for name, value in weights.items():
        attention = "attentions" in name and not name.endswith(("group_norm.weight", "group_norm.bias", "bias"))
        made[prefix + _vae_name(name)] = value[..., None, None] if attention else value
    return made


def _unet_name(name: str) -> str:
    for ours, theirs in _OUTER.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    block, _, rest = name.partition(".")
    if block == "mid_block":
        kind, number, rest = rest.split(".", 2)
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}.{_inner(kind, rest)}"
    level, kind, number, rest = rest.split(".", 3)
    if block == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{_PER_LEVEL * (int(level) + 1)}.0.op.{rest.removeprefix('conv.')}"
        place = f"input_blocks.{_PER_LEVEL * int(level) + int(number) + 1}"
    else:
        if kind == "upsamplers":
            return f"output_blocks.{_PER_LEVEL * int(level) + 2}.{1 if level == '0' else 2}.{rest}"
        place = f"output_blocks.{_PER_LEVEL * int(level) + int(number)}"
    return f"{place}.{1 if kind == 'attentions' else 0}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    part, _, last = rest.rpartition(".")
    return f"{_RESNET[part]}.{last}" if kind == "resnets" else rest


def _control_name(name: str) -> str:
    hint = re.fullmatch(r"controlnet_cond_embedding\.(conv_in|conv_out|blocks\.(\d+))\.(weight|bias)", name)
    if hint:
        place = {"conv_in": 0, "conv_out": 14}.get(hint[1], 2 * int(hint[2] or 0) + 2)
        return f"input_hint_block.{place}.{hint[3]}"
    if name.startswith("controlnet_down_blocks."):
        _, number, last = name.split(".")
        return f"zero_convs.{number}.0.{last}"
    if name.startswith("controlnet_mid_block."):
        return f"middle_block_out.0.{name.rpartition('.')[2]}"
    return _unet_name(name)


def _vae_name(name: str) -> str:
    name = name.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
    name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_norm_out", "norm_out")
    name = name.replace("conv_shortcut", "nin_shortcut")
    if "attn_1" in name:
        for ours, theirs in {
            "group_norm": "norm",
            "to_q": "q",
            "to_k": "k",
            "to_v": "v",
            "to_out.0": "proj_out",
        }.items():
            name = name.replace(ours, theirs)
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", name)
