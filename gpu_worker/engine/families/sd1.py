"""Stable Diffusion 1.x: the networks' shapes, read off the weights of a file in the original key layout.

What no tensor shows is taken from SD 1.x (CompVis stable-diffusion, configs/stable-diffusion/v1-inference.yaml): 8
attention heads and 32 norm groups in the UNet and the VAE, heads of 64 in the text encoder, latent scale 0.18215.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["LATENT_SCALE", "TEXT_PREFIX", "UNET_PREFIX", "VAE_PREFIX", "text_config", "unet_config", "vae_config"]

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer."
LATENT_SCALE = 0.18215

UNET_HEADS = 8
NORM_GROUPS = 32
TEXT_HEAD_WIDTH = 64

Shapes = Mapping[str, tuple[int, ...]]


def unet_config(shapes: Shapes) -> dict[str, Any]:
    """Arguments of diffusers' UNet2DConditionModel. KeyError or ValueError where the weights are no SD 1.x UNet."""
    blocks = UNET_PREFIX + "input_blocks."
    widths: list[int] = []
    attends: list[bool] = []
    layers: list[int] = [0]
    for index in range(1, _count(shapes, blocks)):
        if f"{blocks}{index}.0.op.weight" in shapes:
            layers.append(0)
            continue
        width = shapes[f"{blocks}{index}.0.in_layers.2.weight"][0]
        attention = f"{blocks}{index}.1.proj_in.weight" in shapes
        if layers[-1] == 0:
            widths.append(width)
            attends.append(attention)
        layers[-1] += 1
    if len(set(layers)) != 1:
        raise ValueError(f"levels of different depth: {layers}")
    context = next(shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight"))
    return {
        "sample_size": 64,
        "in_channels": shapes[f"{blocks}0.0.weight"][1],
        "out_channels": shapes[UNET_PREFIX + "out.2.weight"][0],
        "block_out_channels": tuple(widths),
        "layers_per_block": layers[0],
        "down_block_types": tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        "up_block_types": tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        "cross_attention_dim": context,
        # diffusers' name for the number of heads, an old mistake it keeps for compatibility
        "attention_head_dim": UNET_HEADS,
        "norm_num_groups": NORM_GROUPS,
    }


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """Arguments of diffusers' AutoencoderKL. KeyError where the weights are no such VAE."""
    down = VAE_PREFIX + "encoder.down."
    levels = _count(shapes, down)
    return {
        "in_channels": shapes[VAE_PREFIX + "encoder.conv_in.weight"][1],
        "out_channels": shapes[VAE_PREFIX + "decoder.conv_out.weight"][0],
        "latent_channels": shapes[VAE_PREFIX + "post_quant_conv.weight"][1],
        "block_out_channels": tuple(shapes[f"{down}{level}.block.0.conv2.weight"][0] for level in range(levels)),
        "layers_per_block": _count(shapes, f"{down}0.block."),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "norm_num_groups": NORM_GROUPS,
        "scaling_factor": LATENT_SCALE,
    }


def text_config(shapes: Shapes) -> dict[str, Any]:
    """Arguments of transformers' CLIPTextConfig, from weights already named as that model names them."""
    words, width = shapes["embeddings.token_embedding.weight"]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _count(shapes, "encoder.layers."),
        "num_attention_heads": max(1, width // TEXT_HEAD_WIDTH),
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "hidden_act": "quick_gelu",
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": words - 1,
    }


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbered parts follow `prefix`."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    numbers = {int(match[1]) for match in map(pattern.match, shapes) if match}
    return max(numbers) + 1 if numbers else 0
