"""What the shell command says, in the operator's language, and what went wrong in a sentence.

The texts lie beside the bot's own, as files: of the bot nothing is imported. `launch.py` tells the language.
"""

from __future__ import annotations

import errno
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, get_args

from gpu_worker.protocol.messages import ModelKind

__all__ = ["LANGUAGE_KEY", "failure", "say"]

LANGUAGE_KEY = "PINCEL_LANGUAGE"
_FOLDER = Path(__file__).parents[2] / "bot" / "i18n"
_REASONS = ("no_ema", "overflow", "nothing_left", "merge_misfit", "merge_order", "lora_misfit", "folder_shape")
_PROBLEMS = ("corrupt", "unsafe", "unsupported", "unknown_layout")


def say(key: str, **values: object) -> str:
    """Names of files may hold anything, even what a terminal would obey."""
    found: Any = _texts(os.environ.get(LANGUAGE_KEY) or "en")
    for part in key.split("."):
        found = found[part]
    shown = {name: _plain(str(value)) for name, value in values.items()}
    return str(found).strip("\n").format_map(shown)


def failure(error: BaseException, target: Path) -> str:
    """For an EngineError, OSError or MemoryError that came while `target` was written."""
    if isinstance(error, MemoryError):
        return say("failed.memory")
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return say("failed.disk_full")
        return say("failed.unwritable", file=error.filename or target, reason=error.strerror or type(error).__name__)
    detail: dict[str, Any] = getattr(error, "detail", {})
    if detail.get("reason") in _REASONS:
        return say(f"failed.{detail['reason']}", **detail)
    file = next((detail[kind] for kind in get_args(ModelKind) if kind in detail), None)
    if detail.get("problem") in _PROBLEMS and file is not None:
        return say(f"failed.{detail['problem']}", file=file)
    if "needed_bytes" in detail:
        needed, free = (f"{detail[name] / 1e9:.1f}" for name in ("needed_bytes", "free_bytes"))
        return say("failed.no_room", free=free, needed=needed)
    return say("failed.other", kind=getattr(error, "kind", type(error).__name__))


@cache
def _texts(language: str) -> Any:
    for file in (_FOLDER / language / "models_convert.toml", _FOLDER / f"{language}.toml"):
        if file.is_file() and (found := tomllib.loads(file.read_text(encoding="utf-8")).get("models_convert")):
            return found
    return _texts("en")


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
