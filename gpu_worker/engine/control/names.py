"""Keys of a ControlNet in the original layout (lllyasviel/ControlNet, cldm.py) by the names of diffusers' network.

Written as a rule for one key at a time, because difference models and Control-LoRAs hold only some of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

__all__ = ["bare_names", "diffusers_name", "is_original", "layers_per_block"]

PREFIX = "control_model."
_PLAIN = {
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in", "input_hint_block.0": "controlnet_cond_embedding.conv_in",
    "input_hint_block.14": "controlnet_cond_embedding.conv_out", "middle_block_out.0": "controlnet_mid_block",
}  # fmt: skip
_RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
_INPUT = re.compile(r"input_blocks\.(\d{1,3})\.([01])\.(.+)")
_MIDDLE = re.compile(r"middle_block\.([012])\.(.+)")
_HINT = re.compile(r"input_hint_block\.(\d{1,3})")
_ZERO = re.compile(r"zero_convs\.(\d{1,3})\.0")

T = TypeVar("T")


def bare_names(tensors: Mapping[str, T]) -> dict[str, T]:
    """Without the prefix that the first published files have; the rest of such a file (a whole checkpoint) is left."""
    if any(key.startswith(PREFIX) for key in tensors):
        return {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
    return dict(tensors)


def is_original(names: Mapping[str, object]) -> bool:
    return any(key.startswith(("input_blocks.", "input_hint_block.", "zero_convs.", "middle_block.")) for key in names)


def layers_per_block(names: Mapping[str, object]) -> int:
    """Of an original layout: what lies between one downsampling and the next."""
    downs = sorted(int(key.split(".")[1]) for key in names if re.fullmatch(r"input_blocks\.\d+\.0\.op\.\w+", key))
    return downs[0] - 1 if downs else max(int(m[1]) for key in names if (m := _INPUT.match(key)))


def diffusers_name(module: str, layers: int) -> str | None:
    """Of a module; None for what the original layout does not have."""
    if module in _PLAIN:
        return _PLAIN[module]
    if match := _ZERO.fullmatch(module):
        return f"controlnet_down_blocks.{match[1]}"
    if match := _HINT.fullmatch(module):
        return f"controlnet_cond_embedding.blocks.{int(match[1]) // 2 - 1}"
    if match := _MIDDLE.fullmatch(module):
        part = int(match[1])
        if part == 1:
            return f"mid_block.attentions.0.{match[2]}"
        return f"mid_block.resnets.{part // 2}.{_RESNET[match[2]]}" if match[2] in _RESNET else None
    match = _INPUT.fullmatch(module)
    if match is None or match[1] == "0":
        return None
    block, layer = divmod(int(match[1]) - 1, layers + 1)
    if match[2] == "1":
        return f"down_blocks.{block}.attentions.{layer}.{match[3]}"
    if match[3] == "op":
        return f"down_blocks.{block}.downsamplers.0.conv"
    return f"down_blocks.{block}.resnets.{layer}.{_RESNET[match[3]]}" if match[3] in _RESNET else None
