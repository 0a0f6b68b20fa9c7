"""The shape of a control model read off its weights, by the names of diffusers' networks, without a hub.

What no tensor shows (heads, norm groups) is the UNet's that it leads: a ControlNet is a copy of that one's first half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["controlnet_config", "t2i_config", "union_config"]

Shapes = Mapping[str, tuple[int, ...]]
_HINT = "controlnet_cond_embedding."
_UNION_HEADS = 8
"""Of the published union models (xinsir), which no tensor shows."""
_CELLS_PX = {64: (1, 8), 192: (3, 8), 256: (1, 16), 768: (3, 16)}
"""By the values that the first convolution reads of a cell: channels of the map, pixels to a side."""


def controlnet_config(shapes: Shapes, unet: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of diffusers' ControlNetModel. KeyError, ValueError or StopIteration where the weights are none."""
    levels = _count(shapes, "down_blocks.")
    depths = [_count(shapes, f"down_blocks.{level}.attentions.0.transformer_blocks.") for level in range(levels)]
    layers = {_count(shapes, f"down_blocks.{level}.resnets.") for level in range(levels)}
    middle = _count(shapes, "mid_block.attentions.0.transformer_blocks.")
    if len(layers) != 1 or (depths[-1] not in {0, middle}):
        raise ValueError(f"levels of {layers} layers and depths {depths}, {middle} in the middle")
    config: dict[str, Any] = {
        "in_channels": shapes["conv_in.weight"][1],
        "conditioning_channels": shapes[f"{_HINT}conv_in.weight"][1],
        "conditioning_embedding_out_channels": _hint_widths(shapes),
        "block_out_channels": tuple(shapes[f"down_blocks.{n}.resnets.0.conv1.weight"][0] for n in range(levels)),
        "layers_per_block": layers.pop(),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "transformer_layers_per_block": tuple([depth or 1 for depth in depths[:-1]] + [middle or 1]),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "cross_attention_dim": _context(shapes) or unet["cross_attention_dim"],
        "use_linear_projection": _linear(shapes, bool(unet["use_linear_projection"])),
    }
    own = ("attention_head_dim", "num_attention_heads", "norm_num_groups", "norm_eps", "upcast_attention", "act_fn")
    config |= {name: unet[name] for name in own}
    label = shapes.get("add_embedding.linear_1.weight")
    if label is not None:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = unet["addition_time_embed_dim"] or 256
        config["projection_class_embeddings_input_dim"] = label[1]
    return config


def union_config(shapes: Shapes, unet: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of diffusers' ControlNetUnionModel."""
    config = controlnet_config(shapes, unet)
    del config["mid_block_type"]
    types, width = shapes["task_embedding"]
    layers = _count(shapes, "transformer_layes.")  # so spelt in the published files
    config |= {
        "num_control_type": types,
        "num_trans_channel": width,
        "num_trans_head": _UNION_HEADS,
        "num_trans_layer": layers,
        "num_proj_channel": shapes["spatial_ch_projs.weight"][0],
        "addition_time_embed_dim": shapes["control_add_embedding.linear_1.weight"][1] // types,
    }
    return config


def t2i_config(shapes: Shapes) -> dict[str, Any]:
    """Arguments of diffusers' T2IAdapter."""
    levels = _count(shapes, "adapter.body.")
    if "adapter.body.0.out_conv.weight" in shapes:
        channels, cell = _CELLS_PX[shapes["adapter.body.0.in_conv.weight"][1]]
        # The last level repeats the one before.
        widths = [shapes[f"adapter.body.{n}.out_conv.weight"][0] for n in range(levels - 1)]
        kind = "light_adapter"
    else:
        channels, cell = _CELLS_PX[shapes["adapter.conv_in.weight"][1]]
        widths = [shapes[f"adapter.body.{n}.resnets.0.block1.weight"][0] for n in range(levels)]
        kind = "full_adapter_xl" if cell == 16 else "full_adapter"
    return {
        "in_channels": channels,
        "channels": widths,
        "num_res_blocks": _count(shapes, "adapter.body.0.resnets."),
        "downscale_factor": cell,
        "adapter_type": kind,
    }


def _hint_widths(shapes: Shapes) -> tuple[int, ...]:
    """A level's width is what its second convolution makes."""
    blocks = _count(shapes, f"{_HINT}blocks.")
    later = [shapes[f"{_HINT}blocks.{block}.weight"][0] for block in range(1, blocks, 2)]
    return (shapes[f"{_HINT}conv_in.weight"][0], *later)


def _context(shapes: Shapes) -> int | None:
    return next((shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight")), None)


def _linear(shapes: Shapes, otherwise: bool) -> bool:
    return next((len(shape) == 2 for key, shape in shapes.items() if key.endswith(".proj_in.weight")), otherwise)


def _count(shapes: Shapes, prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"(\d{1,4})\.")
    numbers = {int(match[1]) for match in map(pattern.match, shapes) if match}
    return max(numbers) + 1 if numbers else 0
