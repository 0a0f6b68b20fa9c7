"""The text models of every family: their shapes and transformers' names for their weights.

CLIP-L (SD 1.x, SDXL) is stored as transformers names it. SD 2.x and SDXL's second model are OpenCLIP's, whose names
differ and whose query, key and value are one tensor. Heads are 64 wide throughout. How each is read: behaviours §3.4
and §3.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import EncoderKind, Family
from gpu_worker.engine.families.unet import count_parts

__all__ = ["TextPart", "text_config", "text_parts", "text_reading", "text_weights"]

HEAD_WIDTH = 64
_OPEN_CLIP = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn": "self_attn", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_OPEN_CLIP_TOP = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_SD2_LAYERS = 24

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TextPart:
    """One text model of a file: what it is, and the prefix of its keys."""

    kind: EncoderKind
    prefix: str

    @property
    def projects(self) -> bool:
        """Whether the pooled vector is projected, as SDXL wants it."""
        return self.kind == "clip_g"


def text_parts(family: Family, shapes: Mapping[str, Any]) -> tuple[TextPart, ...]:
    """The text models that the family has, in the order in which their vectors are laid side by side."""
    if family == "sd1":
        return (TextPart("clip_l", "cond_stage_model.transformer."),)
    if family == "sd2":
        turbo = "conditioner.embedders.0.model.ln_final.weight" in shapes
        return (TextPart("open_clip", "conditioner.embedders.0.model." if turbo else "cond_stage_model.model."),)
    second = TextPart("clip_g", f"conditioner.embedders.{1 if family == 'sdxl' else 0}.model.")
    return (TextPart("clip_l", "conditioner.embedders.0.transformer."), second) if family == "sdxl" else (second,)


def text_reading(family: Family, kind: EncoderKind, layers: int, end: int) -> dict[str, Any]:
    """Fields of TextEncoder: padding, the hidden state that is read, and whether the final norm is laid over it."""
    if kind == "open_clip":
        # The penultimate of 24; files that went through diffusers lack the last, which nobody reads.
        return {"pad": 0, "layer": 1 if layers == _SD2_LAYERS - 1 else 2, "skips": False, "final_norm": True}
    if family == "sd1":
        return {"pad": end, "layer": 1, "skips": True, "final_norm": True}
    return {"pad": end if kind == "clip_l" else 0, "layer": 2, "skips": False, "final_norm": False}


def text_weights(part: TextPart, weights: Weights) -> Weights:
    """By the names of transformers' CLIPTextModel (since 5.6 without inner `text_model`), plus `text_projection.weight`
    where the model projects. `weights` have their prefix still."""
    named = {key.removeprefix(part.prefix): tensor for key, tensor in weights.items()}
    if part.kind == "clip_l":
        short = {key.removeprefix("text_model."): tensor for key, tensor in named.items()}
        return {
            key: tensor
            for key, tensor in short.items()
            if key.startswith(("embeddings.", "encoder.", "final_")) and not key.endswith("position_ids")
        }
    found: Weights = {}
    for key, tensor in named.items():
        if key in _OPEN_CLIP_TOP:
            found[_OPEN_CLIP_TOP[key]] = tensor
        elif key == "text_projection" and part.projects:
            found["text_projection.weight"] = tensor.T.contiguous()  # OpenCLIP multiplies from the right
        elif key.startswith("transformer.resblocks."):
            _, _, number, rest = key.split(".", 3)
            found.update(_block(f"encoder.layers.{number}.", rest, tensor))
    return found


def _block(root: str, rest: str, tensor: torch.Tensor) -> Weights:
    if rest.startswith("attn.in_proj_"):
        kind = rest.removeprefix("attn.in_proj_")
        return {f"{root}self_attn.{n}_proj.{kind}": t for n, t in zip("qkv", tensor.chunk(3), strict=True)}
    module, _, kind = rest.rpartition(".")
    for theirs, ours in _OPEN_CLIP.items():
        if module == theirs or module.startswith(f"{theirs}."):
            return {f"{root}{ours}{module.removeprefix(theirs)}.{kind}": tensor}
    raise ValueError(f"no part of an OpenCLIP text model: {rest}")


def text_config(kind: EncoderKind, weights: Weights) -> dict[str, Any]:
    """Arguments of transformers' CLIPTextConfig, from weights named by `text_weights`."""
    words, width = weights["embeddings.token_embedding.weight"].shape
    projection = weights.get("text_projection.weight")
    config = {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": weights["encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": count_parts(dict.fromkeys(weights, ()), "encoder.layers."),
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "max_position_embeddings": weights["embeddings.position_embedding.weight"].shape[0],
        "hidden_act": "quick_gelu" if kind == "clip_l" else "gelu",
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": words - 1 if kind == "clip_l" else 0,
    }
    if projection is not None:
        config["projection_dim"] = projection.shape[0]
    return config
