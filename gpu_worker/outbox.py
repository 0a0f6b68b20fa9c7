"""A worker's results as files, until the bot has them: `<job>.<attempt>.fin` beside the pictures, parts as `.kept`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import pack
from gpu_worker.protocol.outbox import (
    KEPT_SUFFIX,
    MODEL_MIME,
    OUTBOX_SUFFIX,
    PART_SUFFIX,
    fin_name,
    kept_name,
    kept_output_name,
    output_name,
)
from gpu_worker.protocol.results import TEXT_MIME

__all__ = ["End", "OutFile", "WorkerOutbox"]

COPY_BYTES = 2**20
_SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg", MODEL_MIME: ".safetensors",
             TEXT_MIME: ".json"}  # fmt: skip

_OUTPUT = re.compile(r"([A-Za-z0-9_-]+)\.(\d+)\.(k?)(\d+)\.[a-z]+")
"""Names that `output_name` and `kept_output_name` make."""

End = m.Done | m.Failed | m.Cancelled | m.Paused


@dataclass(frozen=True, slots=True)
class OutFile:
    """One output's bytes, or a file that `place` gave and that is on the disk already, beside what the message says of
    it (whose `blob` the outbox fills in)."""

    data: bytes | Path
    output: m.Output


class WorkerOutbox:
    """Everything here blocks, and raises OSError where the disk is full or gone."""

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        """`shared`: another process may be writing there just now."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not shared:
            self._sweep()

    def store(self, message: End, files: Sequence[OutFile]) -> End:
        """The end of an attempt, with the addresses of its files. Durable when it returns; repeating it is harmless."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(message, m.Done):
            outputs: list[m.Output] = []
            for index, file in enumerate(files):
                name = output_name(message.job, message.attempt, index, _SUFFIXES.get(file.output.mime, ".png"))
                if isinstance(file.data, Path):
                    _move_durably(file.data, self.folder / name)
                else:
                    _write_durably(self.folder / name, file.data)
                outputs.append(file.output.model_copy(update={"blob": name}))
            message = message.model_copy(update={"outputs": tuple(outputs)})
        _write_durably(self.folder / fin_name(message.job, message.attempt), pack(message))
        return message

    def keep(self, message: m.Partial, file: OutFile | None) -> m.Partial:
        """As `WorkerTransport.keep`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if file is not None:
            suffix = _SUFFIXES.get(file.output.mime, ".bin")
            name = kept_output_name(message.job, message.attempt, message.n, suffix)
            if isinstance(file.data, Path):
                _link_durably(file.data, self.folder / name)
            else:
                _write_durably(self.folder / name, file.data)
            message = message.model_copy(update={"outputs": (file.output.model_copy(update={"blob": name}),)})
        _write_durably(self.folder / kept_name(message.job, message.attempt, message.n), pack(message))
        return message

    def place(self, job: str, attempt: int, suffix: str) -> Path:
        """As `WorkerTransport.place`."""
        return self.folder / f"{output_name(job, attempt, 0, suffix)}{PART_SUFFIX}"

    def entries(self) -> list[str]:
        """Names of what the bot has not taken yet, oldest first."""
        found: list[tuple[float, str]] = []
        for path in self.folder.glob("*"):
            if path.suffix in (OUTBOX_SUFFIX, KEPT_SUFFIX):
                with contextlib.suppress(OSError):  # taken meanwhile
                    found.append((path.stat().st_mtime, path.name))
        return [name for _, name in sorted(found)]

    def read(self, entry: str) -> bytes:
        return (self.folder / entry).read_bytes()

    def _sweep(self) -> None:
        """What an earlier process was writing when it died: gigabytes, perhaps, and its job starts afresh."""
        names = {path.name for path in self.folder.glob("*")}
        for name in names:
            output = _OUTPUT.fullmatch(name)
            if PART_SUFFIX in name or (output is not None and _entry_of(output) not in names):
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink()

    def forget(self, entry: str, files: Sequence[str] = ()) -> None:
        """The entry last: while it is there, a removal that was cut short is taken up again."""
        for name in (*files, entry):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)


def _entry_of(output: re.Match[str]) -> str:
    job, attempt, kept, number = output[1], int(output[2]), output[3], int(output[4])
    return kept_name(job, attempt, number) if kept else fin_name(job, attempt)


def _write_durably(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()  # on a full disk it takes the room that an end needs
        raise
    part.replace(path)
    _sync_folder(path)


def _move_durably(source: Path, path: Path) -> None:
    """The data is on the disk. Repeating it is harmless."""
    if source.exists() or not path.exists():
        source.replace(path)
    _sync_folder(path)


def _link_durably(source: Path, path: Path) -> None:
    """The data is on the disk. A second name for it, or a copy where the disk, or another one, knows no such names."""
    part = path.with_name(path.name + PART_SUFFIX)
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        try:
            with source.open("rb") as data, part.open("wb") as copy:
                shutil.copyfileobj(data, copy, COPY_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    part.replace(path)
    part.unlink(missing_ok=True)  # a second name of the very same file is not moved
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        # The name, too, must survive a power cut.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
