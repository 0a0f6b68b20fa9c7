"""Where trainings keep what they need to go on: a folder a job, `<data>/training-work/<job>`.

A folder goes as soon as its job's end is stored (`done`), or when the bot says that nobody will go on with it
(`messages.Forget`). What failed or was cancelled stays, the last few of them: the same training, submitted anew, goes
on from it. What nobody touched for a month goes, too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from gpu_worker.training.refusals import refusal
from gpu_worker.training.state import write_whole

__all__ = ["WORK_FOLDER", "WorkFolders", "state_folder"]

log = logging.getLogger(__name__)

WORK_FOLDER = "training-work"
KEPT_S = 30 * 24 * 3600.0
ENDED_KEPT = 5
"""Of those that failed or were cancelled; a state may have gigabytes, and anybody can begin and cancel."""
LOCK_WAIT_S = 60.0
"""For a worker that was given up for lost and is about to notice it."""
LOOK_S = 0.5
_NOTE = "training.json"
_ENDED = "ended"
"""A file in the folder of what failed or was cancelled."""
_JOB = re.compile(r"[A-Za-z0-9_-]{1,25}")
"""As `messages.JobKey`: one odd name would keep a worker from saying hello."""
_STATE = "state"


def state_folder(folder: Path) -> Path:
    return folder / _STATE


class WorkFolders:
    """Several workers may share one; a lock keeps each folder to one of them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def opened(self, job: str, digest: str, check: Callable[[], None]) -> Iterator[Path]:
        """The job's own, or that of an earlier job of the very same training (`digest`). `check` is called while
        another worker still holds it, and may raise.

        Raises EngineError `in_use`, and `base_changed` where it was begun on another file.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        folder = self._root / job
        with self._locked(job, check):
            if not folder.exists():
                self._adopt(folder, digest)
            begun = _digest(folder)
            if begun is not None and begun != digest:
                raise refusal("base_changed")
            state_folder(folder).mkdir(parents=True, exist_ok=True)
            (folder / _ENDED).unlink(missing_ok=True)
            if begun is None:
                note = json.dumps({"training": digest}).encode()
                with contextlib.suppress(OSError):
                    write_whole(folder / _NOTE, lambda file: file.write(note))
            yield folder

    def kept(self) -> tuple[str, ...]:
        """Jobs that have a folder. Whatever else somebody put there is none."""
        return tuple(folder.name for folder in self._folders() if _JOB.fullmatch(folder.name))

    def forget(self, job: str) -> None:
        """Nothing of it stays, unless a worker is at it."""
        if "/" in job or "\\" in job or job in {"", ".", ".."}:
            return
        self._remove(self._root / job)

    def ended(self, folder: Path) -> None:
        """It failed, or was cancelled; whoever calls still holds it."""
        with contextlib.suppress(OSError):
            (folder / _ENDED).touch()

    def sweep(self) -> None:
        """Takes away what nobody came back for, and of what ended all but the last few."""
        ended: list[tuple[float, Path]] = []
        for folder in self._folders():
            with contextlib.suppress(OSError):
                ended.append(((folder / _ENDED).stat().st_mtime, folder))
        for _, folder in sorted(ended, reverse=True)[ENDED_KEPT:]:
            self._remove(folder)
        for folder in self._folders():
            with contextlib.suppress(OSError):
                touched = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
                if time.time() - touched > KEPT_S:
                    log.info("training %s was left for a month; what it kept goes", folder.name)
                    self._remove(folder)

    def _adopt(self, folder: Path, digest: str) -> None:
        for other in self._folders():
            if _digest(other) != digest:
                continue
            with contextlib.suppress(Timeout, OSError), self._lock(other.name, 0):
                other.replace(folder)
                log.info("training %s goes on from what %s left", folder.name, other.name)
                self._drop_lock(other.name)
                return

    def _remove(self, folder: Path) -> None:
        if not self._root.is_dir():
            return
        with contextlib.suppress(Timeout), self._lock(folder.name, 0):
            shutil.rmtree(folder, ignore_errors=True)
            self._drop_lock(folder.name)

    @contextlib.contextmanager
    def _locked(self, job: str, check: Callable[[], None]) -> Iterator[None]:
        lock, deadline = self._lock(job, LOOK_S), time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                lock.acquire()
                break
            except Timeout:
                check()
                if time.monotonic() > deadline:
                    raise refusal("in_use", retryable=True) from None
        try:
            yield
        finally:
            lock.release()

    def _lock(self, job: str, timeout_s: float) -> FileLock:
        return FileLock(self._lock_file(job), timeout=timeout_s)

    def _drop_lock(self, job: str) -> None:
        with contextlib.suppress(OSError):  # Windows keeps it while it is open
            self._lock_file(job).unlink(missing_ok=True)

    def _lock_file(self, job: str) -> Path:
        return self._root / f"{job}.lock"

    def _folders(self) -> list[Path]:
        with contextlib.suppress(OSError):
            return sorted(path for path in self._root.iterdir() if path.is_dir())
        return []


def _digest(folder: Path) -> str | None:
    """None where no training was begun there, or what says which cannot be read."""
    try:
        return str(json.loads((folder / _NOTE).read_bytes())["training"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
