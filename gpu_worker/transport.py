"""The worker's end of a transport, and the embedded one over a pair of pipes."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import Unframer, frame, pack
from gpu_worker.protocol.outbox import (
    INPUTS,
    MODEL_MIME,
    PART_SUFFIX,
    fin_name,
    kept_name,
    kept_output_name,
    output_name,
)
from gpu_worker.protocol.results import TEXT_MIME
from gpu_worker.protocol.specs import ImageRef, Wire

__all__ = ["OutFile", "PipeWorkerTransport", "WorkerTransport"]

log = logging.getLogger(__name__)

RETRY_S = 2.0
COPY_BYTES = 2**20
_HEARTBEAT = "heartbeat of this worker"
"""Never the id of a job, which holds no spaces."""
_SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg", MODEL_MIME: ".safetensors",
             TEXT_MIME: ".json"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutFile:
    """One output's bytes, or a file that `place` gave and that is on the disk already, beside what the message says of
    it (whose `blob` the transport fills in)."""

    data: bytes | Path
    output: m.Output


class WorkerTransport(Protocol):
    def run(self, on_command: Callable[[m.ToWorker], None]) -> None:
        """Feeds commands until the bot closes the connection."""
        ...

    def event(self, message: Wire) -> None:
        """Lossy and never blocks; a newer progress of a job replaces an older one that was not sent."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Waits until earlier events have left this process, or `timeout_s` have passed."""
        ...

    def finish(self, message: m.Done | m.Failed | m.Cancelled | m.Paused, files: Sequence[OutFile] = ()) -> None:
        """Returns only when it is stored durably; retries for ever; idempotent."""
        ...

    def keep(self, message: m.Partial, file: OutFile | None = None) -> None:
        """Durable when it returns. Raises OSError where it cannot be stored: a part is not waited for. Of a file given
        by its path (on the disk, and never changed) nothing is read into memory, and it stays where it is."""
        ...

    def open_input(self, ref: ImageRef) -> bytes:
        """Raises OSError where it is gone."""
        ...

    def place(self, job: str, attempt: int, suffix: str) -> Path:
        """For a result that is written by whoever makes it; of an attempt that leaves none behind nothing stays."""
        ...


class PipeWorkerTransport:
    """Frames on two pipes, results as files in an outbox. `finish` needs no live bot."""

    def __init__(
        self, name: str, outbox_dir: Path, reader: BinaryIO, writer_fd: int, *, retry_s: float = RETRY_S
    ) -> None:
        self._box = outbox_dir / name
        self._inputs = outbox_dir / INPUTS
        self._box.mkdir(parents=True, exist_ok=True)
        self._clear()
        self._reader = reader
        self._writer_fd = writer_fd
        self._retry_s = retry_s
        self._ready = threading.Condition()
        self._urgent: list[Wire] = []
        self._latest: dict[str, m.Progress | m.Heartbeat] = {}
        self._writing = False
        _make_binary(reader.fileno(), writer_fd)
        threading.Thread(target=self._write_forever, name="frames-out", daemon=True).start()

    def run(self, on_command: Callable[[m.ToWorker], None]) -> None:
        unframer = Unframer()
        while data := os.read(self._reader.fileno(), 65536):
            for raw in unframer.feed(data):
                try:
                    message = m.parse_to_worker(raw)
                except ValueError:
                    log.warning("command %.40r is unknown or malformed, ignored", raw.get("t"))
                    self._refuse(raw)
                    continue
                if isinstance(message, m.Settled):
                    self._forget(message)
                on_command(message)

    def event(self, message: Wire) -> None:
        with self._ready:
            match message:
                case m.Progress():
                    earlier = self._latest.get(message.job)
                    if isinstance(earlier, m.Progress) and message.preview is None:
                        # The newest picture of an attempt is news, too, though a step without one came after it.
                        kept = earlier.preview if earlier.attempt == message.attempt else None
                        message = message.model_copy(update={"preview": kept})
                    self._latest[message.job] = message
                case m.Heartbeat():
                    self._latest[_HEARTBEAT] = message
                case _:
                    self._urgent.append(message)
            self._ready.notify_all()

    def flush(self, timeout_s: float) -> None:
        with self._ready:
            self._ready.wait_for(lambda: not (self._urgent or self._latest or self._writing), timeout_s)

    def finish(self, message: m.Done | m.Failed | m.Cancelled | m.Paused, files: Sequence[OutFile] = ()) -> None:
        while True:
            try:
                stored = self._store(message, files)
                break
            except OSError as error:
                # A full disk: the picture is paid for, so it waits here in memory until there is room.
                log.warning("result of job %s cannot be written yet: %s", message.job, error)
                time.sleep(self._retry_s)
        with self._ready:
            self._latest.pop(message.job, None)
        self.event(stored)

    def keep(self, message: m.Partial, file: OutFile | None = None) -> None:
        self._box.mkdir(parents=True, exist_ok=True)
        if file is not None:
            suffix = _SUFFIXES.get(file.output.mime, ".bin")
            name = kept_output_name(message.job, message.attempt, message.n, suffix)
            if isinstance(file.data, Path):
                _link_durably(file.data, self._box / name)
            else:
                _write_durably(self._box / name, file.data)
            message = message.model_copy(update={"outputs": (file.output.model_copy(update={"blob": name}),)})
        _write_durably(self._box / kept_name(message.job, message.attempt, message.n), pack(message))
        self.event(message)

    def open_input(self, ref: ImageRef) -> bytes:
        return (self._inputs / Path(ref.ref).name).read_bytes()

    def place(self, job: str, attempt: int, suffix: str) -> Path:
        return self._box / f"{output_name(job, attempt, 0, suffix)}{PART_SUFFIX}"

    def _clear(self) -> None:
        """What an earlier process was writing when it died: gigabytes, perhaps, and its job starts afresh."""
        for part in self._box.glob(f"*{PART_SUFFIX}*"):
            with contextlib.suppress(OSError):
                part.unlink()

    def _store(self, message: m.Done | m.Failed | m.Cancelled | m.Paused, files: Sequence[OutFile]) -> Wire:
        self._box.mkdir(parents=True, exist_ok=True)
        if isinstance(message, m.Done):
            outputs: list[m.Output] = []
            for index, file in enumerate(files):
                name = output_name(message.job, message.attempt, index, _SUFFIXES.get(file.output.mime, ".png"))
                if isinstance(file.data, Path):
                    _move_durably(file.data, self._box / name)
                else:
                    _write_durably(self._box / name, file.data)
                outputs.append(file.output.model_copy(update={"blob": name}))
            message = message.model_copy(update={"outputs": tuple(outputs)})
        _write_durably(self._box / fin_name(message.job, message.attempt), pack(message))
        return message

    def _forget(self, settled: m.Settled) -> None:
        with contextlib.suppress(OSError):
            (self._box / fin_name(settled.job, settled.attempt)).unlink(missing_ok=True)

    def _refuse(self, raw: dict[str, object]) -> None:
        if raw.get("t") == "assign":
            job, attempt = str(raw.get("job", "")), raw.get("attempt")
            if isinstance(attempt, int):
                self.event(m.AssignReply(job=job, attempt=attempt, accepted=False, reason="malformed"))

    def _write_forever(self) -> None:
        with contextlib.suppress(OSError):  # the bot is gone; `run` ends by itself
            while True:
                with self._ready:
                    self._writing = False
                    self._ready.notify_all()
                    self._ready.wait_for(lambda: self._urgent or self._latest)
                    # Taken in one go: a heartbeat made after a result must not overtake it, nor be overtaken for ever.
                    batch = [*self._urgent, *self._latest.values()]
                    self._urgent.clear()
                    self._latest.clear()
                    self._writing = True
                for message in batch:
                    self._write(message)

    def _write(self, message: Wire) -> None:
        try:
            data = frame(message)
        except Exception:
            # A result lies in the outbox and is found there; of events a newer one follows.
            log.exception("a message cannot be sent as a frame and is left out")
            return
        _write_all(self._writer_fd, data)


def _make_binary(*descriptors: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        for descriptor in descriptors:
            msvcrt.setmode(descriptor, os.O_BINARY)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _write_durably(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + PART_SUFFIX)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
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
