"""What a fetched file is, told by its content alone, and whether it may become visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bot.downloads.answers import looks_like_page
from bot.downloads.archives import is_torch_archive, list_members
from bot.errors import UserFacingError
from gpu_worker.language.headers import HEADER_LIMIT_BYTES
from gpu_worker.language.layouts import Reading
from gpu_worker.protocol.messages import ModelKind

__all__ = ["QUARANTINED", "Checked", "Container", "container_of", "judge"]

Container = Literal["safetensors", "pickle", "archive", "onnx", "page", "other"]

_LOOSE: frozenset[ModelKind] = frozenset({"upscaler", "face", "annotator", "tagger", "detector"})
"""Kinds of so many layouts that any weights may be one."""
_ONNX_KINDS: frozenset[ModelKind] = frozenset({"annotator", "tagger", "detector"})
_PROBLEMS = {
    "unsafe": "download_unsafe", "corrupt": "download_damaged", "pickled": "download_pickle",
    "no_text_encoder": "download_no_text_encoder", "unsupported": "download_unsupported",
}  # fmt: skip
QUARANTINED = frozenset({"download_unsafe", "download_damaged", "download_pickle", "download_archive"})
"""What nobody should open by accident; other refusals are matters of taste."""


@dataclass(frozen=True, slots=True)
class Checked:
    kind: ModelKind | None
    family: str | None
    problem: str | None
    """Key of a UserFacingError; None: the file may become visible."""
    values: Mapping[str, object] = field(default_factory=dict[str, object])
    """What its sentence names."""


def container_of(path: Path) -> Container:
    """By its first bytes, whatever its name says. Raises OSError."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        start = file.read(64)
    if start.startswith(b"PK\x03\x04"):
        try:
            return "pickle" if is_torch_archive(list_members(path)) else "archive"
        except UserFacingError:
            return "archive"
    if start[:1] == b"\x80" and start[1:2] in (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if looks_like_page(start):
        return "page"
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and 2 <= length <= min(size_bytes - 8, HEADER_LIMIT_BYTES):
        return "safetensors"
    if path.suffix.lower() == ".onnx" and start[:1] == b"\x08":
        return "onnx"
    return "other"


def judge(kind: ModelKind | None, container: Container, free: Reading, wished: Reading) -> Checked:
    """`free` is what the file is by itself, `wished` what it is taken for `kind`."""
    if container == "page":
        return Checked(kind, None, "download_not_a_model")
    if container in ("pickle", "archive"):
        return Checked(kind, None, f"download_{container}")
    if container == "other":
        return Checked(kind, None, "download_damaged")
    if container == "onnx":
        if kind in _ONNX_KINDS:
            return Checked(kind, None, None)
        return Checked(kind, None, "download_kind_unknown" if kind is None else "download_unsupported")
    if free.problem in ("corrupt", "unsafe", "pickled"):
        return Checked(kind, None, _PROBLEMS[free.problem])
    found = free.kind
    if kind is None:
        if found is None:
            return Checked(None, None, "download_kind_unknown")
        return _with_problem(found, free)
    if found is not None and found != kind and not _fits(kind, found, wished):
        return Checked(found, free.family, "download_wrong_kind", {"found": found, "wished": kind})
    if wished.problem == "unknown_layout" and found is None:
        return Checked(kind, None, "download_not_that_kind", {"wished": kind})
    return _with_problem(kind, wished)


def _fits(kind: ModelKind, found: ModelKind, wished: Reading) -> bool:
    """A checkpoint holds a VAE, and among the loose kinds nobody can tell."""
    if kind in _LOOSE:
        return found in _LOOSE or found == "embedding"  # a single tensor may be anything
    return wished.problem is None and wished.kind in (None, kind)


def _with_problem(kind: ModelKind, reading: Reading) -> Checked:
    if reading.problem is None:
        return Checked(kind, reading.family, None)
    return Checked(kind, reading.family, _PROBLEMS.get(reading.problem, "download_unsupported"))
