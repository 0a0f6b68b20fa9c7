"""The embedded transport: child processes, frames over their pipes, pictures and durable messages as files.

The outbox of a worker holds `<job>.<attempt>.fin` (the msgpack of its `done`, `failed` or `cancelled`) beside the
pictures, and `<job>.<attempt>.k<n>.kept` (that of a `partial`) beside the part. A worker writes it before it sends the
frame and the bot deletes it when its table holds the end, so a result survives the death of either side; whatever lies
there at a start is delivered first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.dispatch.deliveries import Deliveries, Durable
from bot.dispatch.on_disk import OnDisk
from bot.dispatch.outbox import Inputs, Outbox
from bot.dispatch.transport import OnGone, OnMessage, WorkerGone
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.child import Child, ChildCommand

__all__ = ["PipeTimes", "PipeTransport", "StartFailure"]

log = logging.getLogger(__name__)

StartFailure = Callable[[str, str], None]
"""Called with a worker's name and its last words when it ends before it ever said hello."""


@dataclass(frozen=True, slots=True)
class PipeTimes:
    """All in seconds."""

    assign_timeout_s: float = 5.0
    stable_s: float = 60.0
    """A worker that lived this long starts again at once; a younger one waits, longer each time."""
    backoff_s: tuple[float, ...] = (0.2, 1.0, 3.0, 10.0, 30.0)
    silence_s: float = 180.0
    """A worker that says nothing for this long after its hello is hung as a whole: it is killed and started again."""
    start_s: float = 600.0
    """Until its hello: it may wait for its predecessor's last picture, and load a large library from a slow disk."""
    stop_grace_s: float = 8.0
    redeliver_s: float = 2.0


class PipeTransport(OnDisk):
    def __init__(
        self,
        *,
        command: ChildCommand,
        names: tuple[str, ...],
        outbox_dir: Path,
        on_start_failure: StartFailure | None = None,
        times: PipeTimes | None = None,
        special: Mapping[str, ChildCommand] | None = None,
    ) -> None:
        """`special`: further workers, which are started otherwise."""
        self._commands = {**dict.fromkeys(names, command), **(special or {})}
        self._names = tuple(self._commands)
        self._outbox = Outbox(outbox_dir)
        self._inputs = Inputs(outbox_dir)
        self._on_start_failure = on_start_failure
        self._times = times or PipeTimes()
        self._children: dict[str, Child] = {}
        self._replies: dict[tuple[str, str, int], asyncio.Future[bool]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._redeliverer: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def connected(self) -> bool:
        """A pipe cannot be cut off from its own child."""
        return True

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None:
        """Raises OSError where the outbox folder cannot be made."""
        self._on_message = on_message
        self._deliveries = Deliveries(self._outbox, on_message)
        self._on_gone = on_gone
        await asyncio.to_thread(self._outbox.prepare, self._names)
        await asyncio.to_thread(self._inputs.prepare)
        await self._deliveries.deliver_box()
        for name in self._names:
            self._keepers.append(asyncio.create_task(self._keep_running(name), name=f"worker-{name}"))
        self._redeliverer = asyncio.create_task(self._redeliver_forever(), name="outbox")

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.gather(*(self._close(child) for child in list(self._children.values())), return_exceptions=True)
        # A last result may be on its way in; it is not lost, but why wait for the next start.
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=1.0)
        tasks = [*self._keepers, *([self._redeliverer] if self._redeliverer else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
            if await child.send(message) is False:
                return False
            async with asyncio.timeout(self._times.assign_timeout_s):
                return await reply
        except TimeoutError:
            return None
        finally:
            del self._replies[key]

    async def send(self, worker: str, message: m.ToWorker) -> None:
        child = self._children.get(worker)
        if child is not None:
            await child.send(message)

    # --- children -----------------------------------------------------------------------------------------------------

    async def _keep_running(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping:
            started = loop.time()
            try:
                await self._run_once(name)
            except Exception:
                log.exception("keeping worker %s failed; it is started again", name)
            failures = 0 if loop.time() - started > self._times.stable_s else failures + 1
            if not self._stopping:
                await asyncio.sleep(self._times.backoff_s[min(failures, len(self._times.backoff_s) - 1)])

    async def _run_once(self, name: str) -> None:
        """One life of a worker."""
        try:
            child = await Child.spawn(self._commands[name], name)
        except OSError as error:
            log.error("worker %s cannot be started: %s", name, error)
            self._tell_start_failure(name, str(error))
            return
        self._children[name] = child
        try:
            if self._stopping:
                child.kill()
            child.silence_s = self._times.start_s
            async with contextlib.aclosing(child.frames()) as frames:
                async for raw in frames:
                    message = self._parse(raw, name)
                    if isinstance(message, m.Hello) and not child.spoke:
                        child.spoke = True
                        child.silence_s = self._times.silence_s
                        # What the earlier life left counts before this one's word about what it runs.
                        await self._deliveries.deliver_box(name)
                    if message is not None:
                        await self._take_in(message)
            code = await child.wait()
        except BaseException:
            child.kill()
            await asyncio.shield(child.wait())
            raise
        finally:
            self._children.pop(name, None)
            self._refuse_open_assigns(name)
        await self._deliveries.deliver_box(name)
        words = await child.last_words()
        if not self._stopping:
            await self._on_gone(WorkerGone(name, f"its process ended with {code}: {words}"))
            if not child.spoke:
                self._tell_start_failure(name, words)

    async def _close(self, child: Child) -> None:
        if not child.spoke:
            child.kill()  # it holds nothing yet, and reads no pipe before it has loaded its libraries
        with contextlib.suppress(OSError):
            await child.send(m.Drain())
        await child.close(self._times.stop_grace_s)

    def _tell_start_failure(self, name: str, words: str) -> None:
        if self._on_start_failure is not None:
            self._on_start_failure(name, words)

    def _refuse_open_assigns(self, name: str) -> None:
        for key, reply in self._replies.items():
            if key[0] == name and not reply.done():
                reply.set_result(False)

    def _parse(self, raw: dict[str, Any], name: str) -> m.ToBot | None:
        try:
            return m.parse_to_bot({**raw, "worker": name})
        except ValidationError:
            log.warning("worker %s sent a message of unknown or malformed kind %.40r, ignored", name, raw.get("t"))
            return None

    async def _take_in(self, message: m.ToBot) -> None:
        if isinstance(message, m.AssignReply):
            reply = self._replies.get((message.worker, message.job, message.attempt))
            if reply is not None and not reply.done():
                if not message.accepted:
                    log.warning("worker %s refused job %s: %s", message.worker, message.job, message.reason)
                reply.set_result(message.accepted)
        elif isinstance(message, Durable):
            await self._deliveries.deliver(message)
        else:
            try:
                await self._on_message(message)
            except Exception:
                log.exception("message %s of worker %s could not be handled", message.t, message.worker)

    async def _redeliver_forever(self) -> None:
        while True:
            await asyncio.sleep(self._times.redeliver_s)
            try:
                await self._deliveries.deliver_box()
                await asyncio.to_thread(self._inputs.clear_old)
            except Exception:
                log.exception("looking through the outbox failed; it goes on")
