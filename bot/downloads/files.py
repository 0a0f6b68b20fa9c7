"""What is asked of files that came, and what is written beside them. All functions block."""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path

from bot.downloads.sources import Source

__all__ = ["holds_files", "same_content", "sha256_of", "write_sidecar"]


def holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sidecar(path: Path, source: Source) -> None:
    """What the host says and tensors do not, in the form that everybody's tools read."""
    if not (source.base or source.trigger_words or source.title):
        return
    info = {"baseModel": source.base, "trainedWords": list(source.trigger_words), "model": {"name": source.title}}
    target = path.with_suffix(".civitai.info")
    part = target.with_name(f".{secrets.token_hex(4)}.part")
    try:
        if target.exists():
            return
        part.write_text(json.dumps({key: value for key, value in info.items() if value}, indent=1), encoding="utf-8")
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)


def same_content(one: Path, other: Path) -> bool:
    try:
        return sha256_of(one) == sha256_of(other)
    except OSError:
        return False
