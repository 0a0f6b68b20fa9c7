"""Takes jobs, runs them one after the other on the GPU thread, reports, and obeys cancels within a step.

Threads: the main one reads commands, `gpu` draws, `results` stores what was drawn while the next job already runs,
`heartbeat` reports whatever the GPU does, `models` looks after the model folder, and the transport has its own for
writing. torch may block or hold the interpreter for a while; the heartbeat's lease is longer than that, and nothing the
heartbeat says is asked of the engine by the heartbeat itself.
"""

from __future__ import annotations

import collections
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from gpu_worker.out_files import out_file
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import DRAW_TASKS
from gpu_worker.sensors import Vitals
from gpu_worker.task import (
    Drawer,
    InputLostError,
    JobHooks,
    JobPaused,
    Looker,
    Task,
    TimeUp,
)
from gpu_worker.transport import OutFile, WorkerTransport

__all__ = ["HANG_GRACE_S", "ORPHAN_GRACE_S", "Drawer", "Server"]

log = logging.getLogger(__name__)

ORPHAN_GRACE_S = 60.0
"""When the bot has died, the picture being drawn may take this long to be finished into the outbox."""
DRAIN_GRACE_S = 5.0
"""When the bot stops on purpose, a step may take this long to notice."""
HANG_GRACE_S = 600.0
"""A job this long over its time did not even reach a cancel check: the card or its driver hangs."""
HUNG = 70
"""Exit code of a worker that ended itself for that; only a new process gets the card back."""
ANNOUNCE_S = 1.0
SENSE_EVERY_S = 5.0
MODELS_EVERY_S = 2.0
MODELS_SHARE = 20
"""Looking at thousands of files may take this part of the time at most."""
UNSTORED_LIMIT = 2
"""Results waiting for room on the disk; with more of them nothing new is drawn."""
ENDED_KEPT = 256

End = m.Done | m.Failed | m.Cancelled | m.Paused


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
        tasks: tuple[str, ...] = DRAW_TASKS,
        orphan_grace_s: float = ORPHAN_GRACE_S,
        hang_grace_s: float = HANG_GRACE_S,
        lanes: tuple[str, ...] = (),
        forget: Callable[[str], None] = lambda job: None,
        kept: Callable[[], tuple[str, ...]] = tuple,
        on_hang: Callable[[], None] = lambda: os._exit(HUNG),
        sense: Callable[[], Vitals] | None = None,
        addons: tuple[m.AddonFact, ...] = (),
        looker: Looker | None = None,
    ) -> None:
        """`lanes`: the only ones that this worker is for; empty: all. `forget` removes what is kept of a training,
        `kept` says of which something is."""
        self._name = name
        self._version = app_version
        self._engine = engine
        self._transport = transport
        self._kinds = tasks
        self._cancelled_error = cancelled_error
        self._engine_error = engine_error
        self._orphan_grace_s = orphan_grace_s
        self._hang_grace_s = hang_grace_s
        self._lanes = lanes
        self._forget = forget
        self._kept = kept
        self._on_hang = on_hang
        self._sense = sense
        self._vitals = Vitals()
        self._addons = addons
        self._looker = looker
        self._boot = secrets.token_hex(8)
        self._lock = threading.Condition()
        self._tasks: collections.OrderedDict[tuple[str, int], Task] = collections.OrderedDict()
        self._unstored: collections.deque[tuple[Task, End, list[OutFile]]] = collections.deque()
        self._ended: collections.deque[tuple[str, int]] = collections.deque(maxlen=ENDED_KEPT)
        self._facts: tuple[m.ModelFact, ...] = ()
        self._vram_free_mb: int | None = None
        self._heartbeat_s = 2.0
        self._welcomed = threading.Event()
        self._look_now = threading.Event()
        self._draining = False
        self._ending = False
        self._drawing_is_over = False
        self._prepare: str | None = None

    def run(self) -> None:
        """Until the bot closes the connection; then what is being drawn is finished into the outbox, within bounds."""
        self._look_at_models()
        gpu, results = self._start(self._gpu_forever, "gpu"), self._start(self._store_forever, "results")
        self._start(self._beat_forever, "heartbeat")
        if self._sense is not None:
            self._start(self._sense_forever, "sensors")
        self._start(self._watch_models_forever, "models")
        self._hello()
        try:
            self._transport.run(self._on_command)
        except Exception:
            log.exception("the bot's commands cannot be read any more")
        with self._lock:
            self._ending = True
            self._drop_queued()
            self._lock.notify_all()
        deadline = time.monotonic() + (DRAIN_GRACE_S if self._draining else self._orphan_grace_s)
        gpu.join(max(0.0, deadline - time.monotonic()))
        results.join(max(0.0, deadline - time.monotonic()))

    def _start(self, work: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    # --- commands -----------------------------------------------------------------------------------------------------

    def _on_command(self, message: m.ToWorker) -> None:
        try:
            self._obey(message)
        except Exception:
            log.exception("command %s could not be obeyed", message.t)

    def _obey(self, message: m.ToWorker) -> None:
        match message:
            case m.Assign():
                self._accept(message)
            case m.Cancel():
                self._cancel(message)
            case m.Welcome():
                self._heartbeat_s = message.hb_s
                self._welcomed.set()
            case m.Prepare():
                with self._lock:
                    self._prepare = message.model
                    self._lock.notify_all()
            case m.Drain():
                self._drain()
            case m.Resync():
                self._hello()
            case m.Rescan():
                self._look_now.set()
            case m.Forget():
                self._forget_job(message.job)
            case m.Settled():
                pass  # the transport's outbox has dealt with it

    def _accept(self, assign: m.Assign) -> None:
        with self._lock:
            refused = "draining" if self._draining or self._ending else ""
            key = (assign.job, assign.attempt)
            # The same (job, attempt) again is a repeated message, not a second job.
            if not refused and key not in self._tasks and key not in self._ended:
                self._tasks[key] = Task(assign)
                self._lock.notify_all()
        self._transport.event(
            m.AssignReply(job=assign.job, attempt=assign.attempt, accepted=not refused, reason=refused)
        )

    def _cancel(self, cancel: m.Cancel) -> None:
        with self._lock:
            task = self._tasks.get((cancel.job, cancel.attempt))
            if task is None:
                return
            end: End = m.Cancelled(job=cancel.job, attempt=cancel.attempt)
            if cancel.reason == "pause":
                if not task.trains:
                    return
                task.paused.set()
                end = m.Paused(job=cancel.job, attempt=cancel.attempt, reason="asked")
            else:
                task.cancelled.set()
            if task.phase == "queued":
                self._end(task, end, [])

    def _forget_job(self, job: str) -> None:
        with self._lock:
            held = [task for task in self._tasks.values() if task.assign.job == job]
            for task in held:
                task.over = True
                task.cancelled.set()
        if not held:
            self._forget_training(job)

    def _reason_to_pause(self, task: Task) -> str:
        """Why the training is to stop at its next step, as in `Paused`; empty: it goes on."""
        with self._lock:
            if task.paused.is_set():
                return "asked"
            if self._draining:
                return "drained"
            if self._ending:
                return "orphaned"
            waits = any(other.phase == "queued" and not other.trains for other in self._tasks.values())
            return "others" if waits else ""

    def _drain(self) -> None:
        """The bot is stopping on purpose: let go of everything now. It will be drawn again from its seed; trainings
        pause."""
        with self._lock:
            self._draining = True
            self._drop_queued()
            for task in self._tasks.values():
                if not task.trains:
                    task.cancelled.set()

    def _drop_queued(self) -> None:
        for task in list(self._tasks.values()):
            if task.phase == "queued":
                del self._tasks[task.key]

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
                gpu=self._engine.device_name, vram_mb=self._engine.vram_mb, tasks=self._kinds, models=self._facts,
                loaded=self._engine.loaded, running=self._running(), addons=self._addons, lanes=self._lanes,
                safety=self._looker.name if self._looker is not None else None, kept=self._kept(),
            )
        )  # fmt: skip

    def _beat_forever(self) -> None:
        while not self._ending:
            # A welcome is answered at once, and its pace holds from then on.
            self._welcomed.wait(self._heartbeat_s)
            self._welcomed.clear()
            try:
                self._transport.event(
                    m.Heartbeat(
                        worker=self._name, boot=self._boot, running=self._running(), loaded=self._engine.loaded,
                        vram_free_mb=self._vram_free_mb, draining=self._draining,
                        temperature_c=self._vitals.temperature_c, utilisation_pct=self._vitals.utilisation_pct,
                        power_w=self._vitals.power_w,
                    )
                )  # fmt: skip
                self._check_for_hang()
            except Exception:
                log.exception("heartbeat failed; it goes on")

    def _sense_forever(self) -> None:
        """A driver that answers slowly, or never, delays nothing else."""
        assert self._sense is not None
        while not self._ending:
            try:
                self._vitals = self._sense()
            except Exception:
                log.exception("the card's sensors could not be read; they are left out")
                self._vitals = Vitals()
                return
            time.sleep(SENSE_EVERY_S)

    def _check_for_hang(self) -> None:
        now = time.monotonic()
        with self._lock:
            hung = [t for t in self._tasks.values() if t.deadline is not None and now > t.deadline + self._hang_grace_s]
        if hung:
            log.critical("job %s hangs in phase %s; this worker ends itself", hung[0].assign.job, hung[0].phase)
            self._on_hang()

    def _watch_models_forever(self) -> None:
        took_s = 0.0
        while not self._ending:
            self._look_now.wait(max(MODELS_EVERY_S, took_s * MODELS_SHARE))
            self._look_now.clear()
            started = time.monotonic()
            changed = self._look_at_models()
            took_s = time.monotonic() - started
            if changed:
                # Somebody put a model into the folder or took one away: the bot's lists follow without a restart.
                self._hello()

    def _look_at_models(self) -> bool:
        """True where the list has changed."""
        try:
            facts, self._vram_free_mb = self._engine.facts(), self._engine.vram_free_mb()
        except Exception:
            log.exception("the model folder could not be read; the list stays as it was")
            return False
        changed, self._facts = facts != self._facts, facts
        return changed

    # --- the GPU thread -----------------------------------------------------------------------------------------------

    def _gpu_forever(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._ending or self._prepare or self._next() is not None)
                task, prepare = self._next(), self._prepare
                self._prepare = None
                if task is None and self._ending:
                    self._drawing_is_over = True
                    self._lock.notify_all()
                    return
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
        if len(self._unstored) >= UNSTORED_LIMIT:
            return None
        queued = [task for task in self._tasks.values() if task.phase == "queued"]
        return min(queued, key=lambda task: task.trains, default=None)

    def _run_task(self, task: Task) -> None:
        job, attempt = task.key
        started = time.monotonic()
        task.deadline = started + task.assign.max_run_s
        hooks = JobHooks(task, self._transport, self._looker, lambda: self._reason_to_pause(task))
        # Before the first risk: a job that kills this process at once must be known to have started.
        hooks.progress("starting", 0, 0, None)
        self._transport.flush(ANNOUNCE_S)
        files: list[OutFile] = []
        try:
            drawn = self._engine.draw(task.assign.spec, hooks)
            missing = tuple(item for item in drawn if isinstance(item, m.Missing))
            files = [out_file(item) for item in drawn if not isinstance(item, m.Missing)]
            end: End = m.Done(
                job=job, attempt=attempt, outputs=(), load_s=hooks.load_s, run_s=time.monotonic() - started,
                missing=missing,
            )  # fmt: skip
            for cell in missing:
                log.warning("job %s, cell %s: %s %s", job, cell.index, cell.kind, cell.detail)
        except JobPaused as paused:
            log.info("job %s: %s", job, paused)
            end = m.Paused(
                job=job, attempt=attempt, step=paused.step, of=paused.of, run_s=time.monotonic() - started,
                reason=paused.reason,
            )  # fmt: skip
        except BaseException as error:  # whatever it is, the GPU thread goes on
            files = []
            end = self._failure(task, error)
        with self._lock:
            if self._draining and isinstance(end, m.Cancelled):
                del self._tasks[task.key]  # the bot knows, and nobody asked for this cancel
            else:
                self._end(task, end, files)

    def _failure(self, task: Task, error: BaseException) -> m.Failed | m.Cancelled:
        job, attempt = task.key
        if isinstance(error, self._cancelled_error):
            return m.Cancelled(job=job, attempt=attempt)
        if isinstance(error, TimeUp):
            # What got further goes on later, after whoever has waited meanwhile; what did not would not then, either.
            return m.Failed(
                job=job, attempt=attempt, kind="timeout", retryable=task.kept > 0,
                message=f"{'no progress for' if task.trains else 'over'} {task.assign.max_run_s} s",
            )  # fmt: skip
        if isinstance(error, InputLostError):
            return m.Failed(job=job, attempt=attempt, kind="other", retryable=True, message=f"input {error} is gone")
        if isinstance(error, self._engine_error):
            try:
                failed = m.Failed(
                    job=job, attempt=attempt, kind=getattr(error, "kind", "other"),
                    retryable=bool(getattr(error, "retryable", False)), message=str(error)[:2000],
                    detail=dict(getattr(error, "detail", {})),
                )  # fmt: skip
            except ValueError:
                log.exception("the engine names a failure that the protocol does not know")
            else:
                log.warning("job %s: %s", job, error)
                return failed
        log.error("job %s failed by a bug", job, exc_info=error)
        return m.Failed(job=job, attempt=attempt, kind="other", message=repr(error)[:2000])

    # --- the results thread -------------------------------------------------------------------------------------------

    def _end(self, task: Task, end: End, files: list[OutFile]) -> None:
        """Gives the end of a task to the results thread; the lock is held."""
        task.phase = "storing"
        task.deadline = None
        self._unstored.append((task, end, files))
        self._lock.notify_all()

    def _store_forever(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._unstored or self._drawing_is_over)
                if not self._unstored:
                    return
                task, end, files = self._unstored[0]
            try:
                self._transport.finish(end, [self._looked_at(file) for file in files])
            except Exception as error:
                log.exception("the end of job %s cannot be told", end.job)
                self._transport.finish(m.Failed(job=end.job, attempt=end.attempt, kind="other", message=repr(error)))
            with self._lock:
                self._unstored.popleft()
                self._ended.append(task.key)
                self._tasks.pop(task.key, None)
                over = task.over or isinstance(end, m.Done)
                self._lock.notify_all()
            # Only now: as long as the task was held, a `forget` has left this to us.
            if task.trains and over:
                self._forget_training(end.job)

    def _forget_training(self, job: str) -> None:
        """Its end is stored: nothing will go on from what is left."""
        try:
            self._forget(job)
        except Exception:
            log.exception("what is left of training %s is not removed", job)

    def _looked_at(self, file: OutFile) -> OutFile:
        """Here, while the next job is drawn already."""
        if self._looker is None or not isinstance(file.data, bytes) or not file.output.mime.startswith("image/"):
            return file
        output = file.output.model_copy(update={"safety": self._looker.look(file.data)})
        return replace(file, output=output)
