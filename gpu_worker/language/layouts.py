"""What a model is, told by the names and shapes of its tensors (and, for a diffusers folder, its config files).

Key rules: behaviours §12.4 for checkpoints, §11 for VAEs, §5.4 to §5.6 for LoRAs, §4 for embeddings.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from gpu_worker.language.details import WORD_CHARS_MAX, Details, one_line
from gpu_worker.language.headers import HeaderError, Shapes, TensorHeader, read_header
from gpu_worker.language.pickles import flat_tensors, read_pickled
from gpu_worker.protocol.messages import ModelKind

__all__ = [
    "PICKLE_SUFFIXES", "PICTURE_SUFFIXES", "STEM", "Reading", "Variant", "checkpoint_reading", "context_family",
    "embedding_reading", "folder_weights", "is_lora", "is_vae", "lora_reading", "model_type_from_keys",
    "read_any_header", "read_checkpoint_folder", "type_of", "vae_reading",
]  # fmt: skip

UNET = "model.diffusion_model."
STEM = UNET + "input_blocks.0.0.weight"
CONFIG_LIMIT_BYTES = 1_000_000
LATENT_CHANNELS = 4
PICTURE_SUFFIXES = frozenset({".png", ".webp", ".avif"})
PICKLE_SUFFIXES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})

Variant = Literal[
    "inpaint", "pix2pix", "ip_adapter", "t2i_adapter", "lllite", "control_union", "control_lora", "control_difference",
    "clip_vision",
]  # fmt: skip
"""Of checkpoints, of control models, and of annotators."""

_TYPES: dict[str, tuple[str, Variant | None]] = {
    "config_default": ("sd1", None), "config_inpainting": ("sd1", "inpaint"),
    "config_instruct_pix2pix": ("sd1", "pix2pix"), "config_sd2": ("sd2", None),
    "config_sd2_inpainting": ("sd2", "inpaint"), "config_sdxl": ("sdxl", None),
    "config_sdxl_inpainting": ("sdxl", "inpaint"), "config_sdxl_refiner": ("sdxl_refiner", None),
}  # fmt: skip
_NATIVE_PX = {"sd1": 512, "sd2": 768, "sdxl": 1024, "sdxl_refiner": 1024}
_TEXT = {
    "sd1": ("cond_stage_model.transformer.",),
    "sd2": ("cond_stage_model.model.", "conditioner.embedders.0.model."),
    "sdxl": ("conditioner.embedders.1.model.",),
    "sdxl_refiner": ("conditioner.embedders.0.model.",),
}
_TURBO_WIDTH = 1024
_CONTEXT_FAMILIES = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl_refiner"}
"""By the width of the text encoding that cross-attention reads, which is also an embedding's."""


@dataclass(frozen=True)
class Reading:
    """What a model's header says; with `problem` set the rest may be missing."""

    family: str | None = None
    native_px: int | None = None
    problem: str | None = None
    variant: Variant | None = None
    alias: str | None = None
    context: int | None = None
    """Width of the text encoding that its cross-attention reads, or that it is a part of."""
    lacks_vae: bool = False
    """Draws only with a separate VAE file."""
    kind: ModelKind | None = None
    """What its tensors are, where that is not what its folder is for."""
    details: Details = field(default_factory=Details)


def model_type_from_keys(shapes: Mapping[str, Any]) -> str:
    """The name of A1111's configuration for these keys, in its order of tests (behaviours §12.4)."""
    channels = _size(shapes, STEM, 1)
    second, first = "conditioner.embedders.1.model.ln_final.weight", "conditioner.embedders.0.model.ln_final.weight"
    if second in shapes:
        return "config_sdxl_inpainting" if channels == 9 else "config_sdxl"
    if first in shapes and _size(shapes, first, 0) != _TURBO_WIDTH:
        return "config_sdxl_refiner"
    if "depth_model.model.pretrained.act_postprocess3.0.project.0.bias" in shapes:
        return "config_depth_model"
    image = {768: "config_unclip", 1024: "config_unopenclip"}.get(_size(shapes, "embedder.model.ln_final.weight", 0))
    if image is not None:
        return image
    if first in shapes or "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight" in shapes:
        return "config_sd2_inpainting" if channels == 9 else "config_sd2"
    if "cond_stage_model.roberta.embeddings.word_embeddings.weight" in shapes:
        return "config_alt_diffusion"
    return {9: "config_inpainting", 8: "config_instruct_pix2pix"}.get(channels, "config_default")


def type_of(shapes: Mapping[str, Any]) -> tuple[str, Variant | None] | None:
    """(family, variant) of a checkpoint; None for one that cannot be drawn with."""
    return _TYPES.get(model_type_from_keys(shapes))


def read_any_header(path: Path, wrappers: Sequence[str] = ("state_dict",), *, networks: bool = False) -> TensorHeader:
    """Of a safetensors file or of torch.save's, whatever the name says; of the latter what lies below `wrappers`;
    `networks` as in `read_pickled`. Raises HeaderError: `unsafe`, `corrupt`."""
    try:
        return read_header(path)
    except HeaderError as error:
        if error.problem != "pickled":
            raise
    tensors = flat_tensors(read_pickled(path, networks=networks).content, wrappers)
    counts: dict[str, int] = {}
    for tensor in tensors.values():
        counts[tensor.storage.kind] = counts.get(tensor.storage.kind, 0) + math.prod(tensor.shape)
    return TensorHeader({key: tensor.shape for key, tensor in tensors.items()}, {}, counts)


def checkpoint_reading(header: TensorHeader) -> Reading:
    """A single file in the original layout."""
    shapes = header.shapes
    stem = shapes.get(STEM)
    if stem is None or len(stem) != 4:
        return Reading(problem="unknown_layout")
    known = type_of(shapes)
    if known is None or any(key.startswith("control_model.") for key in shapes):
        return Reading(problem="unsupported")  # depth, unCLIP, Alt-Diffusion, ControlNet
    family, variant = known
    if stem[1] != {None: 4, "inpaint": 9, "pix2pix": 8}[variant]:
        return Reading(problem="unsupported")
    if not any(key.startswith(_TEXT[family]) for key in shapes):
        return Reading(problem="no_text_encoder")
    vae = any(key.startswith("first_stage_model.decoder.") for key in shapes)
    native_px, context = _native_px(family, variant, header.metadata), _context_width(shapes)
    return Reading(family, native_px, variant=variant, context=context, lacks_vae=not vae)


def read_checkpoint_folder(folder: Path) -> Reading:
    """A diffusers folder. Never raises."""
    index = _config(folder / "model_index.json")
    unet = _config(folder / "unet" / "config.json")
    vae = _config(folder / "vae" / "config.json")
    if index is None or unet is None or vae is None:
        return Reading(problem="corrupt")
    kind = str(index.get("_class_name"))
    xl = "XL" in kind
    wide = unet.get("cross_attention_dim") == _TURBO_WIDTH
    family = "sdxl" if xl else "sd2" if wide else "sd1"
    variant = cast("dict[Any, Variant]", {9: "inpaint", 8: "pix2pix"}).get(unet.get("in_channels"))
    if xl and index.get("text_encoder", [None])[0] is None:
        family = "sdxl_refiner"
    if not kind.startswith("StableDiffusion") or (variant is None and unet.get("in_channels") != LATENT_CHANNELS):
        return Reading(problem="unsupported")
    texts = {"sdxl": ("text_encoder", "text_encoder_2"), "sdxl_refiner": ("text_encoder_2",)}
    for part in ("unet", "vae", *texts.get(family, ("text_encoder",))):
        weights = folder_weights(folder / part)
        if weights is None:
            pickles = any((folder / part).glob("*.bin"))
            return Reading(problem="pickled" if pickles else "corrupt")
        try:
            read_header(weights)
        except HeaderError as error:
            return Reading(problem=error.problem)
    size, blocks = unet.get("sample_size"), vae.get("block_out_channels")
    known = isinstance(size, int) and isinstance(blocks, list)
    native_px = cast("int", size) << (len(cast("list[Any]", blocks)) - 1) if known else _NATIVE_PX[family]
    context = unet.get("cross_attention_dim")
    return Reading(family, native_px, variant=variant, context=context if isinstance(context, int) else None)


def vae_reading(header: TensorHeader) -> Reading:
    """A separate VAE in one of the three layouts (behaviours §11)."""
    prefix = is_vae(header.shapes)
    if prefix is None:
        return Reading(problem="unknown_layout")
    shape = header.shapes[f"{prefix}decoder.conv_in.weight"]
    return Reading() if shape[1:2] == (LATENT_CHANNELS,) else Reading(problem="unsupported")


def is_vae(shapes: Mapping[str, Any]) -> str | None:
    """The prefix of its keys."""
    for prefix in ("", "first_stage_model.", "vae."):
        if f"{prefix}decoder.conv_in.weight" in shapes and f"{prefix}encoder.conv_in.weight" in shapes:
            return prefix
    return None


_NETWORK_MARKS = (
    "lora_down", "lora_up", "lora_A", "lora_B", "lora.down", "lora.up", "lora_linear_layer.", "hada_w1", "lokr_w",
    "on_input", ".diff", "w_norm", "b_norm", ".a1.weight", "oft_blocks", "oft_diag", "dora_scale", "lora_magnitude",
)  # fmt: skip
_NETWORK_MARK = re.compile("|".join(map(re.escape, _NETWORK_MARKS)))
_NETWORK_PREFIXES = (
    "lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "unet.", "text_encoder.", "text_encoder_2.",
    "base_model.model.", "lycoris_", "oft_unet_", "bundle_emb.", "transformer.", "diffusion_model.",
    "transformer_text_model", "0_transformer", "1_model_transformer",
)  # fmt: skip


def lora_reading(header: TensorHeader) -> Reading:
    """A LoRA or one of its relatives: kohya's, PEFT's, diffusers' and LyCORIS' layouts."""
    if not is_lora(header.shapes):
        return Reading(problem="unknown_layout")
    alias = one_line(header.metadata.get("ss_output_name", ""), WORD_CHARS_MAX) or None
    context = _network_context(header.shapes)
    return Reading(_lora_family(header.shapes, header.metadata), alias=alias, context=context)


def is_lora(keys: Mapping[str, Any]) -> bool:
    network = any(_NETWORK_MARK.search(key) or key.startswith("bundle_emb.") for key in keys)
    return network and any(key.startswith(_NETWORK_PREFIXES) for key in keys)


def embedding_reading(header: TensorHeader) -> Reading:
    """A textual inversion; its family by the width of its vectors (behaviours §4)."""
    shapes = header.shapes
    if {"clip_l", "clip_g"} <= shapes.keys() or {"text_encoders_0", "text_encoders_1"} <= shapes.keys():
        return Reading("sdxl")
    found = [shape for shape in shapes.values() if len(shape) in {1, 2}]
    if len(found) != 1 or len(shapes) != 1:
        return Reading(problem="unknown_layout")
    width = found[0][-1]
    family = context_family(width)
    return Reading(family if family in {"sd1", "sd2"} else None, context=width)


def folder_weights(part: Path) -> Path | None:
    """The safetensors file of one part of a diffusers folder; full precision first."""
    stem = "model" if part.name.startswith("text_encoder") else "diffusion_pytorch_model"
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (part / name).is_file():
            return part / name
    return None


def _size(shapes: Mapping[str, Any], key: str, axis: int) -> int:
    shape = tuple(shapes.get(key, ()))
    return int(shape[axis]) if len(shape) > axis else 0


def _native_px(family: str, variant: Variant | None, metadata: Mapping[str, str]) -> int:
    stated = re.fullmatch(r"(\d{3,4})x(\d{3,4})", metadata.get("modelspec.resolution", ""))
    if stated:
        return min(int(stated[1]), int(stated[2]))
    small = variant is not None or metadata.get("modelspec.prediction_type") == "epsilon"
    return 512 if family == "sd2" and small else _NATIVE_PX[family]


def _lora_family(keys: Shapes, metadata: Mapping[str, str]) -> str | None:
    """By the metadata (behaviours §5.4), else by two text encoders or by the width that cross-attention reads."""
    base = metadata.get("ss_base_model_version", "") + metadata.get("modelspec.architecture", "")
    if "sdxl" in base or "stable-diffusion-xl" in base:
        return "sdxl"
    if "sd_v2" in base or "stable-diffusion-v2" in base or metadata.get("ss_v2") == "True":
        return "sd2"
    if any(key.startswith(("lora_te1_", "lora_te2_", "text_encoder_2.")) for key in keys):
        return "sdxl"
    width = _network_context(keys)
    if width is not None:
        return context_family(width)
    if any(re.match(r"lora_unet_(input|middle|output)_block", key) for key in keys):
        return "sdxl"
    return "sd1" if "ss_base_model_version" in metadata or "ss_v2" in metadata else None


def _context_width(shapes: Mapping[str, Any]) -> int | None:
    """Width of the text encoding that the cross-attention of a whole network reads."""
    for key, shape in shapes.items():
        if key.endswith("attn2.to_k.weight") and len(shape) == 2:
            return shape[1]
    return None


def _network_context(shapes: Shapes) -> int | None:
    """Width of the input of cross-attention's keys: the first factor's second size, or that of a whole matrix."""
    for key, shape in shapes.items():
        if "attn2" not in key or "to_k" not in key or len(shape) < 2:
            continue
        if any(mark in key for mark in ("lora_down", "lora_A", "lora.down", "layer.down", "hada_w1_b", ".diff")):
            return shape[1]
    return None


def context_family(width: int | None) -> str | None:
    """By the width of the text encoding that cross-attention reads."""
    return _CONTEXT_FAMILIES.get(width) if width is not None else None


def _config(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            value: Any = json.loads(file.read(CONFIG_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
