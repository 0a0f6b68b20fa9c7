"""The worker's end of a transport, and the embedded one over a pair of pipes."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from gpu_worker.events import PendingEvents
from gpu_worker.outbox import End, OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import Unframer, frame
from gpu_worker.protocol.outbox import INPUTS, fin_name
from gpu_worker.protocol.specs import ImageRef, Wire

__all__ = ["OutFile", "PipeWorkerTransport", "WorkerTransport", "refusal"]

log = logging.getLogger(__name__)

RETRY_S = 2.0


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

    def finish(self, message: End, files: Sequence[OutFile] = ()) -> None:
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
        self._outbox = WorkerOutbox(outbox_dir / name)
        self._inputs = outbox_dir / INPUTS
        self._reader = reader
        self._writer_fd = writer_fd
        self._retry_s = retry_s
        self._events = PendingEvents()
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
                    if (reply := refusal(raw)) is not None:
                        self.event(reply)
                    continue
                if isinstance(message, m.Settled):
                    self._outbox.forget(fin_name(message.job, message.attempt))
                on_command(message)

    def event(self, message: Wire) -> None:
        self._events.put(message)

    def flush(self, timeout_s: float) -> None:
        self._events.flush(timeout_s)

    def finish(self, message: End, files: Sequence[OutFile] = ()) -> None:
        while True:
            try:
                stored = self._outbox.store(message, files)
                break
            except OSError as error:
                # A full disk: the picture is paid for, so it waits here in memory until there is room.
                log.warning("result of job %s cannot be written yet: %s", message.job, error)
                time.sleep(self._retry_s)
        self._events.drop_progress(message.job)
        self.event(stored)

    def keep(self, message: m.Partial, file: OutFile | None = None) -> None:
        self.event(self._outbox.keep(message, file))

    def open_input(self, ref: ImageRef) -> bytes:
        return (self._inputs / Path(ref.ref).name).read_bytes()

    def place(self, job: str, attempt: int, suffix: str) -> Path:
        return self._outbox.place(job, attempt, suffix)

    def _write_forever(self) -> None:
        with contextlib.suppress(OSError):  # the bot is gone; `run` ends by itself
            while True:
                for message in self._events.wait():
                    self._write(message)

    def _write(self, message: Wire) -> None:
        try:
            data = frame(message)
        except Exception:
            # A result lies in the outbox and is found there; of events a newer one follows.
            log.exception("a message cannot be sent as a frame and is left out")
            return
        _write_all(self._writer_fd, data)


def refusal(raw: dict[str, object]) -> m.AssignReply | None:
    """The answer to what is meant as an assignment and cannot be read."""
    attempt = raw.get("attempt")
    if raw.get("t") != "assign" or not isinstance(attempt, int):
        return None
    try:
        return m.AssignReply(job=str(raw.get("job", "")), attempt=attempt, accepted=False, reason="malformed")
    except ValueError:
        return None


def _make_binary(*descriptors: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        for descriptor in descriptors:
            msvcrt.setmode(descriptor, os.O_BINARY)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
