"""The embedded transport: child processes, frames over their pipes, pictures and durable messages as files.

The outbox of a worker holds `<job>.<attempt>.fin` (the msgpack of its `done`, `failed` or `cancelled`) beside the
pictures. A worker writes it before it sends the frame and deletes it when the bot says `settled`, so a result survives
the death of either side; whatever lies there at a start is delivered first.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.dispatch.child import Child, ChildCommand
from bot.dispatch.transport import OnGone, OnMessage, WorkerGone
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import unpack
from gpu_worker.protocol.outbox import OUTBOX_SUFFIX, fin_name
from gpu_worker.protocol.specs import ImageRef

__all__ = ["PipeTransport", "StartFailure"]

log = logging.getLogger(__name__)

ASSIGN_TIMEOUT_S = 5.0
STABLE_S = 60.0
"""A worker that lived this long starts again at once; a younger one waits, longer each time."""
BACKOFF_S = (0.2, 1.0, 3.0, 10.0, 30.0)
STOP_GRACE_S = 8.0
REDELIVER_S = 2.0
INPUT_KEPT_S = 24 * 3600.0

StartFailure = Callable[[str, str], None]
"""Called with a worker's name and its last words when it ends before it ever said hello."""


class PipeTransport:
    def __init__(
        self,
        *,
        command: ChildCommand,
        names: tuple[str, ...],
        outbox_dir: Path,
        on_start_failure: StartFailure | None = None,
    ) -> None:
        self._command = command
        self._names = names
        self._outbox = outbox_dir
        self._inputs = outbox_dir / "inputs"
        self._on_start_failure = on_start_failure
        self._children: dict[str, Child] = {}
        self._replies: dict[tuple[str, str, int], asyncio.Future[bool]] = {}
        self._delivering: set[Path] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def connected(self) -> bool:
        """A pipe cannot be cut off from its own child."""
        return True

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None:
        self._on_message = on_message
        self._on_gone = on_gone
        await asyncio.to_thread(self._prepare_folders)
        for name in self._names:
            await self._deliver_outbox(name)
            self._tasks.append(asyncio.create_task(self._keep_running(name), name=f"worker-{name}"))
        self._tasks.append(asyncio.create_task(self._redeliver_forever(), name="outbox"))

    async def stop(self) -> None:
        self._stopping = True
        for child in self._children.values():
            await child.send(m.Drain())
        await asyncio.gather(*(child.close(STOP_GRACE_S) for child in self._children.values()), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def pids(self) -> dict[str, int]:
        """For tests and the operator's view."""
        return {name: child.pid for name, child in self._children.items()}

    # --- BotTransport -------------------------------------------------------------------------------------------------

    async def assign(self, worker: str, message: m.Assign) -> bool | None:
        child = self._children.get(worker)
        if child is None:
            return False
        key = (worker, message.job, message.attempt)
        reply = self._replies[key] = asyncio.get_running_loop().create_future()
        try:
            if not await child.send(message):
                return False
            return await asyncio.wait_for(reply, ASSIGN_TIMEOUT_S)
        except TimeoutError:
            return None
        finally:
            del self._replies[key]

    async def send(self, worker: str, message: m.ToWorker) -> None:
        child = self._children.get(worker)
        if child is not None:
            await child.send(message)

    async def fetch(self, done: m.Done, output: m.Output) -> Path:
        # A name from another process: only its last part counts, so it cannot point outside the outbox.
        return self._box(done.worker) / Path(output.blob).name

    async def settled(self, message: m.Settled) -> None:
        await asyncio.to_thread(self._remove_entry, message.worker, message.job, message.attempt)

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        digest = await asyncio.to_thread(self._write_input, data)
        return ImageRef(ref=digest, sha256=digest, mime=mime, size_bytes=len(data))

    # --- children -----------------------------------------------------------------------------------------------------

    async def _keep_running(self, name: str) -> None:
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            spoke = await self._run_once(name)
            if self._stopping:
                return
            failures = 0 if time.monotonic() - started > STABLE_S else failures + 1
            if not spoke and self._on_start_failure is not None:
                self._on_start_failure(name, self._last_words)
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])

    async def _run_once(self, name: str) -> bool:
        """One life of a worker. True where it said hello."""
        self._last_words = ""
        spoke = False
        try:
            child = await Child.spawn(self._command, name)
        except OSError as error:
            self._last_words = str(error)
            return False
        self._children[name] = child
        try:
            async for raw in child.frames():
                message = self._parse(raw, name)
                if isinstance(message, m.Hello) and not spoke:
                    spoke = True
                    # What the earlier life left counts before this one's word about what it runs.
                    await self._deliver_outbox(name)
                if message is not None:
                    await self._take_in(message)
            code = await child.wait()
        except asyncio.CancelledError:
            child.kill()
            raise
        finally:
            self._children.pop(name, None)
        self._last_words = child.last_words()
        for key, reply in self._replies.items():
            if key[0] == name and not reply.done():
                reply.set_result(False)
        await self._deliver_outbox(name)
        if not self._stopping:
            await self._on_gone(WorkerGone(name, f"its process ended with {code}: {self._last_words}"))
        return spoke

    def _parse(self, raw: dict[str, Any], name: str) -> m.ToBot | None:
        try:
            return m.parse_to_bot({**raw, "worker": name})
        except ValidationError:
            log.warning("worker %s sent a message of unknown kind %r, ignored", name, raw.get("t"))
            return None

    async def _take_in(self, message: m.ToBot) -> None:
        if isinstance(message, m.AssignReply):
            reply = self._replies.get((message.worker, message.job, message.attempt))
            if reply is not None and not reply.done():
                reply.set_result(message.accepted)
        elif isinstance(message, m.Done | m.Failed | m.Cancelled):
            await self._deliver(self._box(message.worker) / fin_name(message.job, message.attempt), message)
        else:
            try:
                await self._on_message(message)
            except Exception:
                log.exception("message %s of worker %s could not be handled", message.t, message.worker)

    # --- outbox -------------------------------------------------------------------------------------------------------

    def _box(self, name: str) -> Path:
        return self._outbox / name

    def _prepare_folders(self) -> None:
        self._inputs.mkdir(parents=True, exist_ok=True)
        for name in self._names:
            self._box(name).mkdir(exist_ok=True)
        for old in self._inputs.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > INPUT_KEPT_S:
                    old.unlink()

    async def _deliver_outbox(self, name: str) -> None:
        for path in await asyncio.to_thread(lambda: sorted(self._box(name).glob(f"*{OUTBOX_SUFFIX}"))):
            message = await asyncio.to_thread(self._read_entry, path, name)
            if isinstance(message, m.Done | m.Failed | m.Cancelled):
                await self._deliver(path, message)

    async def _deliver(self, path: Path, message: m.Done | m.Failed | m.Cancelled) -> None:
        if path in self._delivering:
            return
        self._delivering.add(path)
        try:
            await self._on_message(message)
        except Exception:
            # A full disk, most likely. The entry stays and is tried again; nothing is lost.
            log.exception("the end of job %s could not be stored yet; it is tried again", message.job)
        finally:
            self._delivering.discard(path)

    async def _redeliver_forever(self) -> None:
        while True:
            await asyncio.sleep(REDELIVER_S)
            for name in self._names:
                await self._deliver_outbox(name)

    def _read_entry(self, path: Path, name: str) -> m.ToBot | None:
        try:
            return self._parse(unpack(path.read_bytes()), name)
        except FileNotFoundError:
            return None
        except Exception:
            log.exception("outbox entry %s is unreadable; it is set aside", path.name)
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".bad"))
            return None

    def _remove_entry(self, worker: str, job: str, attempt: int) -> None:
        box = self._box(worker)
        (box / fin_name(job, attempt)).unlink(missing_ok=True)
        for leftover in box.glob(f"{Path(job).name}.{attempt}.*"):
            leftover.unlink(missing_ok=True)

    def _write_input(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        target = self._inputs / digest
        if target.exists():
            target.touch()
        else:
            part = target.with_suffix(".part")
            part.write_bytes(data)
            part.replace(target)
        return digest
