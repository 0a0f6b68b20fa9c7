"""Files that nobody should open by accident: kept for an operator's eyes for a while, with the reason. Blocks."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from pathlib import Path

__all__ = ["Quarantine"]

KEPT_S = 14 * 24 * 3600.0
FILES_MAX = 10
BYTES_MAX = 20_000_000_000
_SUFFIX = ".refused"
"""No program takes it for a model."""


class Quarantine:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, path: Path, id_: str, reason: str, link: str) -> None:
        """Moves the file in; one that cannot be moved is deleted."""
        target = self._folder / f"{id_}-{path.name[:80]}{_SUFFIX}"
        note = {"reason": reason, "link": link.partition("?")[0], "name": path.name, "at": time.time()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
            target.chmod(0o600)
            target.with_suffix(".json").write_text(json.dumps(note, indent=1), encoding="utf-8")
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """What is old, or more than a few, goes."""
        with contextlib.suppress(OSError):
            files = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
            total = 0
            for at, path in enumerate(files):
                total += path.stat().st_size
                if at >= FILES_MAX or total > BYTES_MAX or time.time() - path.stat().st_ctime > KEPT_S:
                    path.unlink(missing_ok=True)
                    path.with_suffix(".json").unlink(missing_ok=True)
