"""The model files below some folders: listed with their stamps, nothing opened.

`checkpoints` also holds diffusers folders, whose own files are not looked at one by one. Links are followed, each
folder once; pipes and devices are left out, for opening one may wait for ever.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.language.layouts import PICKLE_SUFFIXES, PICTURE_SUFFIXES, folder_weights
from gpu_worker.language.trees import Root
from gpu_worker.protocol.messages import ModelKind

__all__ = ["Listed", "Stamp", "folder_bytes", "list_files", "stamp_of"]

_SUFFIXES = PICKLE_SUFFIXES | {".safetensors"}
_ONNX_KINDS: frozenset[ModelKind] = frozenset({"annotator", "tagger", "detector"})
_DEPTH_MAX = 24
_INDEX = "model_index.json"

Stamp = tuple[str, int, int, int, str]
"""Path, size in bytes, modification time in ns, inode, and what its folder is for; equal ones are one content."""


@dataclass(frozen=True)
class Listed:
    """A candidate: a file, or a diffusers folder with its UNet's file, which stands for it."""

    path: Path
    weights: Path
    root: Root
    stamp: Stamp | None
    """Of the weights; None where there is nothing to be read, as at the end of a broken link."""
    folder: bool = False
    neighbours: tuple[str, ...] = ()
    """Names in the same folder that begin with the file's stem: what may lie beside it for it."""
    size_bytes: int = 0
    """Of a diffusers folder everything in it."""


def stamp_of(path: Path, weights: Path, kind: ModelKind | None) -> Stamp | None:
    try:
        found = weights.stat()
    except OSError:
        return None
    return (str(path), found.st_size, found.st_mtime_ns, found.st_ino, kind or "")


def folder_bytes(folder: Path) -> int:
    """Of everything below it; what cannot be read counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(place, name).stat().st_size
    return total


def list_files(roots: Sequence[Root]) -> list[Listed]:
    """In the order of the roots, then by path. A folder that cannot be listed counts as empty."""
    seen: set[str] = set()
    return [found for root in roots for found in _walk(root, root.path, seen, 0)]


def _walk(root: Root, folder: Path, seen: set[str], depth: int) -> Iterator[Listed]:
    real = os.path.realpath(folder)
    if real in seen or depth > _DEPTH_MAX:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if _is_text(entry.name)), key=lambda entry: entry.name)
    except OSError:
        return
    if depth and root.kind in ("checkpoint", None) and any(entry.name == _INDEX for entry in entries):
        weights = folder_weights(folder / "unet") or folder
        stamp = stamp_of(folder, weights, root.kind)
        yield Listed(folder, weights, root, stamp, folder=True, size_bytes=folder_bytes(folder))
        return
    files, folders, pictures = _sorted_out(root, entries)
    names = [entry.name for entry in entries]
    stems = {_split(name)[0] for name in files}
    # The picture of a file is not a picture that is one.
    alone = [name for name in pictures if (stem := _split(name)[0]) not in stems and not stem.endswith(".preview")]
    for name in (*files, *alone):
        path = folder / name
        try:
            facts = path.stat()
        except OSError:
            stamp = None  # a broken link is listed as unusable
        else:
            if not stat.S_ISREG(facts.st_mode):
                continue
            stamp = (str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino, root.kind or "")
        beside = tuple(_beside(_split(name)[0], name, names))
        yield Listed(path, path, root, stamp, neighbours=beside, size_bytes=stamp[1] if stamp else 0)
    for name in folders:
        yield from _walk(root, folder / name, seen, depth + 1)


def _sorted_out(root: Root, entries: Sequence[os.DirEntry[str]]) -> tuple[list[str], list[str], list[str]]:
    """Names of files, folders and pictures that may be models."""
    suffixes = _SUFFIXES | {".onnx"} if root.kind in _ONNX_KINDS else _SUFFIXES
    files: list[str] = []
    folders: list[str] = []
    pictures: list[str] = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        suffix = _split(entry.name)[1]
        if _is_folder(entry):
            folders.append(entry.name)
        elif suffix in suffixes:
            files.append(entry.name)
        elif root.kind == "embedding" and suffix in PICTURE_SUFFIXES:
            pictures.append(entry.name)
    return files, folders, pictures


def _split(name: str) -> tuple[str, str]:
    """Stem and lower-case suffix, as pathlib has them, at a fifth of the time; there are thousands."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if dot and stem and suffix else (name, "")


def _is_text(name: str) -> bool:
    """Bytes that are no UTF-8 make a name that neither JSON nor Discord can carry."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _beside(stem: str, name: str, names: Sequence[str]) -> Iterator[str]:
    """`names` is sorted, so that those with one beginning stand together."""
    at = bisect.bisect_left(names, stem)
    while at < len(names) and names[at].startswith(stem):
        if names[at] != name and names[at][len(stem) : len(stem) + 1] == ".":
            yield names[at]
        at += 1
