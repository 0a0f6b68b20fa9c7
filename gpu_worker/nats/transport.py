"""The worker's end over NATS: a loop of its own beside the server's threads, and an outbox on its own disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path

from nats.aio.msg import Msg

from gpu_worker.events import PendingEvents
from gpu_worker.nats.uploads import RESEND_S, Uploads
from gpu_worker.outbox import End, OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FrameError, pack, unpack
from gpu_worker.protocol.nats.link import Link, LinkDownError, LinkTimes, NobodyThereError
from gpu_worker.protocol.nats.mail import HERE, InputWanted, Landed
from gpu_worker.protocol.nats.pieces import Joiner, pieces
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES, Subjects, inbox_of
from gpu_worker.protocol.outbox import fin_name, kept_name
from gpu_worker.protocol.specs import ImageRef, Wire
from gpu_worker.transport import RETRY_S, refusal

__all__ = ["NatsWorkerTransport", "WorkerTimes"]

log = logging.getLogger(__name__)

INPUT_BYTES_MAX = 2**30
INPUTS_AT_ONCE = 4
REPLIES_KEPT = 64


@dataclass(frozen=True, slots=True)
class WorkerTimes:
    """All in seconds."""

    retry_s: float = RETRY_S
    resend_s: float = RESEND_S
    input_s: float = 120.0
    """How long an input may take to come, across a broken link too; then its job is told that it is gone."""
    close_s: float = 3.0


class NatsWorkerTransport:
    """`finish` returns once the broker has the result, and needs no live bot; nothing is dropped from the outbox before
    the bot has it."""

    def __init__(
        self,
        url: str,
        name: str,
        outbox: Path,
        *,
        subjects: Subjects | None = None,
        times: WorkerTimes | None = None,
        link_times: LinkTimes | None = None,
    ) -> None:
        """Starts its thread, which connects in the background for as long as it takes."""
        self._name = name
        self._subjects = subjects or Subjects()
        self._times = times or WorkerTimes()
        self._outbox = WorkerOutbox(outbox)
        self._commands: queue.SimpleQueue[m.ToWorker | None] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._events = PendingEvents(self._wake_up)
        self._replies: dict[tuple[str, int], str] = {}
        """Where the bot awaits the answer to an assignment."""
        self._joiner = Joiner()
        self._link = Link(url, name=f"worker {name}", inbox=inbox_of(name), times=link_times)
        self._uploads = Uploads(
            self._link, self._subjects, name, self._outbox,
            retry_s=self._times.retry_s, resend_s=self._times.resend_s,
        )  # fmt: skip
        self._speaking = False
        self._thread = threading.Thread(target=self._loop_forever, name="nats", daemon=True)
        self._thread.start()

    # --- WorkerTransport, called by the server's threads --------------------------------------------------------------

    def run(self, on_command: Callable[[m.ToWorker], None]) -> None:
        """Until `stop`: a bot that is away comes back."""
        while (message := self._commands.get()) is not None:
            on_command(message)

    def event(self, message: Wire) -> None:
        self._events.put(message)

    def flush(self, timeout_s: float) -> None:
        self._events.flush(timeout_s)

    def finish(self, message: End, files: Sequence[OutFile] = ()) -> None:
        while True:
            try:
                self._outbox.store(message, files)
                break
            except OSError as error:
                log.warning("result of job %s cannot be written yet: %s", message.job, error)
                time.sleep(self._times.retry_s)
        self._events.drop_progress(message.job)
        entry = fin_name(message.job, message.attempt)
        try:
            asyncio.run_coroutine_threadsafe(self._carried(entry), self._loop).result()
        except CancelledError:
            # This worker ends. It is in the outbox, and nobody may write another end over it.
            raise SystemExit from None

    def keep(self, message: m.Partial, file: OutFile | None = None) -> None:
        self._outbox.keep(message, file)
        self._loop.call_soon_threadsafe(self._uploads.add, kept_name(message.job, message.attempt, message.n))

    def open_input(self, ref: ImageRef) -> bytes:
        try:
            return asyncio.run_coroutine_threadsafe(self._fetch(ref), self._loop).result()
        except CancelledError:
            raise OSError("this worker ends") from None

    def place(self, job: str, attempt: int, suffix: str) -> Path:
        return self._outbox.place(job, attempt, suffix)

    def stop(self) -> None:
        """`run` returns; what is still drawn may be finished. From any thread, or a signal's handler."""
        self._commands.put(None)

    def close(self) -> None:
        """Bounded. What is in the outbox is delivered at the next start."""
        if not self._loop.is_running():
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(self._times.close_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self._times.close_s)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _wake_up(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is told any more
            self._loop.call_soon_threadsafe(self._wake.set)

    def _loop_forever(self) -> None:
        asyncio.set_event_loop(self._loop)
        talk = self._loop.create_task(self._talk(), name="talk")
        talk.add_done_callback(_tell_end)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    async def _talk(self) -> None:
        self._link.open()
        await self._link.wait_up()
        # What an earlier life left counts before this one's word about what it runs.
        for entry in await asyncio.to_thread(self._outbox.entries):
            self._uploads.add(entry)
        await self._link.subscribe(self._subjects.commands(self._name), self._on_data)
        await self._uploads.stored_all()
        self._speaking = True
        self._link.on_up(self._wake.set)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._link.connected and (batch := self._events.take()):
                try:
                    await self._say(batch)
                except LinkDownError as error:
                    log.debug("not said: %s", error)  # newer words follow

    async def _say(self, batch: list[Wire]) -> None:
        for message in batch:
            try:
                if isinstance(message, m.AssignReply):
                    await self._reply(message)
                else:
                    await self._link.say(self._subjects.events(self._name), message)
            except (ValueError, TypeError):
                log.exception("a message cannot be sent and is left out")
        await self._link.flush()

    async def _reply(self, reply: m.AssignReply) -> None:
        subject = self._replies.pop((reply.job, reply.attempt), None)
        if subject is not None:
            for piece in pieces(pack(reply), 0):
                await self._link.send(subject, piece)

    async def _on_data(self, data: Msg) -> None:
        body = self._joiner.add(data.data)
        if body is None:
            return
        try:
            raw = unpack(body)
        except FrameError:
            log.warning("what is no message came from the bot, ignored")
            return
        if raw.get("t") == "landed":
            with contextlib.suppress(ValueError):
                self._uploads.landed(Landed.model_validate(raw))
            return
        if not self._speaking:
            return  # meant for the life before this one
        self._note_reply(raw, data.reply)
        try:
            self._commands.put(m.parse_to_worker(raw))
        except ValueError:
            log.warning("command %.40r is unknown or malformed, ignored", raw.get("t"))
            if (reply := refusal(raw)) is not None:
                self._events.put(reply)

    def _note_reply(self, raw: dict[str, object], subject: str) -> None:
        job, attempt = raw.get("job"), raw.get("attempt")
        if subject and isinstance(job, str) and isinstance(attempt, int):
            self._replies[job, attempt] = subject
            while len(self._replies) > REPLIES_KEPT:
                self._replies.pop(next(iter(self._replies)))

    async def _carried(self, entry: str) -> None:
        self._uploads.add(entry)
        await self._uploads.stored(entry)

    # --- inputs -------------------------------------------------------------------------------------------------------

    async def _fetch(self, ref: ImageRef) -> bytes:
        """Raises OSError where it is gone, or does not come."""
        if ref.size_bytes > INPUT_BYTES_MAX:
            raise OSError(f"input of {ref.size_bytes} bytes")
        window = asyncio.Semaphore(INPUTS_AT_ONCE)

        async def chunk(offset: int) -> bytes:
            async with window:
                return await self._fetch_chunk(ref, offset)

        try:
            async with asyncio.timeout(self._times.input_s):
                found = await asyncio.gather(*(chunk(n) for n in range(0, ref.size_bytes, CHUNK_BYTES)))
        except ValueError as error:
            raise OSError(str(error)) from error
        return b"".join(found)

    async def _fetch_chunk(self, ref: ImageRef, offset: int) -> bytes:
        subject = self._subjects.inputs(self._name)
        wanted = pack(InputWanted(ref=ref.ref, offset=offset))
        while True:
            try:
                answer = (await self._link.request(subject, wanted)).data
            except (LinkDownError, NobodyThereError) as error:
                log.debug("input %s: %s", ref.ref, error)
                await asyncio.sleep(self._times.retry_s)
                continue
            if answer[:1] != HERE:
                raise FileNotFoundError(ref.ref)
            return answer[1:]

    async def _shut(self) -> None:
        self._uploads.cancel()
        await self._link.close(self._times.close_s / 2)


def _tell_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("this worker can say nothing any more", exc_info=error)
