"""The shape of a VAE, and its weights by diffusers' names, from any of the three layouts in the wild.

Original keys (`encoder.down.0…`), the same below `first_stage_model.`, and diffusers' keys (`encoder.down_blocks.0…`);
behaviours §11. Latent scales: SD 1.x and 2.x 0.18215, SDXL 0.13025 (their published configurations).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpu_worker.engine.checkpoints.checkpoint import Family
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.families.unet import NORM_GROUPS, count_parts

__all__ = ["VAE_PREFIXES", "latent_scale", "vae_config", "vae_names", "vae_weights"]

VAE_PREFIXES = ("first_stage_model.", "vae.")

Shapes = Mapping[str, tuple[int, ...]]
_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
_LINEAR_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""diffusers' names for the attention of the middle block before its version 0.13."""


def latent_scale(family: Family) -> float:
    return 0.13025 if family in {"sdxl", "sdxl_refiner"} else 0.18215


TILE_PX = 512


def vae_names(keys: Iterable[str]) -> dict[str, str]:
    """Key in the file → key without prefix, of the VAE's tensors only: no losses, no EMA copies."""
    keys = list(keys)
    prefix = next((p for p in VAE_PREFIXES if any(key.startswith(p) for key in keys)), "")
    names = {key: key.removeprefix(prefix) for key in keys if key.startswith(prefix)}
    return {key: name for key, name in names.items() if name.startswith(_PARTS)}


def vae_config(shapes: Shapes, scale: float) -> dict[str, Any]:
    """Arguments of diffusers' AutoencoderKL from shapes by names without prefix. KeyError where they are no VAE."""
    if _diffusers(shapes):
        down, width, layer = "encoder.down_blocks.", "{}{}.resnets.0.conv2.weight", "{}0.resnets."
    else:
        down, width, layer = "encoder.down.", "{}{}.block.0.conv2.weight", "{}0.block."
    levels = count_parts(shapes, down)
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": tuple(shapes[width.format(down, level)][0] for level in range(levels)),
        "layers_per_block": count_parts(shapes, layer.format(down)),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "norm_num_groups": NORM_GROUPS,
        "scaling_factor": scale,
        # Of what it is cut into where the whole does not fit; diffusers' own default is a tile of 32 px.
        "sample_size": TILE_PX,
    }


def vae_weights(weights: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """By diffusers' names, from names without prefix."""
    if not _diffusers(weights):
        return libraries().convert_vae(weights, config)
    named: dict[str, Any] = {}
    for key, tensor in weights.items():
        before, _, last = key.rpartition(".")
        part, _, name = before.rpartition(".")
        if name in _LINEAR_NAMES and ".attentions." in key:
            key, tensor = f"{part}.{_LINEAR_NAMES[name]}.{last}", tensor.reshape(tensor.shape[: tensor.ndim and 2])
        named[key] = tensor
    return named


def _diffusers(keys: Iterable[str]) -> bool:
    return any(key.startswith(("encoder.down_blocks.", "decoder.up_blocks.")) for key in keys)
