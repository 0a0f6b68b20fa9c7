"""A control model's weights by the names of diffusers' networks, from every published layout (behaviours §17.5).

Difference models and Control-LoRAs are what a checkpoint's own UNet becomes: they hold only how it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from gpu_worker.engine.checkpoints.weights import WeightsFile
from gpu_worker.engine.control.names import bare_names, diffusers_name, is_original, layers_per_block

__all__ = ["MARKS", "controlnet_weights", "needs_checkpoint", "t2i_weights"]

Weights = dict[str, torch.Tensor]
MARKS = ("difference", "lora_controlnet")
"""Keys without meaning of their own: a difference model, a Control-LoRA."""
_UP, _DOWN = "up", "down"
_BLOCKS_A_LEVEL = 2


def needs_checkpoint(shapes: Mapping[str, object]) -> bool:
    return any(mark in shapes for mark in MARKS)


def controlnet_weights(file: WeightsFile, unet: Any) -> Weights:
    """`unet` is the one that it will lead; only what holds differences reads its weights. Raises ValueError and
    KeyError for what does not fit together."""
    names = bare_names({key: key for key in file.shapes if key not in MARKS})
    raw = {name: tensor for (name, key) in names.items() for tensor in file.read([key]).values()}
    found = _renamed(raw)
    if "difference" in file.shapes:
        return _transferred(found, unet)
    return _completed(found, unet) if "lora_controlnet" in file.shapes else found


def _renamed(raw: Weights) -> Weights:
    if not is_original(raw):
        return raw
    layers = layers_per_block(raw)
    found: Weights = {}
    for key, tensor in raw.items():
        module, _, kind = key.rpartition(".")
        name = diffusers_name(module, layers)
        if name is not None:
            found[f"{name}.{kind}"] = tensor
    return found


def _transferred(changes: Weights, unet: Any) -> Weights:
    """`control = difference + UNet`; what the UNet has no counterpart for is the network's own, and what differed by
    next to nothing was left out of the file."""
    base = _encoder(unet, changes)
    made = dict(base)
    for name, tensor in changes.items():
        made[name] = tensor if name not in base else base[name].float() + _as(tensor, base[name], name)
    return made


def _completed(parts: Weights, unet: Any) -> Weights:
    """Stability's Control-LoRA: `weight = UNet + up @ down`, and tensors that replace the UNet's."""
    made = _encoder(unet, parts)
    for name, tensor in parts.items():
        module, _, kind = name.rpartition(".")
        if kind == _DOWN:
            continue
        if kind != _UP:
            made[name] = tensor
            continue
        down = parts[f"{module}.{_DOWN}"]
        base = made[f"{module}.weight"].float()
        made[f"{module}.weight"] = base + (tensor.float().flatten(1) @ down.float().flatten(1)).reshape(base.shape)
    return made


def _encoder(unet: Any, like: Weights) -> Weights:
    """The half of a UNet that a ControlNet is a copy of, in memory."""
    parts = ("conv_in.", "time_embedding.", "add_embedding.", "down_blocks.", "mid_block.")
    found = {key: tensor.detach().cpu() for key, tensor in unet.state_dict().items() if key.startswith(parts)}
    # An inpainting checkpoint reads mask and masked picture besides, a ControlNet the latent alone.
    entrance = like.get("conv_in.weight")
    channels = entrance.shape[1] if entrance is not None and entrance.ndim == 4 else unet.config.out_channels
    found["conv_in.weight"] = found["conv_in.weight"][:, :channels]
    return found


def _as(tensor: torch.Tensor, like: torch.Tensor, name: str) -> torch.Tensor:
    if tensor.shape == like.shape:
        return tensor.float()
    # A 1 x 1 convolution may be written as a matrix.
    if tensor.numel() == like.numel() and tensor.shape[:2] == like.shape[:2]:
        return tensor.float().reshape(like.shape)
    raise ValueError(f"{name}: {tuple(tensor.shape)} on {tuple(like.shape)}")


def t2i_weights(file: WeightsFile) -> Weights:
    """TencentARC's layout counts the blocks of all levels through, two a level; diffusers' counts them by level."""
    raw = file.read(file.shapes)
    bare = {key.removeprefix("adapter."): tensor for key, tensor in raw.items()}
    if not any(".resnets." in key for key in bare):
        light = any(key.endswith("out_conv.weight") for key in bare)
        bare = {_light_name(key) if light else _full_name(key): tensor for key, tensor in bare.items()}
    return {f"adapter.{key}": tensor for key, tensor in bare.items()}


def _light_name(key: str) -> str:
    parts = key.split(".")
    if parts[0] == "body" and len(parts) > 3 and parts[2] == "body":
        parts[2] = "resnets"
    return ".".join(parts)


def _full_name(key: str) -> str:
    parts = key.split(".")
    if parts[0] != "body":
        return key
    level, block = divmod(int(parts[1]), _BLOCKS_A_LEVEL)
    inner = [] if parts[2] == "in_conv" else ["resnets", str(block)]
    return ".".join(["body", str(level), *inner, *parts[2:]])
