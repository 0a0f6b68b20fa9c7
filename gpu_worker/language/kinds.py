"""What kind of model a file holds, told by its tensors, and the one reader of model files of every kind.

Layouts of control models: behaviours §17.5. Those of upscalers and face models are told apart only as far as their
best-known keys go; the library that loads them knows the rest.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from gpu_worker.language.details import details_of
from gpu_worker.language.embedding_pictures import holds_embedding
from gpu_worker.language.headers import HeaderError, Shapes, TensorHeader
from gpu_worker.language.layouts import (
    PICTURE_SUFFIXES,
    STEM,
    Reading,
    Variant,
    checkpoint_reading,
    context_family,
    embedding_reading,
    is_lora,
    is_vae,
    lora_reading,
    read_any_header,
    read_checkpoint_folder,
    vae_reading,
)
from gpu_worker.protocol.messages import ModelKind

__all__ = ["WRAPPERS", "control_layout", "is_detector", "is_preview_decoder", "kind_of", "read_file", "vision_widths"]

_LOOSE: frozenset[ModelKind] = frozenset({"upscaler", "face", "annotator", "tagger", "detector"})
"""Kinds of so many layouts that any weights may be one."""
WRAPPERS = ("state_dict", "params_ema", "params-ema", "params", "string_to_param", "model", "depth_model")
"""What the tensors of a pickle may lie below. The last two are of annotators: Normal BAE's and LeReS'."""
_EMBEDDING_KEYS = frozenset({"emb_params", "*", "string_to_param", "clip_l", "clip_g"})
_EMBEDDING_VECTORS_MAX = 128
_CONTROL_MARKS: dict[str, tuple[str, ...]] = {
    "controlnet": ("control_model.", "input_hint_block.", "zero_convs.0"),
    "controlnet_diffusers": ("controlnet_cond_embedding.", "controlnet_down_blocks."),
    "controlnet_lllite": ("lllite_unet",),
    "ip_adapter": ("image_proj.", "image_proj_model.", "ip_adapter."),
    "t2i_adapter": ("adapter.body.", "body.0.resnets.", "body.0.in_conv.", "body.0.block1."),
}
_CONTROL_SIGNS: dict[str, Variant] = {
    "lora_controlnet": "control_lora", "difference": "control_difference", "task_embedding": "control_union",
}  # fmt: skip
"""Keys that tell what kind of ControlNet it is (behaviours §17.5)."""
_SDXL_CELL_PX = 16
_ANY_CONTROL = tuple(mark for marks in _CONTROL_MARKS.values() for mark in marks)
_UPSCALER = re.compile(
    r"(model\.1\.sub\.\d+\.|RRDB_trunk\.|body\.\d+\.rdb1\.|conv_first\.weight$|trunk_conv\.|layers\.0\.residual_group\.|"
    r"upconv1\.weight$|upsampler\.)"
)
_PREVIEW_MARKS = (
    ("1.weight", "3.conv.0.weight"), ("decoder.layers.0.weight", "decoder.layers.2.conv.0.weight"),
)  # fmt: skip
_FACE = re.compile(r"(quantize\.embedding\.|stylegan_decoder\.|ClassHead\.0\.|BboxHead\.0\.|ssh1\.)")


def read_file(kind: ModelKind | None, path: Path) -> Reading:
    """What the file (or diffusers folder) is. `kind` is what its folder is for, None where that says nothing; a file
    of another kind says so in `Reading.kind`. Reads no tensor. Raises OSError where the file cannot be opened now,
    and nothing else, whatever it holds."""
    if not path.is_dir():
        with path.open("rb") as file:
            file.read(1)
    try:
        return _read(kind, path)
    except HeaderError as error:
        return Reading(problem=error.problem)
    except Exception:  # a hostile file finds its way into any exception; the scan has to go on
        return Reading(problem="corrupt")


def kind_of(shapes: Shapes) -> ModelKind | None:
    """None where the tensors do not say."""
    if control_layout(shapes) is not None:
        return "controlnet"
    if STEM in shapes:
        return "checkpoint"
    if is_lora(shapes):
        return "lora"
    if is_vae(shapes) is not None:
        return "vae"
    if shapes.keys() <= _EMBEDDING_KEYS | {"text_encoders_0", "text_encoders_1"} and shapes:
        return "embedding" if all(len(shape) in {1, 2} for shape in shapes.values()) else None
    if is_preview_decoder(shapes):
        return "preview"
    if len(shapes) == 1 and _looks_like_vectors(next(iter(shapes.values()))):
        return "embedding"
    if vision_widths(shapes) is not None:
        return "annotator"
    if any(_FACE.match(key) for key in shapes):
        return "face"
    if is_detector(shapes):
        return "detector"
    return "upscaler" if any(_UPSCALER.match(key) for key in shapes) else None


def is_detector(shapes: Mapping[str, object]) -> bool:
    """A YOLOv8, which finds boxes, or boxes with outlines: by its first layer, its last, and what is between."""
    return {"model.0.conv.weight", "model.9.cv2.conv.weight", "model.22.cv3.0.2.weight"} <= shapes.keys()


def is_preview_decoder(shapes: Shapes) -> bool:
    """A TAESD decoder, in its own layout or diffusers'."""
    for first, block in (
        ("1.weight", "3.conv.0.weight"),
        ("decoder.layers.0.weight", "decoder.layers.2.conv.0.weight"),
    ):
        shape = shapes.get(first, ())
        if len(shape) == 4 and shape[0] == 64 and shape[2:] == (3, 3) and block in shapes:
            return True
    return False


def control_layout(shapes: Mapping[str, object]) -> str | None:
    """`controlnet`, `controlnet_diffusers`, `controlnet_lllite`, `ip_adapter` or `t2i_adapter`."""
    found = [key for key in shapes if key.startswith(_ANY_CONTROL)]
    for layout, marks in _CONTROL_MARKS.items() if found else ():
        if any(key.startswith(marks) for key in found):
            return layout
    return None


def _read(kind: ModelKind | None, path: Path) -> Reading:
    if path.is_dir():
        return read_checkpoint_folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return Reading() if holds_embedding(path) else Reading(problem="unknown_layout")
    if path.stat().st_size == 0:
        return Reading(problem="corrupt")
    try:
        wrappers = ("string_to_param",) if kind == "embedding" else _wrappers(kind)
        header = read_any_header(path, wrappers, networks=kind in (None, "detector"))
    except HeaderError as error:
        # torch.jit's archives, ONNX and older layouts are for their own libraries to judge; a trap is a trap.
        opaque = kind in _LOOSE and error.problem != "unsafe" and path.suffix.lower() != ".safetensors"
        return Reading() if opaque else Reading(problem=error.problem)
    return _judged(kind, header)


def _wrappers(kind: ModelKind | None) -> tuple[str, ...]:
    return WRAPPERS if kind is None or kind in _LOOSE else ("state_dict",)


def _judged(kind: ModelKind | None, header: TensorHeader) -> Reading:
    details = details_of(header)
    found = kind_of(header.shapes)
    if kind is None:
        if found is None:
            return Reading(problem="unknown_layout", details=details)
        return dataclasses.replace(_JUDGES[found](header), kind=found, details=details)
    reading = _JUDGES[kind](header)
    misplaced = found is not None and found != kind and found not in _LOOSE
    if found is not None and misplaced and reading.problem in {"unknown_layout", "unsupported"}:
        reading = dataclasses.replace(_JUDGES[found](header), kind=found)  # put into another kind's folder
    return dataclasses.replace(reading, details=details)


def _control_reading(header: TensorHeader) -> Reading:
    layout = control_layout(header.shapes)
    if layout is None:
        return Reading(problem="unknown_layout")
    context = _control_width(header.shapes)
    family = context_family(context)
    if layout == "t2i_adapter" and _reads_cells(header.shapes) == _SDXL_CELL_PX:
        family = "sdxl"
    return Reading(family, variant=_control_variant(layout, header.shapes), context=context)


def _control_variant(layout: str, shapes: Shapes) -> Variant | None:
    if layout in ("ip_adapter", "t2i_adapter"):
        return layout
    if layout == "controlnet_lllite":
        return "lllite"
    for key, variant in _CONTROL_SIGNS.items():
        if key in shapes:
            return variant
    return None


def _reads_cells(shapes: Shapes) -> int | None:
    """Pixels to a side of what a T2I adapter takes for one cell, by the values that it reads of each."""
    shape = shapes.get("adapter.conv_in.weight", shapes.get("conv_in.weight", ()))
    return {64: 8, 192: 8, 256: 16, 768: 16}.get(shape[1]) if len(shape) == 4 else None


def _control_width(shapes: Shapes) -> int | None:
    """Of the text encoding that its cross-attention reads."""
    for key, shape in shapes.items():
        if key.endswith(("attn2.to_k.weight", "attn2.to_k.down")) and len(shape) == 2:
            return shape[1]
        if "attn2_to_k" in key and key.endswith("down.0.weight") and len(shape) == 2:  # LLLite: a part of the UNet's
            return shape[1]
        if key.startswith("ip_adapter.") and key.endswith("to_k_ip.weight") and len(shape) == 2:
            return shape[1]
    return None


def vision_widths(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int] | None:
    """Width of the patches and of the embedding of one of CLIP's image encoders; None for anything else."""
    patch = shapes.get("vision_model.embeddings.patch_embedding.weight", ())
    projection = shapes.get("visual_projection.weight", ())
    return (patch[0], projection[0]) if len(patch) == 4 and len(projection) == 2 else None


def _annotator_reading(header: TensorHeader) -> Reading:
    return Reading(variant="clip_vision" if vision_widths(header.shapes) else None)


def _loose_reading(header: TensorHeader) -> Reading:
    return Reading()


def _detector_reading(header: TensorHeader) -> Reading:
    return Reading() if is_detector(header.shapes) else Reading(problem="unknown_layout")


def _preview_reading(header: TensorHeader) -> Reading:
    return Reading() if is_preview_decoder(header.shapes) else Reading(problem="unknown_layout")


def _looks_like_vectors(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] <= _EMBEDDING_VECTORS_MAX and context_family(shape[1]) in {"sd1", "sd2"}


_JUDGES: dict[ModelKind, Callable[[TensorHeader], Reading]] = {
    "checkpoint": checkpoint_reading, "vae": vae_reading, "lora": lora_reading, "embedding": embedding_reading,
    "controlnet": _control_reading, "upscaler": _loose_reading, "face": _loose_reading, "annotator": _annotator_reading,
    "tagger": _loose_reading, "preview": _preview_reading, "detector": _detector_reading,
}  # fmt: skip
