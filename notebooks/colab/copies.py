"""The way of the database to Drive and back: by `launch.py backup` and `restore`, which look through every copy."""

from __future__ import annotations

import calendar
import contextlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from notebooks.colab.launcher import Launcher
from notebooks.colab.telling import Telling

__all__ = ["KEPT", "QUEUE_HOURS", "Copies"]

KEPT = 6
"""Copies on Drive: at ten minutes each, the last hour."""
QUEUE_HOURS = 12
"""What waited in a younger copy was cut off and is drawn; in an older one nobody waits for it any more."""
_NAME = re.compile(r"pincel-backup-(\d{8}-\d{6})(?:-(\d+))?\.zip")
_CATALOGUES = ("catalogue.toml", "catalogue-found.toml")


class Copies:
    def __init__(
        self, data: Path, drive: Path, launcher: Launcher, telling: Telling, now: Callable[[], float] = time.time
    ) -> None:
        self._data, self._drive, self._now = data, drive / "backups", now
        self._launcher, self._telling = launcher, telling

    def save(self) -> bool:
        """Whether a copy of this moment is on Drive. What goes wrong is told; the next time may go well."""
        if not (self._data / "pincel.sqlite").exists():
            return False
        if self._launcher.run("backup") != 0:
            self._telling.say("copies.not_made")
            return False
        try:
            self._drive.mkdir(exist_ok=True)
            for left in self._drive.glob("*.part"):
                left.unlink()
            for file in (_copies_in(self._data / "backups")[0], *(self._data / name for name in _CATALOGUES)):
                if file.exists():
                    _put(file, self._drive / file.name)
            for old in _copies_in(self._drive)[KEPT:]:
                old.unlink()
        except OSError as error:
            self._telling.say("copies.not_on_drive", reason=error.strerror or type(error).__name__)
            return False
        return True

    def restore(self) -> bool:
        """Puts the newest sound copy back where this machine has no database. Raises StoppedError where there are
        copies and none is sound: whoever began anew would lose them, one after the other."""
        if (self._data / "pincel.sqlite").exists():
            return False
        copies = _copies_in(self._drive)
        for copy in copies:
            young = self._now() - _made_at(copy) < QUEUE_HOURS * 3600
            if self._launcher.run("restore", str(copy), *(["--keep-queue"] if young else [])) == 0:
                for name in _CATALOGUES:
                    if (self._drive / name).exists() and not (self._data / name).exists():
                        with contextlib.suppress(OSError):
                            _put(self._drive / name, self._data / name)
                self._telling.say("copies.restored", name=copy.name)
                return True
            self._telling.say("copies.unsound", name=copy.name)
        if copies:
            raise self._telling.stop("copies.none_sound", folder=self._drive)
        return False


def _copies_in(folder: Path) -> list[Path]:
    """Newest first."""
    found = [path for path in folder.glob("*.zip") if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=_order, reverse=True)


def _order(path: Path) -> tuple[str, int]:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return found[1], int(found[2] or 1)


def _made_at(path: Path) -> float:
    return float(calendar.timegm(time.strptime(_order(path)[0], "%Y%m%d-%H%M%S")))


def _put(file: Path, target: Path) -> None:
    """Whole, or not at all."""
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(file, part)
    part.replace(target)
