"""One card of this machine as the bot knows it: a worker that is there, whatever becomes of the process that draws.

The bot's jobs are held here from the yes until their end is in the outbox. What they need is brought first; then the
child hears of them. A child that dies takes with it what it had begun (told as a crash at once) and nothing else: the
next one gets the rest. Heartbeats are made here, of what the child last said, so that they go on while it cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpu_worker.agent.held import Held, HeldJobs
from gpu_worker.agent.lives import Lives
from gpu_worker.agent.post import Post
from gpu_worker.agent.stock import Stock, StockError
from gpu_worker.agent.times import AgentTimes
from gpu_worker.outbox import End
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.link import Link
from gpu_worker.protocol.nats.subjects import Subjects, machine_and_card, parse_entry
from gpu_worker.protocol.outbox import fin_name, kept_name

__all__ = ["Card"]

log = logging.getLogger(__name__)

STARTS_MAX = 2
"""Lives in a row that ended before their hello: then nobody's job waits any longer for the next."""
FORGOTTEN_MAX = 256


class Card:
    def __init__(
        self,
        worker: str,
        *,
        boot: str,
        link: Link,
        subjects: Subjects,
        box: Path,
        command: ChildCommand,
        stock: Stock,
        on_new_models: Callable[[], Awaitable[None]],
        times: AgentTimes,
    ) -> None:
        """`boot`: this agent's, which tells its life from an earlier one's. `on_new_models`: every child of the machine
        has to look at its folders again."""
        self.worker = worker
        self._boot = boot
        self._stock = stock
        self._on_new_models = on_new_models
        self._times = times
        self._post = Post(link, subjects, worker, box, self._on_command, times)
        self._lives = Lives(worker, command, times=times, on_frame=self._on_frame, on_end=self._on_end)
        self._held = HeldJobs()
        self._hello: m.Hello | None = None
        """What a child last said of itself; None before the first."""
        self._beat: m.Heartbeat | None = None
        """What the child that lives last said."""
        self._heartbeat_s = times.heartbeat_s
        self._beat_now = asyncio.Event()
        self._bad_starts = 0
        self._down_since: float | None = None
        """On the loop's clock; None while a child is up, and before the first was."""
        self._forgets: dict[str, m.Forget] = {}
        """For the next child."""
        self._reload: str | None = None
        """The checkpoint that the last child had in memory: the next one reads it while it has nothing to do."""
        self._reloading: str | None = None
        """What was asked for so, and is not there yet: a child that dies of it is not asked again."""
        self._preparing: asyncio.Task[None] | None = None
        self._second = False
        """The bot serves another machine under this name."""
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._spawned: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """Of its child."""
        return self._lives.pid

    @property
    def idle(self) -> bool:
        return not any(self._held)

    async def start(self) -> None:
        await self._post.open()
        self._tasks = [
            asyncio.create_task(self._lives.run(), name=f"child-{self.worker}"),
            asyncio.create_task(self._beat_forever(), name=f"beat-{self.worker}"),
        ]

    async def drain(self) -> None:
        """Nothing new; what has not begun goes back to the bot, what has is finished; results reach the broker. Each
        within its time."""
        self._stopping = True
        self._beat_now.set()
        waiting = [held for held in self._held if not held.began]
        # Before its pipe is closed, upon which the child hears nothing more.
        await asyncio.gather(*(self._lives.send(_unasked(held)) for held in waiting if held.given))
        giving_back = [asyncio.create_task(self._give_back(held)) for held in waiting if not held.given]
        await self._lives.close(self._times.grace_s)
        try:
            async with asyncio.timeout(self._times.close_s):
                await asyncio.gather(self._tasks[0], *giving_back, *self._spawned)
                await self._post.close()
        except TimeoutError:
            log.warning("%s: results that have not reached the broker lie here, and go at the next start", self.worker)
        await self.end()

    async def end(self) -> None:
        """At once."""
        self._stopping = True
        self._lives.kill()
        bringing = [held.bringing for held in self._held if held.bringing is not None]
        tasks = [*self._tasks, *bringing, *self._spawned, *([self._preparing] if self._preparing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._post.cancel()

    async def rescan(self) -> None:
        await self._lives.send(m.Rescan())

    # --- the bot's commands -------------------------------------------------------------------------------------------

    async def _on_command(self, message: m.ToWorker) -> m.AssignReply | None:
        if self._hello is None:
            return None  # it was meant for the life before this one
        match message:
            case m.Assign():
                return None if self._second else self._accept(message)
            case m.Cancel():
                await self._cancel(message)
            case m.Welcome():
                self._note_whom_it_is_for(message)
                self._heartbeat_s = message.hb_s
                if not self._second:
                    self._beat_now.set()
                await self._lives.send(message)
            case m.Prepare():
                self._prepare(message)
            case m.Resync():
                await self._say_hello()
            case m.Rescan():
                await self.rescan()
            case m.Forget():
                await self._forget(message)
            case m.Drain() | m.Settled():
                pass  # those are for the children of a bot
        return None

    def _note_whom_it_is_for(self, welcome: m.Welcome) -> None:
        second = welcome.boot not in ("", self._boot)
        if second and not self._second:
            log.error("another machine has joined as %s with the same invite and is served; this one is not until that "
                      "one is gone. Ask for an invite of its own: /workers add", self.worker)  # fmt: skip
        elif self._second and not second:
            log.info("%s is served again", self.worker)
        self._second = second

    def _accept(self, assign: m.Assign) -> m.AssignReply:
        refused = "draining" if self._stopping else ""
        if not refused and not self._held.knows((assign.job, assign.attempt)):
            held = self._held.add(assign)
            held.bringing = asyncio.create_task(self._bring(held), name=f"bring-{assign.job}")
        return m.AssignReply(job=assign.job, attempt=assign.attempt, accepted=not refused, reason=refused)

    async def _cancel(self, cancel: m.Cancel) -> None:
        held = self._held.get(cancel.job, cancel.attempt)
        if held is None or (cancel.reason == "pause" and not held.trains):
            return
        if held.given:
            await self._lives.send(cancel)
        elif self._is_over(held):
            end: End = m.Cancelled(job=cancel.job, attempt=cancel.attempt)
            if cancel.reason == "pause":
                end = m.Paused(job=cancel.job, attempt=cancel.attempt, reason="asked")
            # Not waited for: on a full disk the receipts that make room come behind this command.
            self._spawn(self._store_end(held, end))

    async def _forget(self, forget: m.Forget) -> None:
        for held in self._held.of_job(forget.job):
            if not held.given:
                self._drop(held)
        if not await self._lives.send(forget):
            self._forgets[forget.job] = forget
            while len(self._forgets) > FORGOTTEN_MAX:
                self._forgets.pop(next(iter(self._forgets)))

    def _prepare(self, prepare: m.Prepare) -> None:
        if self._preparing is not None:
            self._preparing.cancel()  # a newer wish
        self._preparing = asyncio.create_task(self._bring_prepared(prepare), name=f"prepare-{self.worker}")

    # --- what jobs need -----------------------------------------------------------------------------------------------

    async def _bring(self, held: Held) -> None:
        job, attempt = held.key

        def tell(done: int, of: int) -> None:
            held.at("fetching", done, of)
            held.told += 1
            self._post.say(
                m.Progress(
                    worker=self.worker, job=job, attempt=attempt, n=held.told, phase="fetching", step=done, of=of
                )
            )  # fmt: skip

        try:
            if await self._stock.ready(held.assign, tell):
                await self._on_new_models()
        except StockError as error:
            log.warning("job %s: %s", job, error)
            self._beat_now.set()  # it may rest now, which the bot has to hear before the job waits again
            failed = m.Failed(
                job=job, attempt=attempt, kind=error.kind, retryable=error.retryable, message=str(error)[:2000],
                detail=error.detail,
            )  # fmt: skip
            await self._finish(held, failed)
            return
        except Exception as error:
            log.exception("what job %s needs cannot be brought", job)
            failed = m.Failed(job=job, attempt=attempt, kind="other", retryable=True, message=repr(error)[:2000])
            await self._finish(held, failed)
            return
        held.ready = True
        held.at("queued")
        await self._hand_over(held)

    async def _bring_prepared(self, prepare: m.Prepare) -> None:
        try:
            if await self._stock.ready(prepare, lambda done, of: None):
                await self._on_new_models()
        except StockError as error:
            log.info("model %s is not prepared: %s", prepare.model, error)
        except Exception:
            log.exception("model %s cannot be prepared; the job that needs it will say why", prepare.model)
        else:
            await self._lives.send(prepare)

    async def _hand_over(self, held: Held) -> None:
        """To the child; where none is up, the next one gets it at its hello."""
        if held.ready and not held.given and not held.over and not self._stopping:
            held.given = True
            if not await self._lives.send(held.assign):
                held.taken_back()

    # --- what a child says --------------------------------------------------------------------------------------------

    async def _on_frame(self, raw: dict[str, Any]) -> None:
        try:
            message = m.parse_to_bot({**raw, "worker": self.worker})
        except ValidationError:
            log.warning("%s: its process sent what is no message (%.40r), ignored", self.worker, raw.get("t"))
            return
        match message:
            case m.Hello():
                await self._on_hello(message)
            case m.Heartbeat():
                self._beat = message
                if message.loaded is not None:
                    self._reloading = None
                for held in self._held.see(message):
                    log.warning("job %s: the process that had it lost it without a word", held.assign.job)
                    self._drop(held)
            case m.AssignReply():
                await self._on_answer(message)
            case m.Progress():
                held = self._held.get(message.job, message.attempt)
                if held is not None and held.given:
                    self._held.hear(held, message.phase, message.step, message.of)
                    self._post.say(message.model_copy(update={"n": message.n + held.told}))
            case m.Partial():
                self._post.deliver(kept_name(message.job, message.attempt, message.n))
            case m.Done() | m.Failed() | m.Cancelled() | m.Paused():
                self._post.over(message.job)
                self._post.deliver(fin_name(message.job, message.attempt))
                self._release(message.job, message.attempt)

    async def _on_hello(self, hello: m.Hello) -> None:
        new_life = self._beat is None
        if new_life:
            self._bad_starts, self._down_since = 0, None
            self._beat = m.Heartbeat(worker=self.worker, boot=self._boot, loaded=hello.loaded)
            await self._lives.send(m.Welcome(hb_s=self._heartbeat_s))
            log.info("%s is ready on %s with %d models", self.worker, hello.gpu, len(hello.models))
            await self._post.deliver_all()
        if self._hello is None:
            # What an earlier life left counts before this one's first word; what takes longer is said to be held.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.mail_first_s):
                    await self._post.all_stored()
        self._hello = hello
        await self._say_hello()
        self._beat_now.set()
        if new_life:
            for forget in (self._forgets.pop(job) for job in list(self._forgets)):
                await self._lives.send(forget)
            for held in self._held:
                await self._hand_over(held)
            if self._reload is not None and self.idle and hello.loaded is None:
                self._reloading = self._reload
                await self._lives.send(m.Prepare(worker=self.worker, model=self._reload))

    async def _on_answer(self, reply: m.AssignReply) -> None:
        held = self._held.get(reply.job, reply.attempt)
        if held is None or not held.given:
            return
        if reply.accepted:
            held.sure = True
        elif reply.reason == "malformed":
            failed = m.Failed(job=reply.job, attempt=reply.attempt, kind="other", message="the child cannot read it")
            await self._finish(held, failed)
        else:
            held.taken_back()  # it ends just now

    async def _on_end(self, spoke: bool, how: str) -> None:
        """A child is gone, and all that it said is heard."""
        loaded = self._beat.loaded if self._beat is not None else None
        self._reload = loaded if self._reloading is None else None
        self._beat = None
        if self._down_since is None:
            self._down_since = asyncio.get_running_loop().time()
        self._beat_now.set()
        if self._stopping and spoke:
            log.info("%s: its process has ended", self.worker)
        else:
            log.error("%s: its process is gone (%s); another is started", self.worker, how)
        self._bad_starts = 0 if spoke else self._bad_starts + 1
        ended = {entry for entry in map(parse_entry, await self._post.deliver_all()) if entry is not None}
        ends = {(entry.job, entry.attempt) for entry in ended if entry.part is None}
        for held in self._held:
            if held.key in ends:
                self._release(*held.key)
            elif held.given and not held.began:
                held.taken_back()
        begun = self._held.begun()
        for held in begun[:-1]:
            await self._give_back(held)  # it was drawn, is lost, and is not to blame
        for held in begun[-1:]:
            await self._finish(held, self._crashed(held, how))
        if self._stopping or self._bad_starts >= STARTS_MAX:
            await asyncio.gather(*(self._give_back(held) for held in self._held))

    def _crashed(self, held: Held, how: str) -> End:
        job, attempt = held.key
        if self._stopping:
            return m.Cancelled(job=job, attempt=attempt)
        log.error("%s: job %s was being drawn, in the phase %s", self.worker, job, held.phase)
        return m.Failed(job=job, attempt=attempt, kind="crash", retryable=True, message=how[:2000])

    # --- ends ---------------------------------------------------------------------------------------------------------

    async def _finish(self, held: Held, end: End) -> None:
        """In the place of a child."""
        if self._is_over(held):
            await self._store_end(held, end)

    def _is_over(self, held: Held) -> bool:
        """Nothing else becomes of it from here on; False where another end came first."""
        if held.over:
            return False
        held.over = True
        held.given = held.sure = False
        held.at("storing")
        if held.bringing is not None and held.bringing is not asyncio.current_task():
            held.bringing.cancel()
        return True

    async def _store_end(self, held: Held, end: End) -> None:
        await self._post.end(end)
        self._release(*held.key)

    async def _give_back(self, held: Held) -> None:
        """A cancel that nobody asked for is nobody's fault: the bot lets another draw it."""
        await self._finish(held, m.Cancelled(job=held.assign.job, attempt=held.assign.attempt))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Without waiting: a full disk must not keep heartbeats back."""
        task = asyncio.create_task(work)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    def _drop(self, held: Held) -> None:
        """Without a word: the bot knows, or finds out by its lease."""
        if held.bringing is not None:
            held.bringing.cancel()
        self._release(*held.key)

    def _release(self, job: str, attempt: int) -> None:
        if self._held.end((job, attempt)) is not None:
            self._stock.release(job, attempt)

    # --- words to the bot ---------------------------------------------------------------------------------------------

    async def _say_hello(self) -> None:
        if self._hello is None:
            return
        beat, room_mb = self._beat, None
        with contextlib.suppress(OSError):  # a disk that cannot be asked is no reason to say nothing
            room_mb = await asyncio.to_thread(self._stock.room_mb)
        self._post.say(
            self._hello.model_copy(
                update={
                    "boot": self._boot, "name": self.worker, "running": self._running(),
                    "loaded": beat.loaded if beat is not None else None, "machine": machine_and_card(self.worker)[0],
                    "platform": platform.system(), "fetches": True,
                    "models": self._stock.with_hashes(self._hello.models),
                    "models_room_mb": room_mb,
                }
            )
        )  # fmt: skip

    def _running(self) -> tuple[m.Running, ...]:
        running = {(held.assign.job, held.assign.attempt): held.running for held in self._held}
        for entry in self._post.unstored():
            running.setdefault(
                (entry.job, entry.attempt), m.Running(job=entry.job, attempt=entry.attempt, phase="storing")
            )
        return tuple(running.values())

    async def _beat_forever(self) -> None:
        """Also in the place of a child that is gone, or does not get to it."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat_s):
                    await self._beat_now.wait()
            self._beat_now.clear()
            if self._hello is None:
                continue
            if self._down_since is not None and loop.time() - self._down_since > self._times.down_s:
                for held in self._held:
                    self._spawn(self._give_back(held))
            beat = self._beat or m.Heartbeat(boot=self._boot)
            draining = self._stopping or self._stock.rests or self._beat is None or beat.draining
            self._post.say(
                beat.model_copy(
                    update={
                        "worker": self.worker, "boot": self._boot, "running": self._running(), "draining": draining,
                    }
                )
            )  # fmt: skip


def _unasked(held: Held) -> m.Cancel:
    """The end of it that the child then tells gives it back to the bot."""
    return m.Cancel(job=held.assign.job, attempt=held.assign.attempt, reason="the worker ends")
