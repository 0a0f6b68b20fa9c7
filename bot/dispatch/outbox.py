"""The bot's side of the folders it shares with embedded workers. Everything here blocks: call it off the loop."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FrameError, unpack
from gpu_worker.protocol.outbox import INPUTS, KEPT_SUFFIX, OUTBOX_SUFFIX, fin_name, kept_name, owned_names

__all__ = ["DamagedEntryError", "Inputs", "Outbox"]

INPUT_KEPT_S = 24 * 3600.0
CLEAR_EVERY_S = 3600.0


class DamagedEntryError(Exception):
    """An outbox entry that no worker of any version can have meant."""


class Outbox:
    """One folder per worker: `<job>.<attempt>.fin` beside `<job>.<attempt>.<n>.png`."""

    def __init__(self, root: Path, *, keeps_damaged: bool = True) -> None:
        """Without `keeps_damaged` what is damaged goes: others could fill our disk with it."""
        self._root = root
        self._keeps_damaged = keeps_damaged

    def prepare(self, names: Iterable[str]) -> None:
        for name in names:
            (self._root / name).mkdir(parents=True, exist_ok=True)

    def entries(self, name: str | None = None) -> list[Path]:
        """Of one worker, or of all that ever were; parts before ends, after which nobody needs them, in the order of
        their numbers: a file that a training saved may say which earlier one goes for it."""
        box, suffixes = name or "*", (KEPT_SUFFIX, OUTBOX_SUFFIX)
        return [path for suffix in suffixes for path in sorted(self._root.glob(f"{box}/*{suffix}"), key=_counted)]

    def read(self, entry: Path) -> m.Done | m.Failed | m.Cancelled | m.Paused | m.Partial:
        """Raises DamagedEntryError, or OSError where it is gone or cannot be read now."""
        data = entry.read_bytes()
        try:
            message = m.parse_to_bot({**unpack(data), "worker": entry.parent.name})
        except (FrameError, ValidationError) as error:
            raise DamagedEntryError(entry.name) from error
        match message:
            case m.Done() | m.Failed() | m.Cancelled() | m.Paused():
                named = fin_name(message.job, message.attempt)
            case m.Partial():
                named = kept_name(message.job, message.attempt, message.n)
            case _:
                named = ""
        if entry.name != named or isinstance(message, m.Hello | m.Heartbeat | m.AssignReply | m.Progress):
            raise DamagedEntryError(entry.name)
        return message

    def set_aside(self, entry: Path) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._keeps_damaged:
                entry.replace(entry.with_suffix(".bad"))
            else:
                job, attempt, *_ = entry.name.split(".")
                self.remove(entry.parent.name, job, int(attempt))

    def picture(self, done: m.Done | m.Partial, output: m.Output) -> Path:
        """A name from another process: one that is not of this attempt counts as a picture that is not there."""
        name = Path(output.blob).name
        if not name.startswith(f"{done.job}.{done.attempt}."):
            name = f"{done.job}.{done.attempt}.lost"
        return self._root / done.worker / name

    def remove(self, worker: str, job: str, attempt: int) -> None:
        """The entry and whatever pictures of that attempt nobody took."""
        box = self._root / worker
        # The entry last: while it is there, a removal that was cut short is taken up again.
        for leftover in sorted(box.glob(owned_names(job, attempt)), key=lambda path: path.suffix == OUTBOX_SUFFIX):
            leftover.unlink(missing_ok=True)

    def remove_part(self, part: m.Partial) -> None:
        """The entry, and its bytes where nobody took them."""
        for output in part.outputs:
            self.picture(part, output).unlink(missing_ok=True)
        (self._root / part.worker / kept_name(part.job, part.attempt, part.n)).unlink(missing_ok=True)


def _counted(path: Path) -> tuple[str, list[str | int]]:
    parts = re.split(r"(\d+)", path.name)  # text and numbers by turns
    return path.parent.name, [int(part) if place % 2 else part for place, part in enumerate(parts)]


class Inputs:
    """Pictures that jobs start from, by the hash of their bytes."""

    def __init__(self, root: Path) -> None:
        self._folder = root / INPUTS
        self._cleared_at = 0.0

    def prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.clear_old()

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        target = self._folder / digest
        if target.is_file() and target.stat().st_size == len(data):
            target.touch()
            return digest
        part = self._folder / f"{digest}.{secrets.token_hex(4)}.part"
        try:
            part.write_bytes(data)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return digest

    def link(self, path: Path, sha256: str) -> int:
        """A file of ours under the hash of its bytes, without another copy where the disk can do that; its size."""
        size = path.stat().st_size
        target = self._folder / sha256
        if target.is_file() and target.stat().st_size == size:
            target.touch()
            return size
        part = self._folder / f"{sha256}.{secrets.token_hex(4)}.part"
        try:
            try:
                os.link(path, part)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, part)
            part.touch()
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return size

    def read(self, ref: str, offset: int, size: int) -> bytes:
        """A part of one, for a worker that cannot read our disk. Raises OSError where it is gone."""
        with (self._folder / Path(ref).name).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def clear_old(self) -> None:
        """A job's input is put again at every attempt, so old ones are no longer needed."""
        now = time.time()
        if now - self._cleared_at < CLEAR_EVERY_S:
            return
        self._cleared_at = now
        for old in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if now - old.stat().st_mtime > INPUT_KEPT_S:
                    old.unlink()
