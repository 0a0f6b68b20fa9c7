"""Model files that the machine has anyway, found by their hash: what need not be fetched."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from gpu_worker.language.listing import list_files
from gpu_worker.language.trees import model_roots
from gpu_worker.protocol.messages import ModelRef

__all__ = ["OwnFiles"]

log = logging.getLogger(__name__)

PIECE_BYTES = 8 << 20
BOOK_LIMIT_BYTES = 64 << 20


class OwnFiles:
    """Methods block, and are called by one thread at a time."""

    def __init__(self, models: Path, more: Sequence[Path], book: Path) -> None:
        """`book`: where hashes are noted; losing it costs hashing again."""
        self._models = models
        self._more = tuple(more)
        self._book = book
        self._known: dict[str, str] | None = None

    def find(self, ref: ModelRef) -> Path | None:
        """A file with exactly these bytes, whatever it is called. Only those of the right size are read."""
        for found in list_files(model_roots(self._models, self._more)):
            if found.folder or found.stamp is None or found.size_bytes != ref.size_bytes:
                continue
            if self._hash(found.path, json.dumps(found.stamp[:4])) == ref.sha256:
                return found.path
        return None

    def _hash(self, path: Path, key: str) -> str | None:
        if self._known is None:
            self._known = _read(self._book)
        if key in self._known:
            return self._known[key]
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    digest.update(piece)
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error)
            return None
        self._known[key] = digest.hexdigest()
        _write(self._book, self._known)
        return self._known[key]


def _read(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > BOOK_LIMIT_BYTES:
            return {}
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}


def _write(path: Path, known: dict[str, str]) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(known, indent=0), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        log.debug("hashes are not noted: %s", error)
