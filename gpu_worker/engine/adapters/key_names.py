"""Which module of which network a key of a LoRA-like file means.

A name is compared in its flat form, with `_` for `.`, as kohya-ss/sd-scripts writes it. UNet modules are known by
their diffusers name and by the one of the original layout (CompVis openaimodel.py); how levels and layers are numbered
there is read off the names of the loaded UNet, so networks of any size are understood. Pure functions, no tensors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Place", "compvis_key", "flat_name", "place_of", "text_module_names", "unet_module_names"]

Network = Literal["unet", "only", "first", "second"]
"""`only` is the text encoder of a checkpoint that has one, `first` and `second` are those of SDXL."""

_RESNET = {
    "conv1": "in_layers_2", "conv2": "out_layers_3", "norm1": "in_layers_0", "norm2": "out_layers_0",
    "time_emb_proj": "emb_layers_1", "conv_shortcut": "skip_connection",
}  # fmt: skip
_OPEN_CLIP = (("mlp_fc1", "mlp_c_fc"), ("mlp_fc2", "mlp_c_proj"), ("self_attn", "attn"))
_PREFIXES: tuple[tuple[str, Network], ...] = (
    ("lora_unet_", "unet"), ("lycoris_unet_", "unet"), ("oft_unet_", "unet"), ("unet_", "unet"),
    ("diffusion_model_", "unet"), ("model_diffusion_model_", "unet"),
    ("lora_te1_", "first"), ("lora_te2_", "second"), ("lora_te_", "only"),
    ("lycoris_te1_", "first"), ("lycoris_te2_", "second"), ("lycoris_te_", "only"),
    ("text_encoder_2_", "second"), ("text_encoder_", "first"),
    ("0_transformer_text_model_", "first"), ("1_model_transformer_", "second"),
    ("transformer_text_model_", "only"), ("model_transformer_", "only"),
)  # fmt: skip
_WRAPPERS = ("base_model_model_", "lycoris_")
"""What PEFT and LyCORIS put before the names of a network that they wrapped alone."""

_DOWN = re.compile(r"down_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)")
_UP = re.compile(r"up_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)")
_MID = re.compile(r"mid_block_(attentions|resnets)_(\d+)_(.+)")
_SAMPLER = re.compile(r"(down|up)_blocks_(\d+)_(?:down|up)samplers_0_conv")
_TIME = re.compile(r"(time|add)_embedding_linear_(\d+)(.*)")
_TEXT = re.compile(r"lora_te(2?)_text_model_encoder_layers_(\d+)_(.+)")


@dataclass(frozen=True)
class Place:
    """`network` is None where the key does not say; then `module` is looked for in all of them."""

    network: Network | None
    module: str


@dataclass(frozen=True)
class _Layout:
    """Resnets of each level going down and up, and which levels going up attend."""

    down: tuple[int, ...]
    up: tuple[int, ...]
    up_attends: tuple[bool, ...]

    @classmethod
    def of(cls, flat: Iterable[str]) -> _Layout:
        """From the flat diffusers names of a UNet's modules."""
        down: Counter[int] = Counter()
        up: Counter[int] = Counter()
        attends: set[int] = set()
        for name in flat:
            for pattern, counts in ((_DOWN, down), (_UP, up)):
                if match := pattern.fullmatch(name):
                    level, kind, layer = int(match[1]), match[2], int(match[3])
                    if kind == "resnets":
                        counts[level] = max(counts[level], layer + 1)
                    elif counts is up:
                        attends.add(level)
        return cls(
            tuple(down[level] for level in range(len(down))),
            tuple(up[level] for level in range(len(up))),
            tuple(level in attends for level in range(len(up))),
        )


_LEVELS = 16
# What A1111 takes for granted for every checkpoint: three entries a level, attention on all levels up but the first.
_A1111 = _Layout((2,) * _LEVELS, (3,) * _LEVELS, (False,) + (True,) * (_LEVELS - 1))
_UNKNOWN_TO_A1111 = ("conv_norm_out", "add_embedding")


def flat_name(name: str) -> str:
    """`.processor` is where old diffusers versions kept the LoRA layers of an attention block."""
    return name.replace(".processor.", ".").replace(".", "_")


def place_of(key: str) -> Place:
    """Network and flat module name of a file's key without its parameter."""
    flat = flat_name(key)
    for prefix, network in _PREFIXES:
        if flat.startswith(prefix):
            return Place(network, flat[len(prefix) :])
    for wrapper in _WRAPPERS:
        if flat.startswith(wrapper):
            return place_of(flat[len(wrapper) :])
    return Place(None, flat)


def unet_module_names(modules: Iterable[str]) -> dict[str, str]:
    """Every flat name that a file may use, and the module of a diffusers UNet that it means."""
    flat = {flat_name(module): module for module in modules}
    layout = _Layout.of(flat)
    names: dict[str, str] = {}
    for name, module in flat.items():
        for known in (name, _compvis_unet(name, layout)):
            if known is not None:
                names.setdefault(known, module)
                if known.endswith("_to_out_0"):
                    names.setdefault(known.removesuffix("_0"), module)
    return names


def text_module_names(modules: Iterable[str]) -> dict[str, str]:
    """The same for a transformers CLIP text model, by transformers' and OpenCLIP's names, without `text_model_`."""
    names: dict[str, str] = {}
    for module in modules:
        flat = flat_name(module).removeprefix("text_model_")
        names[flat] = module
        if (match := re.fullmatch(r"encoder_layers_(\d+)_(.+)", flat)) is not None:
            names[f"resblocks_{match[1]}_{_open_clip(match[2]).replace('layer_norm', 'ln_')}"] = module
    return names


def compvis_key(key: str, *, is_sd2: bool = False) -> str:
    """A kohya key of diffusers' naming in the original layout's, as A1111 looks it up (behaviours §5.6); a key it does
    not know is returned as it is."""
    if key.startswith("lora_unet_"):
        own = key.removeprefix("lora_unet_")
        name = None if own.startswith(_UNKNOWN_TO_A1111) else _compvis_unet(own, _A1111)
        return key if name is None else f"diffusion_model_{name}"
    if (match := _TEXT.fullmatch(key)) is not None:
        second, layer, rest = match[1] == "2", match[2], match[3]
        if second or is_sd2:
            return f"{'1_' if second else ''}model_transformer_resblocks_{layer}_{_open_clip(rest)}"
        return f"transformer_text_model_encoder_layers_{layer}_{rest}"
    return key


def _open_clip(name: str) -> str:
    for ours, theirs in _OPEN_CLIP:
        name = name.replace(ours, theirs)
    return name


def _compvis_unet(name: str, layout: _Layout) -> str | None:
    """The original layout's flat name of a UNet module; None for a name that is none of diffusers'."""
    for own, theirs in (("conv_in", "input_blocks_0_0"), ("conv_norm_out", "out_0"), ("conv_out", "out_2")):
        if name.startswith(own):
            return theirs + name.removeprefix(own)
    if (match := _TIME.fullmatch(name)) is not None:
        return f"{'time_embed' if match[1] == 'time' else 'label_emb_0'}_{2 * int(match[2]) - 2}{match[3]}"
    if (match := _MID.fullmatch(name)) is not None:
        attends = match[1] == "attentions"
        return f"middle_block_{1 if attends else 2 * int(match[2])}_{_inner(match[1], match[3])}"
    if (match := _DOWN.fullmatch(name)) is not None and int(match[1]) < len(layout.down):
        index = 1 + sum(layout.down[: int(match[1])]) + int(match[1]) + int(match[3])
        return f"input_blocks_{index}_{int(match[2] == 'attentions')}_{_inner(match[2], match[4])}"
    if (match := _UP.fullmatch(name)) is not None and int(match[1]) < len(layout.up):
        index = sum(layout.up[: int(match[1])]) + int(match[3])
        return f"output_blocks_{index}_{int(match[2] == 'attentions')}_{_inner(match[2], match[4])}"
    if (match := _SAMPLER.fullmatch(name)) is not None:
        level = int(match[2])
        if match[1] == "down" and level < len(layout.down):
            return f"input_blocks_{sum(layout.down[: level + 1]) + level + 1}_0_op"
        if match[1] == "up" and level < len(layout.up):
            return f"output_blocks_{sum(layout.up[: level + 1]) - 1}_{1 + layout.up_attends[level]}_conv"
    return None


def _inner(kind: str, name: str) -> str:
    return _RESNET.get(name, name) if kind == "resnets" else name
