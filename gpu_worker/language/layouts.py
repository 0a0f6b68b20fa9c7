"""What a model is, told by the names and shapes of its tensors (and, for a diffusers folder, its config files).

Key rules: A1111's modules/sd_models_config.py and the kohya and PEFT naming of LoRA files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gpu_worker.language.headers import HeaderError, Shapes, TensorHeader, read_header

__all__ = ["Reading", "folder_weights", "read_checkpoint_file", "read_checkpoint_folder", "read_lora_file"]

SD1_NATIVE_PX = 512
UNET = "model.diffusion_model."
CONFIG_LIMIT_BYTES = 1_000_000
_FACTORS = ("lora_down", "lora_A", "lora.down", "lora_linear_layer.down")
"""The first low-rank factor, as kohya, PEFT and two generations of diffusers name it."""
PICKLE_SUFFIXES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})


@dataclass(frozen=True)
class Reading:
    """What a model's header says; with `problem` set the rest may be missing."""

    family: str | None = None
    native_px: int | None = None
    problem: str | None = None


def read_checkpoint_file(path: Path) -> Reading:
    """A single file in the original layout. Never raises."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return Reading(problem="pickled")
    try:
        shapes = read_header(path).shapes
    except HeaderError as error:
        return Reading(problem=error.problem)
    stem = shapes.get(UNET + "input_blocks.0.0.weight")
    if stem is None or len(stem) != 4:
        return Reading(problem="unknown_layout")
    if any(
        key.startswith(("conditioner.", "cond_stage_model.model.", "embedder.", "control_model.")) for key in shapes
    ):
        return Reading(problem="unsupported")  # SDXL, SD 2.x, unCLIP, ControlNet
    text = any(key.startswith("cond_stage_model.transformer.") for key in shapes)
    vae = any(key.startswith("first_stage_model.decoder.") for key in shapes)
    if stem[1] != 4 or not text or not vae:
        return Reading(problem="unsupported")  # inpainting, pix2pix, or a part alone
    return Reading("sd1", SD1_NATIVE_PX)


def read_checkpoint_folder(folder: Path) -> Reading:
    """A diffusers folder. Never raises."""
    index = _config(folder / "model_index.json")
    unet = _config(folder / "unet" / "config.json")
    vae = _config(folder / "vae" / "config.json")
    scheduler = _config(folder / "scheduler" / "scheduler_config.json")
    if index is None or unet is None or vae is None:
        return Reading(problem="corrupt")
    for part in ("unet", "vae", "text_encoder"):
        weights = folder_weights(folder / part)
        if weights is None:
            pickles = any((folder / part).glob("*.bin"))
            return Reading(problem="pickled" if pickles else "corrupt")
        try:
            read_header(weights)
        except HeaderError as error:
            return Reading(problem=error.problem)
    # 1024 is OpenCLIP's width: SD 2.x under the same pipeline class.
    sd1 = (
        index.get("_class_name") == "StableDiffusionPipeline"
        and unet.get("in_channels") == 4
        and unet.get("cross_attention_dim") != 1024
        and (scheduler or {}).get("prediction_type", "epsilon") == "epsilon"
    )
    if not sd1:
        return Reading(problem="unsupported")
    size, blocks = unet.get("sample_size"), vae.get("block_out_channels")
    if not isinstance(size, int) or not isinstance(blocks, list):
        return Reading("sd1", SD1_NATIVE_PX)
    return Reading("sd1", size << (len(cast("list[Any]", blocks)) - 1))


def read_lora_file(path: Path) -> Reading:
    """A LoRA in kohya's or PEFT's naming. Never raises."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return Reading(problem="pickled")
    try:
        header = read_header(path)
    except HeaderError as error:
        return Reading(problem=error.problem)
    return _lora(header)


def folder_weights(part: Path) -> Path | None:
    """The safetensors file of one part of a diffusers folder; full precision first."""
    stem = "model" if part.name == "text_encoder" else "diffusion_pytorch_model"
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (part / name).is_file():
            return part / name
    return None


def _lora(header: TensorHeader) -> Reading:
    keys = header.shapes
    if not any(mark in key for key in keys for mark in _FACTORS):
        other = any(mark in key for key in keys for mark in ("hada_w1", "lokr_w", "oft_", ".diff", "on_input"))
        return Reading(problem="unsupported" if other else "unknown_layout")
    base = header.metadata.get("ss_base_model_version", "")
    two_encoders = any(key.startswith(("lora_te1_", "lora_te2_", "text_encoder_2.")) for key in keys)
    if base.startswith(("sdxl", "sd_v2")) or two_encoders or _context_width(keys) in {1024, 2048}:
        return Reading(problem="unsupported")
    if not any(key.startswith(("lora_unet_", "lora_te_", "unet.", "text_encoder.")) for key in keys):
        return Reading(problem="unknown_layout")
    return Reading("sd1")


def _context_width(shapes: Shapes) -> int | None:
    """Width of the text encoding that a LoRA's cross-attention reads: 768 SD 1.x, 1024 SD 2.x, 2048 SDXL."""
    for key, shape in shapes.items():
        if "attn2" in key and "to_k" in key and any(mark in key for mark in _FACTORS) and len(shape) >= 2:
            return shape[1]
    return None


def _config(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            value: Any = json.loads(file.read(CONFIG_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
