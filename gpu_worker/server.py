"""Takes jobs, runs them one after the other on the GPU thread, reports, and obeys cancels within a step.

Four threads: the main one reads commands, `gpu` draws, `heartbeat` reports whatever the GPU does, and the transport's
own writes. torch may block or hold the interpreter for a while; the heartbeat's lease is longer than that.
"""

from __future__ import annotations

import collections
import hashlib
import logging
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef, JobSpec
from gpu_worker.transport import OutFile, WorkerTransport

__all__ = ["Drawer", "Server"]

log = logging.getLogger(__name__)

ORPHAN_GRACE_S = 60.0
"""When the bot has died, the picture being drawn may take this long to be finished into the outbox."""
DRAIN_GRACE_S = 5.0
"""When the bot stops on purpose, a step may take this long to notice."""


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


class Drawer(Protocol):
    """What the server needs of an engine (gpu_worker.engine.engine.Engine)."""

    loaded: str | None
    device_name: str
    vram_mb: int

    def facts(self) -> tuple[m.ModelFact, ...]: ...
    def vram_free_mb(self) -> int | None: ...
    def prepare(self, checkpoint: str) -> None: ...
    def draw(self, spec: JobSpec, hooks: JobHooks) -> list[DrawnPicture]: ...


@dataclass
class Task:
    assign: m.Assign
    phase: str = "queued"
    step: int = 0
    of: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> tuple[str, int]:
        return self.assign.job, self.assign.attempt


class TimeUp(Exception):  # noqa: N818
    """The job has used its `max_run_s`."""


class JobHooks:
    """How the engine reports and asks, for one job."""

    def __init__(self, task: Task, transport: WorkerTransport, deadline: float) -> None:
        self.preview = task.assign.preview
        self._task = task
        self._transport = transport
        self._deadline = deadline
        self._n = 0
        self._started = time.monotonic()

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        task = self._task
        task.phase, task.step, task.of = phase, step, of
        self._n += 1
        elapsed = time.monotonic() - self._started
        self._transport.event(
            m.Progress(
                job=task.assign.job, attempt=task.assign.attempt, n=self._n, phase=phase, step=step, of=of,
                eta_s=elapsed * (of - step) / step if step else None, preview=preview,
            )
        )  # fmt: skip

    def cancelled(self) -> bool:
        if time.monotonic() > self._deadline:
            raise TimeUp
        return self._task.cancelled.is_set()

    def open_image(self, ref: ImageRef) -> bytes:
        data = self._transport.open_input(ref)
        if len(data) != ref.size_bytes or hashlib.sha256(data).hexdigest() != ref.sha256:
            raise OSError(f"input {ref.ref} is not what was announced")
        return data


class Server:
    def __init__(
        self,
        *,
        name: str,
        app_version: str,
        engine: Drawer,
        transport: WorkerTransport,
        cancelled_error: type[Exception],
        engine_error: type[Exception],
    ) -> None:
        self._name = name
        self._version = app_version
        self._engine = engine
        self._transport = transport
        self._cancelled_error = cancelled_error
        self._engine_error = engine_error
        self._boot = secrets.token_hex(8)
        self._lock = threading.Condition()
        self._tasks: collections.OrderedDict[tuple[str, int], Task] = collections.OrderedDict()
        self._heartbeat_s = 2.0
        self._draining = False
        self._ending = False
        self._prepare: str | None = None

    def run(self) -> None:
        """Until the bot closes the connection; then what is being drawn is finished into the outbox, within bounds."""
        gpu = threading.Thread(target=self._gpu_forever, name="gpu", daemon=True)
        gpu.start()
        threading.Thread(target=self._beat_forever, name="heartbeat", daemon=True).start()
        self._hello()
        self._transport.run(self._on_command)
        with self._lock:
            self._ending = True
            for task in list(self._tasks.values()):
                if task.phase == "queued":
                    del self._tasks[task.key]
            self._lock.notify_all()
        gpu.join(DRAIN_GRACE_S if self._draining else ORPHAN_GRACE_S)

    # --- commands -----------------------------------------------------------------------------------------------------

    def _on_command(self, message: m.ToWorker) -> None:
        match message:
            case m.Assign():
                self._accept(message)
            case m.Cancel():
                self._cancel(message)
            case m.Welcome():
                self._heartbeat_s = message.hb_s
            case m.Prepare():
                with self._lock:
                    self._prepare = message.model
                    self._lock.notify_all()
            case m.Drain():
                self._drain()
            case m.Resync():
                self._hello()
            case m.Settled():
                pass  # the transport's outbox has dealt with it

    def _accept(self, assign: m.Assign) -> None:
        with self._lock:
            refused = "draining" if self._draining or self._ending else ""
            if not refused:
                # The same (job, attempt) again is a repeated message, not a second job.
                self._tasks.setdefault((assign.job, assign.attempt), Task(assign))
                self._lock.notify_all()
        self._transport.event(
            m.AssignReply(job=assign.job, attempt=assign.attempt, accepted=not refused, reason=refused)
        )

    def _cancel(self, cancel: m.Cancel) -> None:
        with self._lock:
            task = self._tasks.get((cancel.job, cancel.attempt))
            waiting = task is not None and task.phase == "queued"
            if task is not None:
                task.cancelled.set()
            if waiting:
                del self._tasks[cancel.job, cancel.attempt]
        if waiting:
            self._transport.finish(m.Cancelled(job=cancel.job, attempt=cancel.attempt))

    def _drain(self) -> None:
        """The bot is stopping on purpose: let go of everything now; it will be drawn again from its seed."""
        with self._lock:
            self._draining = True
            for task in self._tasks.values():
                task.cancelled.set()

    # --- reports ------------------------------------------------------------------------------------------------------

    def _running(self) -> tuple[m.Running, ...]:
        with self._lock:
            return tuple(
                m.Running(job=t.assign.job, attempt=t.assign.attempt, phase=t.phase, step=t.step, of=t.of)
                for t in self._tasks.values()
            )

    def _hello(self) -> None:
        self._transport.event(
            m.Hello(
                worker=self._name, app_version=self._version, boot=self._boot, name=self._name,
                gpu=self._engine.device_name, vram_mb=self._engine.vram_mb, models=self._engine.facts(),
                loaded=self._engine.loaded, running=self._running(),
            )
        )  # fmt: skip

    def _beat_forever(self) -> None:
        known = self._engine.facts()
        while not self._ending:
            time.sleep(self._heartbeat_s)
            try:
                self._transport.event(
                    m.Heartbeat(
                        worker=self._name, boot=self._boot, running=self._running(), loaded=self._engine.loaded,
                        vram_free_mb=self._engine.vram_free_mb(), draining=self._draining,
                    )
                )  # fmt: skip
                facts = self._engine.facts()
                if facts != known:
                    # Somebody put a model into the folder or took one away: the bot's lists follow without a restart.
                    known = facts
                    self._hello()
            except Exception:
                log.exception("heartbeat failed; it goes on")

    # --- the GPU thread -----------------------------------------------------------------------------------------------

    def _gpu_forever(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._ending or self._prepare or self._next() is not None)
                task, prepare = self._next(), self._prepare
                self._prepare = None
                if task is None and prepare is None:
                    if self._ending:
                        return
                    continue
                if task is not None:
                    task.phase = "starting"
            if task is not None:
                self._run_task(task)
            elif prepare is not None:
                try:
                    self._engine.prepare(prepare)
                except Exception:
                    log.exception("preparing %s failed; the job that needs it will say why", prepare)

    def _next(self) -> Task | None:
        return next((task for task in self._tasks.values() if task.phase == "queued"), None)

    def _run_task(self, task: Task) -> None:
        job, attempt = task.key
        started = time.monotonic()
        hooks = JobHooks(task, self._transport, started + task.assign.max_run_s)
        try:
            drawn = self._engine.draw(task.assign.spec, hooks)
            end: m.Done | m.Failed | m.Cancelled = m.Done(
                job=job, attempt=attempt, outputs=(), run_s=time.monotonic() - started
            )
            files = [_out_file(picture) for picture in drawn]
        except Exception as error:
            files = []
            end = self._failure(task, error)
        if not (self._draining and isinstance(end, m.Cancelled)):
            self._transport.finish(end, files)
        with self._lock:
            self._tasks.pop(task.key, None)

    def _failure(self, task: Task, error: Exception) -> m.Failed | m.Cancelled:
        job, attempt = task.key
        if isinstance(error, self._cancelled_error):
            return m.Cancelled(job=job, attempt=attempt)
        if isinstance(error, TimeUp):
            return m.Failed(job=job, attempt=attempt, kind="timeout", message=f"over {task.assign.max_run_s} s")
        if isinstance(error, self._engine_error):
            kind: m.FailureKind = getattr(error, "kind", "other")
            detail = dict(getattr(error, "detail", {}))
            log.warning("job %s: %s: %s", job, kind, error)
            return m.Failed(
                job=job, attempt=attempt, kind=kind, retryable=bool(getattr(error, "retryable", False)),
                message=str(error), detail=detail,
            )  # fmt: skip
        log.error("job %s failed by a bug", job, exc_info=error)
        return m.Failed(job=job, attempt=attempt, kind="other", message=repr(error))


def _out_file(picture: DrawnPicture) -> OutFile:
    return OutFile(
        picture.png,
        m.Output(
            blob="", size_bytes=len(picture.png), sha256=hashlib.sha256(picture.png).hexdigest(), mime="image/png",
            width=picture.width, height=picture.height, seed=picture.seed, variation_seed=picture.variation_seed,
            infotext=picture.infotext,
        ),
    )  # fmt: skip
