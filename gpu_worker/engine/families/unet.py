"""The shape of a UNet in the original key layout, read off its weights: SD 1.x, SD 2.x, SDXL and its refiner alike.

What no tensor shows comes from the families' published configurations (CompVis stable-diffusion, Stability-AI
stablediffusion and generative-models): 32 norm groups; 8 attention heads in SD 1.x, heads of width 64 in the others;
256 values for each number of SDXL's size conditioning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpu_worker.engine.checkpoints.checkpoint import Family

__all__ = ["UNET_PREFIX", "count_parts", "unet_config"]

UNET_PREFIX = "model.diffusion_model."
SD1_HEADS = 8
HEAD_WIDTH = 64
NORM_GROUPS = 32
SIZE_EMBEDDING_WIDTH = 256

Shapes = Mapping[str, tuple[int, ...]]


def unet_config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """Arguments of diffusers' UNet2DConditionModel. KeyError, ValueError or IndexError where the weights are none."""
    blocks = UNET_PREFIX + "input_blocks."
    widths: list[int] = []
    depths: list[list[int]] = []
    for index in range(1, count_parts(shapes, blocks)):
        if f"{blocks}{index}.0.op.weight" in shapes:
            continue
        if index == 1 or f"{blocks}{index - 1}.0.op.weight" in shapes:
            widths.append(shapes[f"{blocks}{index}.0.in_layers.2.weight"][0])
            depths.append([])
        depths[-1].append(count_parts(shapes, f"{blocks}{index}.1.transformer_blocks."))
    layers = {len(level) for level in depths}
    if len(layers) != 1 or any(len(set(level)) != 1 for level in depths):
        raise ValueError(f"levels of different depth: {depths}")
    deep = [level[0] for level in depths]
    middle = count_parts(shapes, f"{UNET_PREFIX}middle_block.1.transformer_blocks.")
    if middle == 0 or (deep[-1] not in {0, middle}):
        raise ValueError(f"a middle block of depth {middle}")
    context = next(shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight"))
    config: dict[str, Any] = {
        "sample_size": 128 if family in {"sdxl", "sdxl_refiner"} else 64,
        "in_channels": shapes[f"{blocks}0.0.weight"][1],
        "out_channels": shapes[UNET_PREFIX + "out.2.weight"][0],
        "block_out_channels": tuple(widths),
        "layers_per_block": layers.pop(),
        "down_block_types": tuple("CrossAttnDownBlock2D" if d else "DownBlock2D" for d in deep),
        "up_block_types": tuple("CrossAttnUpBlock2D" if d else "UpBlock2D" for d in reversed(deep)),
        # the middle block takes the last level's depth, whether that level attends or not
        "transformer_layers_per_block": tuple([d or 1 for d in deep[:-1]] + [middle]),
        "cross_attention_dim": context,
        # diffusers' name for the number of heads, an old mistake it keeps for compatibility
        "attention_head_dim": SD1_HEADS if family == "sd1" else tuple(max(1, w // HEAD_WIDTH) for w in widths),
        "use_linear_projection": len(shapes[f"{UNET_PREFIX}middle_block.1.proj_in.weight"]) == 2,
        # SD 2.x overflows half precision in its attention scores; attention by torch's own kernels is safe either way
        "upcast_attention": family == "sd2",
        "norm_num_groups": NORM_GROUPS,
    }
    label = shapes.get(f"{UNET_PREFIX}label_emb.0.0.weight")
    if label is not None:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = SIZE_EMBEDDING_WIDTH
        config["projection_class_embeddings_input_dim"] = label[1]
    return config


def count_parts(shapes: Shapes, prefix: str) -> int:
    """How many numbered parts follow `prefix`."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    numbers = {int(match[1]) for match in map(pattern.match, shapes) if match}
    return max(numbers) + 1 if numbers else 0
