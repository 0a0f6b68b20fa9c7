"""Where the models lie below a folder: laid out as ours, as A1111's or as ComfyUI's, or a plain heap of files.

Folder names are compared without regard to case, as Windows does. Nothing is ever written there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpu_worker.protocol.messages import ModelKind

__all__ = ["Root", "Tree", "find_tree", "model_roots", "split_folders"]

Layout = Literal["pincel", "a1111", "comfyui", "plain", "missing"]

_OURS: dict[str, ModelKind] = {
    "checkpoints": "checkpoint", "vae": "vae", "loras": "lora", "embeddings": "embedding", "controlnet": "controlnet",
    "upscalers": "upscaler", "face": "face", "faces": "face", "annotators": "annotator", "taggers": "tagger",
    "previews": "preview", "vae_approx": "preview", "vae-approx": "preview", "detectors": "detector",
}  # fmt: skip
_COMFYUI: dict[str, ModelKind] = {
    "checkpoints": "checkpoint", "vae": "vae", "loras": "lora", "embeddings": "embedding", "controlnet": "controlnet",
    "t2i_adapter": "controlnet", "upscale_models": "upscaler", "facerestore_models": "face", "facedetection": "face",
    "ipadapter": "controlnet", "clip_vision": "annotator",
    "vae_approx": "preview", "ultralytics": "detector",
}  # fmt: skip
_COMFYUI_MARKS = frozenset({
    "upscale_models", "diffusion_models", "unet", "clip", "clip_vision", "text_encoders", "style_models",
    "hypernetworks", "configs", "gligen", "diffusers", "vae_approx", "facerestore_models", "ultralytics",
})  # fmt: skip
_COMFYUI_AROUND: dict[str, ModelKind] = {"custom_nodes/comfyui_controlnet_aux/ckpts": "annotator"}
_A1111: dict[str, ModelKind] = {
    "stable-diffusion": "checkpoint", "vae": "vae", "lora": "lora", "lycoris": "lora", "controlnet": "controlnet",
    "controlnetpreprocessor": "annotator", "esrgan": "upscaler", "realesrgan": "upscaler", "swinir": "upscaler",
    "dat": "upscaler", "scunet": "upscaler", "ldsr": "upscaler", "gfpgan": "face", "codeformer": "face",
    "embeddings": "embedding",
    "taggeronnx": "tagger", "interrogators": "tagger", "vae-approx": "preview",
    "adetailer": "detector",
}  # fmt: skip
_A1111_AROUND: dict[str, ModelKind] = {
    "embeddings": "embedding", "extensions/sd-webui-controlnet/models": "controlnet",
    "extensions/sd-webui-controlnet/annotator/downloads": "annotator",
    "extensions/sd-webui-additional-networks/models/lora": "lora",
}  # fmt: skip
_A1111_MARK = "stable-diffusion"


@dataclass(frozen=True)
class Root:
    """A folder that holds models of one kind, and by which they are named; None: each file says itself what it is."""

    path: Path
    kind: ModelKind | None
    extra: bool = False
    """The operator's: only read."""
    trained: bool = False
    """Of LoRAs that trainings saved, a folder each: in no library."""


@dataclass(frozen=True)
class Tree:
    """What a folder was recognised as, for the operator's eyes, and the folders in it."""

    path: Path
    layout: Layout
    roots: tuple[Root, ...]


def model_roots(models_dir: Path, extra_folders: Sequence[Path] = ()) -> tuple[Root, ...]:
    """Ours first; a folder that is named twice, or lies in one named before, counts once."""
    trees = [find_tree(folder) for folder in extra_folders]
    found = [Root(path, kind) for path, kind in _below(models_dir, _OURS)]
    seen = {os.path.realpath(models_dir), *(os.path.realpath(root.path) for root in found)}
    for root in (root for tree in trees for root in tree.roots):
        real = os.path.realpath(root.path)
        if not any(real == other or real.startswith(other + os.sep) for other in seen):
            found.append(root)
            seen.add(real)
    return tuple(found)


def find_tree(folder: Path) -> Tree:
    """Looks at names of folders only. An A1111 or ComfyUI checkout, its `models` folder, or a folder laid out as our
    data/models; anything else is a heap of files, each of which has to say itself what it is."""
    if not folder.is_dir():
        return Tree(folder, "missing", ())
    inner = _child(folder, "models")
    for models, checkout in ((inner, folder), (folder, folder.parent if folder.name.lower() == "models" else None)):
        if models is None:
            continue
        names = {name.casefold() for name in _folders(models)}
        if _A1111_MARK in names:
            return _tree(folder, "a1111", models, checkout, _A1111, _A1111_AROUND)
        if "checkpoints" in names or names & _COMFYUI_MARKS:
            layout = "comfyui" if names & _COMFYUI_MARKS else "pincel"
            return _tree(folder, layout, models, checkout, {**_OURS, **_COMFYUI}, _COMFYUI_AROUND)
        if names & _OURS.keys():
            return _tree(folder, "pincel", models, None, _OURS, {})
    return Tree(folder, "plain", (Root(folder, None, extra=True),))


def split_folders(text: str, base: Path) -> tuple[Path, ...]:
    """The setting PINCEL_MODEL_FOLDERS: split at `;` and at the separator of this system's PATH (on Windows that is the
    same, so drive letters stay); a relative path counts from `base`."""
    parts = (part.strip() for part in re.split(f"[;{os.pathsep}]", text))
    return tuple(dict.fromkeys((base / Path(part).expanduser()).resolve() for part in parts if part))


def _tree(
    folder: Path,
    layout: Layout,
    models: Path,
    checkout: Path | None,
    inside: dict[str, ModelKind],
    around: dict[str, ModelKind],
) -> Tree:
    roots = [Root(path, kind, extra=True) for path, kind in _below(models, inside)]
    for place, kind in around.items() if checkout is not None else ():
        path = checkout
        for part in place.split("/"):
            path = _child(path, part) if path is not None else None
        if path is not None:
            roots.append(Root(path, kind, extra=True))
    return Tree(folder, layout, tuple(roots))


def _below(models: Path, kinds: dict[str, ModelKind]) -> Iterator[tuple[Path, ModelKind]]:
    """In the order of `kinds`."""
    there: dict[str, list[str]] = {}
    for name in _folders(models):
        there.setdefault(name.casefold(), []).append(name)
    for wanted, kind in kinds.items():
        for name in there.get(wanted, ()):
            yield models / name, kind


def _child(folder: Path, name: str) -> Path | None:
    return next((folder / found for found in _folders(folder) if found.casefold() == name), None)


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
