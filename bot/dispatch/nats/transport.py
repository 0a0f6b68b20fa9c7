"""Workers on other machines, through a NATS broker that both sides dial.

An entry of a worker's outbox goes its way in three steps, each durable before the one behind it lets go: the worker's
disk, the broker's streams, a folder of ours. From there on it is what an embedded worker's outbox holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nats.aio.msg import Msg
from pydantic import ValidationError

from bot.dispatch.deliveries import Deliveries
from bot.dispatch.entitled import Entitled
from bot.dispatch.nats.ear import Ear
from bot.dispatch.nats.landing import Landing
from bot.dispatch.nats.peers import Peer
from bot.dispatch.nats.serving import Serving
from bot.dispatch.nats.streams import Streams
from bot.dispatch.on_disk import OnDisk
from bot.dispatch.outbox import Inputs, Outbox
from bot.dispatch.transport import OnGone, OnMessage
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FrameError, unpack
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.link import Link, LinkDownError, LinkTimes
from gpu_worker.protocol.nats.pieces import Joiner
from gpu_worker.protocol.nats.subjects import Subjects, is_worker_name
from gpu_worker.protocol.outbox import PART_SUFFIX

__all__ = ["NatsTimes", "NatsTransport"]

log = logging.getLogger(__name__)

INPUTS_AT_ONCE = 8
BOT_INBOX = "_INBOX.bot"
"""No machine has it, whatever its name: theirs begin with `_INBOX_`."""


@dataclass(frozen=True, slots=True)
class NatsTimes:
    """All in seconds."""

    assign_timeout_s: float = 5.0
    first_connect_s: float = 5.0
    """A start waits this long for the broker; it goes on without it, and connects later."""
    first_mail_s: float = 20.0
    """And this long for what lies in the mailbox."""
    redeliver_s: float = 2.0
    look_round_s: float = 10.0
    """Mail is announced; this often it is looked for all the same."""
    retry_s: float = 2.0


class NatsTransport(OnDisk):
    def __init__(
        self,
        access: Access | str,
        *,
        root: Path,
        subjects: Subjects | None = None,
        inputs: Inputs | None = None,
        reserved: Callable[[str], bool] = lambda name: False,
        times: NatsTimes | None = None,
        link_times: LinkTimes | None = None,
    ) -> None:
        """`root`: where results of remote workers land; `inputs`: where pictures to start from lie, by default there,
        too; `reserved`: whether a name is one of this machine's workers, which nobody may take, nor cards of it."""
        self._reserved_machine = reserved
        self._subjects = subjects or Subjects()
        self._times = times or NatsTimes()
        self._link = Link(access, name="bot", inbox=BOT_INBOX, times=link_times)
        self._streams = Streams(self._link, self._subjects)
        self._outbox = Outbox(root, keeps_damaged=False)
        self._inputs = inputs or Inputs(root)
        self.root = root
        self._landing = Landing(self._link, self._subjects, self._streams, root)
        self._peers: dict[str, Peer] = {}
        self._ears: dict[str, Ear] = {}
        """By machine."""
        self._tasks: list[asyncio.Task[None]] = []
        self._serving = Serving(self._link, self._subjects, self._inputs, self._reserved)
        self._look = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._link.connected

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None:
        """Raises OSError where the folder cannot be made; a broker that is not there is waited for in the background.

        Nobody is ever reported gone: a silent worker's lease runs out, and a restarted one says so in its hello.
        """
        self._on_message = on_message
        self._deliveries = Deliveries(self._outbox, on_message)
        await asyncio.to_thread(_prepare, self.root)
        await asyncio.to_thread(self._inputs.prepare)
        await self._deliveries.deliver_box()
        self._link.open()
        self._link.on_up(self._look.set)
        if await self._link.wait_up(self._times.first_connect_s):
            with contextlib.suppress(LinkDownError, TimeoutError):
                async with asyncio.timeout(self._times.first_mail_s):
                    await self._look_round()
        else:
            log.warning("the broker is not there yet; remote workers join as soon as it is")
        await self._link.subscribe(self._subjects.every("ev"), self._on_event)
        await self._link.subscribe(f"{self._subjects.prefix}.fin.>", self._on_bell)
        await self._link.subscribe(self._subjects.every("get"), self._serving.on_wanted)
        self._look.set()
        self._tasks = [
            asyncio.create_task(self._look_round_forever(), name="mailbox"),
            asyncio.create_task(self._redeliver_forever(), name="landed"),
        ]

    async def stop(self) -> None:
        """Workers go on with what they have; it waits in the mailbox for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._serving.stop(), return_exceptions=True)
        await asyncio.gather(*(peer.stop() for peer in self._peers.values()))
        await self._link.close()

    def serve(self, entitled: Entitled) -> None:
        """Machines fetch what it grants them; before that nobody is answered."""
        self._serving.open(entitled)

    # --- BotTransport -------------------------------------------------------------------------------------------------

    async def assign(self, worker: str, message: m.Assign) -> bool | None:
        """None also where nobody listens: the worker may be back in a moment, and would not be offered it again."""
        try:
            answer = await self._link.ask(self._subjects.commands(worker), message, self._times.assign_timeout_s)
            reply = m.parse_to_bot({**unpack(Joiner().add(answer) or b""), "worker": worker})
        except LinkDownError as error:
            log.info("job %s was not heard of by worker %s: %s", message.job, worker, error)
            return None
        except (FrameError, ValidationError):
            log.warning("worker %s answered with what is no message", worker)
            return None
        if not isinstance(reply, m.AssignReply) or (reply.job, reply.attempt) != (message.job, message.attempt):
            return None
        if not reply.accepted:
            log.warning("worker %s refused job %s: %s", worker, message.job, reply.reason)
        return reply.accepted

    async def send(self, worker: str, message: m.ToWorker) -> None:
        with contextlib.suppress(LinkDownError, ValueError):
            await self._link.say(self._subjects.commands(worker), message)

    # --- what comes ---------------------------------------------------------------------------------------------------

    def _reserved(self, worker: str) -> bool:
        return self._reserved_machine(worker.partition(".")[0])

    def _peer(self, worker: str) -> Peer | None:
        if not is_worker_name(worker) or self._reserved(worker):
            return None
        if worker not in self._peers:
            ear = self._ears.setdefault(worker.partition(".")[0], Ear())
            self._peers[worker] = Peer(
                worker, ear=ear, on_message=self._on_message, collect=self._collect,
                landing=lambda: self._landing.under_way.get(worker), retry_s=self._times.retry_s,
            )  # fmt: skip
        return self._peers[worker]

    async def _on_event(self, data: Msg) -> None:
        peer = self._peer(self._subjects.worker_of(data.subject))
        if peer is not None:
            peer.hear(data.data)

    async def _on_bell(self, data: Msg) -> None:
        peer = self._peer(self._subjects.worker_of(data.subject))
        if peer is not None:
            peer.ring()

    async def _collect(self, worker: str) -> None:
        landed, over = asyncio.Event(), False

        async def deliver() -> None:
            while not over:
                await landed.wait()
                landed.clear()
                await self._deliveries.deliver_box(worker)

        delivering = asyncio.create_task(deliver(), name=f"deliver-{worker}")
        try:
            await self._landing.collect(worker, landed.set)
        finally:
            over = True
            landed.set()
            await delivering

    async def _look_round(self) -> None:
        """Raises LinkDownError."""
        await self._streams.prepare()
        for worker in await self._streams.senders():
            if is_worker_name(worker) and not self._reserved(worker):
                with contextlib.suppress(OSError):
                    await self._collect(worker)

    async def _look_round_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.look_round_s):
                    await self._look.wait()
            try:
                if self._look.is_set():  # a connection that is new: perhaps to a broker without our streams
                    await self._streams.prepare()
                    self._look.clear()
                if stuck := await self._streams.stuck():
                    await self._renew(stuck)
                for worker in await self._streams.senders():
                    if (peer := self._peer(worker)) is not None:
                        peer.ring()
            except LinkDownError as error:
                log.debug("the mailbox cannot be looked into now: %s", error)
                await asyncio.sleep(self._times.retry_s)
            except Exception:
                log.exception("looking into the mailbox failed; it goes on")
                await asyncio.sleep(self._times.retry_s)

    async def _renew(self, stuck: list[str]) -> None:
        """After whatever can be read has been taken out: its worker may be gone for good."""
        log.warning("the broker could not write, and takes nothing any more: look at the room on its disk. "
                    "What it holds is taken over, and %s made anew", ", ".join(stuck))  # fmt: skip
        for worker in await self._streams.senders():
            if is_worker_name(worker) and not self._reserved(worker):
                with contextlib.suppress(OSError):
                    await self._collect(worker)
        self._look.set()  # where only half of it succeeds
        await self._streams.renew(stuck)

    async def _redeliver_forever(self) -> None:
        while True:
            await asyncio.sleep(self._times.redeliver_s)
            try:
                await self._deliveries.deliver_box()
                await asyncio.to_thread(self._inputs.clear_old)
            except Exception:
                log.exception("looking through what has landed failed; it goes on")


def _prepare(root: Path) -> None:
    """What was on its way when an earlier bot died is still in the mailbox."""
    root.mkdir(parents=True, exist_ok=True)
    for part in root.glob(f"*/*{PART_SUFFIX}"):
        part.unlink(missing_ok=True)
