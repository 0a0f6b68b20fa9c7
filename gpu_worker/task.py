"""One assigned job as the worker holds it, and what the engine may ask and tell while drawing it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import ImageRef, TaskSpec, Train
from gpu_worker.transport import OutFile, WorkerTransport

__all__ = [
    "Drawer",
    "DrawnPicture",
    "GuardedPreviews",
    "InputLostError",
    "JobHooks",
    "JobPaused",
    "Looker",
    "MadeFile",
    "SaidText",
    "Task",
    "TimeUp",
]


log = logging.getLogger(__name__)

BINARY_MIME = "application/octet-stream"


@dataclass
class Task:
    assign: m.Assign
    phase: str = "queued"
    """`queued`, `starting`, one of `Progress.phase`, or `storing`."""
    step: int = 0
    of: int = 0
    deadline: float | None = None
    """On the monotonic clock; None until it starts."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)
    """Somebody asked for it; only a training obeys."""
    over: bool = False
    """Nobody will go on with it: nothing of it is kept."""
    kept: int = 0
    """Finished parts that this attempt handed over."""

    @property
    def key(self) -> tuple[str, int]:
        return self.assign.job, self.assign.attempt

    @property
    def trains(self) -> bool:
        return isinstance(self.assign.spec, Train)


class TimeUp(Exception):  # noqa: N818
    """The job has used its `max_run_s`, or a training got on by nothing for so long."""


class JobPaused(Exception):  # noqa: N818 (an outcome, not an error)
    """A training stopped between two steps, has given its memory back, and can go on."""

    def __init__(self, step: int, of: int, reason: str) -> None:
        """`reason` as in `messages.Paused`."""
        super().__init__(f"paused at step {step} of {of} ({reason})")
        self.step, self.of, self.reason = step, of, reason


class InputLostError(Exception):
    """An input picture is gone or not what was announced; at the next attempt the bot puts it there again."""


class JobHooks:
    """How the engine reports and asks, for one job."""

    def __init__(
        self,
        task: Task,
        transport: WorkerTransport,
        looker: Looker | None = None,
        pause: Callable[[], str] = lambda: "",
    ) -> None:
        """`pause` says why a training is to pause now, or nothing."""
        self.preview = task.assign.preview
        self._guard = GuardedPreviews(looker) if looker is not None and self.preview.guarded else None
        self._task = task
        self._transport = transport
        self._pause = pause
        self._n = 0
        self._saved = 0
        self._started = time.monotonic()
        self._loading_since: float | None = None
        self.load_s = 0.0
        self._parts = {part.n: part.image for part in task.assign.parts}
        self._state = task.assign.resume
        self._begun: tuple[str, float, int] | None = None
        """Phase, when it was first told of, and how far it was then: what was taken over took no time."""

    @property
    def job(self) -> str:
        return self._task.assign.job

    def progress(
        self, phase: str, step: int, of: int, preview: bytes | None, training: m.TrainingTold | None = None
    ) -> None:
        task = self._task
        task.phase, task.step, task.of = phase, step, of
        self._n += 1
        now = time.monotonic()
        if task.trains:
            task.deadline = now + task.assign.max_run_s
        self._time_loading(phase, now)
        if self._guard is not None:
            preview = self._guard.swapped(preview)
        self._transport.event(
            m.Progress(
                job=task.assign.job, attempt=task.assign.attempt, n=self._n, phase=phase, step=step, of=of,
                eta_s=self._eta_s(phase, step, of, now), preview=preview,
                preview_guarded=self._guard is not None, training=training,
            )
        )  # fmt: skip

    def cancelled(self) -> bool:
        """Raises TimeUp."""
        deadline = self._task.deadline
        if deadline is not None and time.monotonic() > deadline:
            raise TimeUp
        return self._task.cancelled.is_set()

    def pause(self) -> str:
        """Why a training is to pause now, as in `messages.Paused`; empty: it goes on."""
        return self._pause()

    def open_image(self, ref: ImageRef) -> bytes:
        """Raises InputLostError."""
        try:
            data = self._transport.open_input(ref)
        except OSError as error:
            raise InputLostError(ref.ref) from error
        if len(data) != ref.size_bytes or hashlib.sha256(data).hexdigest() != ref.sha256:
            raise InputLostError(ref.ref)
        return data

    @property
    def state(self) -> bytes | None:
        return self._state

    def part(self, number: int) -> bytes | None:
        ref = self._parts.get(number)
        if ref is None:
            return None
        try:
            return self.open_image(ref)
        except InputLostError:
            log.warning("part %s of job %s is damaged; it is made again", number, self._task.assign.job)
            return None

    def keep(self, number: int, data: bytes, state: bytes | None = None) -> None:
        job, attempt = self._task.key
        if state is not None:
            self._state = state
        if number >= m.PARTS_MAX or len(data) > m.PART_BYTES_MAX or len(state or b"") > m.STATE_BYTES_MAX:
            log.warning("part %s of job %s is too large to be kept", number, job)
            return
        file: OutFile | None = None
        if data:
            digest = hashlib.sha256(data).hexdigest()
            mime = "image/png" if data[:4] == b"\x89PNG" else BINARY_MIME
            output = m.Output(
                blob="", size_bytes=len(data), sha256=digest, mime=mime, width=0, height=0, seed=0,
                infotext="",
            )  # fmt: skip
            file = OutFile(data, output)
        try:
            self._transport.keep(m.Partial(job=job, attempt=attempt, n=number, state=state), file)
            self._task.kept += 1
        except OSError as error:
            log.warning("part %s of job %s is not kept: %s", number, job, error)

    def save(self, saved: m.SavedModel, path: Path, sha256: str, size_bytes: int) -> None:
        """Hands a trained file over; durable when it returns, and the file is the caller's again. Raises OSError."""
        job, attempt = self._task.key
        output = m.Output(
            blob="", size_bytes=size_bytes, sha256=sha256, mime=MODEL_MIME, width=0, height=0, seed=0, infotext=""
        )
        # Whatever is that far behind has long been taken.
        part = m.Partial(job=job, attempt=attempt, n=self._saved % m.PARTS_MAX, outputs=(output,), file=saved)
        self._transport.keep(part, OutFile(path, output))
        self._saved += 1
        self._task.kept += 1

    def place(self, suffix: str) -> Path:
        """Where a result too large for memory is to be written; it is taken from there when the job is done."""
        return self._transport.place(self._task.assign.job, self._task.assign.attempt, suffix)

    def _eta_s(self, phase: str, step: int, of: int, now: float) -> float | None:
        if self._begun is None or self._begun[0] != phase or step < self._begun[2]:
            self._begun = phase, now, step
        _, at, first = self._begun
        if first:  # a later attempt goes on from there
            return (now - at) * (of - step) / (step - first) if step > first else None
        return (now - self._started) * (of - step) / step if step else None

    def _time_loading(self, phase: str, now: float) -> None:
        if self._loading_since is not None:
            self.load_s += now - self._loading_since
        self._loading_since = now if phase == "loading" else None


class Looker(Protocol):
    """Who looks at pictures before they leave (gpu_worker.engine.safety.guard.PictureGuard). Never raises."""

    @property
    def name(self) -> str: ...
    def look(self, data: bytes) -> Looked: ...
    def veiled(self, preview: bytes) -> bytes: ...


class GuardedPreviews:
    """Looks at previews beside the drawing, which does not wait for it: one comes out with the next report."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._thread: threading.Thread | None = None
        self._seen: bytes | None = None

    def swapped(self, preview: bytes | None) -> bytes | None:
        """The last preview that was looked at, once. `preview` is looked at next, unless another still is."""
        if self._thread is not None and self._thread.is_alive():
            return None
        seen, self._seen = self._seen, None
        if preview is not None:
            self._thread = threading.Thread(target=self._look, args=(preview,), name="preview-look", daemon=True)
            self._thread.start()
        return seen

    def settled(self) -> None:
        """Until nothing is being looked at."""
        if self._thread is not None:
            self._thread.join()

    def _look(self, preview: bytes) -> None:
        self._seen = self._looker.veiled(preview)


class DrawnPicture(Protocol):
    @property
    def png(self) -> bytes: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def variation_seed(self) -> int | None: ...
    @property
    def infotext(self) -> str: ...


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A model file at the place that the transport gave for it."""

    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SaidText:
    """A result that is neither picture nor file: JSON (gpu_worker.protocol.results)."""

    json: bytes


class Drawer(Protocol):
    """What the server needs of an engine (gpu_worker.engine.engine.Engine)."""

    device_name: str
    vram_mb: int

    @property
    def loaded(self) -> str | None: ...
    def facts(self) -> tuple[m.ModelFact, ...]: ...
    def vram_free_mb(self) -> int | None: ...
    def prepare(self, checkpoint: str) -> None: ...
    def draw(self, spec: TaskSpec, hooks: JobHooks) -> Sequence[DrawnPicture | MadeFile | SaidText | m.Missing]:
        """Raises JobPaused where a training pauses."""
        ...
