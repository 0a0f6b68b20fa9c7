"""diffusers' and transformers' names of weights → those of single files, Stable Diffusion's own ("original layout").

The inverse of what the loader does (behaviours §12.4), for networks of every family that it knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["open_clip_originals", "unet_originals"]

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OUTER = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
_OPEN_CLIP_TOP = {
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_THIRD = re.compile(r"self_attn\.([qkv])_proj")


def unet_originals(names: Iterable[str]) -> dict[str, str]:
    """A UNet's names, and the original ones without prefix. Raises ValueError for what is no part of such a UNet."""
    names = list(names)
    layers = 1 + max(
        (int(found[1]) for name in names if (found := re.match(r"down_blocks\.0\.resnets\.(\d+)\.", name))), default=0
    )
    attends = {found[1] for name in names if (found := re.match(r"(up_blocks\.\d+)\.attentions\.", name))}
    return {name: _unet_name(name, layers, attends) for name in names}


def _unet_name(name: str, layers: int, attends: set[str]) -> str:
    """A level has an entry a layer in the list of blocks, going up one more, and what changes the size."""
    for ours, theirs in _OUTER.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    block, _, rest = name.partition(".")
    if block == "mid_block":
        kind, number, rest = rest.split(".", 2)
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(number)}.{_inner(kind, rest)}"
    if block not in ("down_blocks", "up_blocks"):
        raise ValueError(f"no part of a UNet: {name}")
    level, kind, number, rest = rest.split(".", 3)
    start = (layers + 1) * int(level)
    if kind == "downsamplers":
        return f"input_blocks.{start + layers + 1}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{start + layers}.{2 if f'{block}.{level}' in attends else 1}.{rest}"
    at = start + int(number)
    place = f"input_blocks.{at + 1}" if block == "down_blocks" else f"output_blocks.{at}"
    return f"{place}.{1 if kind == 'attentions' else 0}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    if kind != "resnets":
        return rest
    part, _, last = rest.rpartition(".")
    if part not in _RESNET:
        raise ValueError(f"no part of a residual block: {rest}")
    return f"{_RESNET[part]}.{last}"


def open_clip_originals(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """OpenCLIP's names, and which of transformers' names (without `text_model.`) are joined to each: query, key and
    value are one tensor there. `text_projection` is transposed. Raises ValueError for what is no part of it."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name in _OPEN_CLIP_TOP:
            found[_OPEN_CLIP_TOP[name]] = (name,)
        elif name == "text_projection.weight":
            found["text_projection"] = (name,)
        elif (layer := _LAYER.fullmatch(name)) is not None:
            number, part, last = layer.groups()
            root = f"transformer.resblocks.{number}."
            if _THIRD.fullmatch(part):
                thirds = tuple(f"encoder.layers.{number}.self_attn.{letter}_proj.{last}" for letter in "qkv")
                found[f"{root}attn.in_proj_{last}"] = thirds
            elif part in _OPEN_CLIP:
                found[f"{root}{_OPEN_CLIP[part]}.{last}"] = (name,)
            else:
                raise ValueError(f"no part of an OpenCLIP text model: {name}")
        elif not name.endswith("position_ids"):
            raise ValueError(f"no part of an OpenCLIP text model: {name}")
    return found
