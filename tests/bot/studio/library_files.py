"""LibraryFile with everything filled in, for tests that need only some of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.library import LibraryFile

__all__ = ["model_file"]


def model_file(name: str = "ink", kind: Any = "lora", **more: Any) -> LibraryFile:
    given: dict[str, Any] = {
        "id": f"{name}x{kind}".replace(" ", "").lower()[:10], "path": Path(f"/models/{name}.safetensors"),
        "read_only": False, "family": "sd1", "variant": None, "alias": None, "guessed": False, "problem": None,
        "size_bytes": 1000, "precision": "fp16", "sha256": None, "autov3": None, "metadata": {}, "trigger_words": (),
        "preview": None, "title": None, "base": None, "note": None, "source": None, "added_by": None, "added_in": None,
        "added_at": 1000.0, "last_used_at": None, "times_used": 0,
    }  # fmt: skip
    return LibraryFile(name=name, kind=kind, **(given | more))
