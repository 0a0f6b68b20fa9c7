"""Brings every ended job to its user exactly once, however often the bot dies in between.

done → delivering → delivered. A row found in `delivering` at a start is posted again: an edit changes nothing, and a
send repeats its nonce, to which Discord answers with the message it already has.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import discord

from bot.delivery.captioned import captioned_card
from bot.delivery.cards import cancelled_card, failed_card, made_card
from bot.delivery.finished import FinishedCards
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES
from bot.delivery.looked import described_card
from bot.delivery.ping import Pinger
from bot.delivery.post import Card, Posted, Poster, TooLargeError, Way
from bot.delivery.progress import CardEditor
from bot.delivery.veils import Veils
from bot.domain.captions.merging import Outcome
from bot.domain.described import seen
from bot.domain.ids import JobId
from bot.domain.job import Action, Job, JobStatus
from bot.i18n import texts_for
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.scripts import Scripts
from gpu_worker.protocol.results import Description
from gpu_worker.protocol.specs import Caption, Describe

__all__ = ["Deliverer"]

log = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 3
RETRY_S = (2.0, 10.0, 60.0, 300.0)
"""The last one again and again: Discord may be away for hours."""
ANSWER_WAIT_S = 6.0
"""How long a result waits for the first answer to its interaction, which the same moment may be under way."""


class Deliverer:
    def __init__(
        self,
        *,
        client: discord.Client,
        jobs: Jobs,
        images: Images,
        poster: Poster,
        editor: CardEditor,
        pinger: Pinger | None = None,
        veils: Veils | None = None,
        scripts: Scripts | None = None,
    ) -> None:
        self._client = client
        self._cards = FinishedCards(jobs, images, veils, scripts)
        self._pinger = pinger
        self.follow: Callable[[JobId], Awaitable[None]] | None = None
        """What comes after a job on model files; called again where the bot died meanwhile."""
        self.training_card: Callable[[Job], Awaitable[Card]] | None = None
        """Of a training that is over."""
        self.sampled: Callable[[JobId], None] | None = None
        """Told of a training whose epoch has drawn its samples, or could not."""
        self.delivered: Callable[[JobId], None] | None = None
        """Told of each job whose user has just been shown how it ended."""
        self.write_captions: Callable[[Job], Awaitable[Outcome]] | None = None
        """Takes what a tagger wrote into its data set, once; called again where the bot died meanwhile."""
        self._jobs = jobs
        self._images = images
        self._poster = poster
        self._editor = editor
        self._queue: asyncio.Queue[tuple[JobId, int]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: dict[JobId, asyncio.Event] = {}
        self._under_way: dict[JobId, asyncio.Event] = {}
        self._limits: dict[JobId, int] = {}
        self._interrupted: set[JobId] = set()
        """An earlier life of the bot ended while it posted these."""

    async def start(self) -> None:
        """Begins with what an earlier life of the bot did not deliver."""
        for number in range(AT_ONCE):
            self._spawn(self._work(), f"deliver-{number}")
        for job in await self._jobs.untold():
            if job.status is JobStatus.DELIVERING:
                self._interrupted.add(job.id)
            self.ended(job.id)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ended(self, job_id: JobId) -> None:
        self._queue.put_nowait((job_id, 0))

    def answering(self, job_id: JobId, limit_bytes: int | None) -> None:
        """The first answer is under way: a quick result waits for its message instead of overtaking it."""
        self._answering[job_id] = asyncio.Event()
        if limit_bytes is not None:
            self._limits[job_id] = limit_bytes

    def answered(self, job_id: JobId) -> None:
        event = self._answering.pop(job_id, None)
        if event is not None:
            event.set()

    async def answers_over(self) -> None:
        """Waits, within bounds, until every answer that is under way now has arrived and its message is stored."""
        pending = [asyncio.create_task(event.wait(), name="answer-over") for event in self._answering.values()]
        if not pending:
            return
        _, hanging = await asyncio.wait(pending, timeout=ANSWER_WAIT_S)
        for task in hanging:
            task.cancel()

    # --- work ---------------------------------------------------------------------------------------------------------

    def _spawn(self, coroutine: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        while True:
            job_id, tries = await self._queue.get()
            try:
                await self._deliver(job_id)
            except Exception as error:
                if isinstance(error, discord.HTTPException) and error.status == 400:
                    log.exception("Discord does not take the card of job %s, so it is not delivered", job_id)
                    continue
                delay_s = RETRY_S[min(tries, len(RETRY_S) - 1)]
                log.exception("job %s could not be delivered yet; it is tried again in %g s", job_id, delay_s)
                self._spawn(self._later(job_id, tries + 1, delay_s), f"deliver-later-{job_id}")

    async def _later(self, job_id: JobId, tries: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self._queue.put_nowait((job_id, tries))

    async def over(self, job_id: JobId) -> None:
        """Waits, within bounds, until a delivery that is under way has been written down."""
        event = self._under_way.get(job_id)
        if event is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), ANSWER_WAIT_S)

    async def _deliver(self, job_id: JobId) -> None:
        """Raises whatever may be better at the next try."""
        event = self._under_way.setdefault(job_id, asyncio.Event())
        try:
            await self._deliver_once(job_id)
        finally:
            self._under_way.pop(job_id, None)
            event.set()

    async def _deliver_once(self, job_id: JobId) -> None:
        event = self._answering.get(job_id)
        if event is not None:
            try:
                await asyncio.wait_for(event.wait(), ANSWER_WAIT_S)
            except TimeoutError:
                log.warning("job %s: its first answer hangs; the result goes its own way", job_id)
        await self._editor.close(job_id)
        job = await self._jobs.get(job_id)
        if job is None:
            return
        match job.status:
            case _ if job.action is Action.SAMPLE:
                await self._end_samples(job)
            case JobStatus.DONE | JobStatus.DELIVERING:
                await self._deliver_result(job)
            case JobStatus.FAILED | JobStatus.CANCELLED if job.told_at is None and job.script_id is None:
                await self._deliver_end(job)
            case _:
                pass
        self._limits.pop(job_id, None)
        self._interrupted.discard(job_id)

    async def _deliver_end(self, job: Job) -> None:
        failed = job.status is JobStatus.FAILED
        if job.training is not None and self.training_card is not None:
            card = await self.training_card(job)
        else:
            card = Card(failed_card(job) if failed else cancelled_card(job))
        # Whoever cancels knows it: where the card is gone, nobody needs a new one.
        posted = await self._poster.post(job, card, only_edit=not failed)
        if posted is not None:
            await self._jobs.set_message(job.id, posted.message_id)
            if failed:
                await self._ping(job, posted, failed=True)
        await self._jobs.told(job.id)
        self._tell_delivered(job)

    async def _end_samples(self, job: Job) -> None:
        """They have no card: that of their training shows them."""
        if job.status in (JobStatus.DONE, JobStatus.DELIVERING):
            await self._jobs.transition(
                job.id, (JobStatus.DONE, JobStatus.DELIVERING), JobStatus.DELIVERED, told_at=time.time()
            )
        elif job.status.terminal and job.told_at is None:
            await self._jobs.told(job.id)
        if self.sampled is not None and job.parent_id is not None:
            self.sampled(job.parent_id)

    async def _deliver_result(self, job: Job) -> None:
        if job.status is JobStatus.DONE and not await self._jobs.transition(
            job.id, (JobStatus.DONE,), JobStatus.DELIVERING
        ):
            return  # another task has it
        if job.files is not None:
            await self._deliver_made(job)
            return
        if job.training is not None and self.training_card is not None:
            await self._deliver_trained(job, self.training_card)
            return
        if isinstance(job.task, Describe):
            await self._deliver_described(job)
            return
        if isinstance(job.task, Caption):
            await self._deliver_captioned(job)
            return
        if all(image.deleted for image in await self._images.of_job(job.id)):
            # Its author deleted it in the very moment it was finished.
            await self._settle(job)
            return
        # A cancel that came too late still means that no new message is wanted.
        posted = await self._cards.fitting(
            job,
            self.limit_bytes(job),
            lambda card: self._poster.post(
                job, card, only_edit=job.cancel_by is not None, look_first=job.id in self._interrupted
            ),
        )
        if posted is not None:
            if posted.way is Way.DIRECT:
                log.info("job %s went by direct message", job.id)
            await self._settle(job, message_id=posted.message_id)
            await self._ping(job, posted)
        elif job.cancel_by is not None:
            await self._settle(job)
        elif job.private:
            # The channel is no way for it: it waits in its user's history.
            log.info("job %s is private, and no way to its user alone is open", job.id)
            await self._settle(job)
            await self._jobs.set_stranded(job.id, stranded=True)
        else:
            log.error("job %s: every way to its user is closed; it is tried again at the next start", job.id)
            await self._jobs.set_stranded(job.id, stranded=True)

    async def show(self, job: Job, limit_bytes: int, send: Callable[[Card], Awaitable[T]]) -> T:
        """A finished job's card once more, by `send`; see `FinishedCards.fitting`."""
        return await self._cards.fitting(job, limit_bytes, send)

    async def _ping(self, job: Job, posted: Posted, *, failed: bool = False) -> None:
        if self._pinger is not None and job.cancel_by is None:
            await self._pinger.ping(job, posted, failed=failed)

    async def _deliver_made(self, job: Job) -> None:
        """A model file stays in the library; its card says so, and its picture is asked for."""
        texts = texts_for(job.locale)
        direct = made_card(job, notes=[texts("card.dm_because")]) if job.guild_id is not None else None
        posted = await self._poster.post(
            job,
            Card(made_card(job), direct_view=direct),
            only_edit=job.cancel_by is not None,
            look_first=job.id in self._interrupted,
        )
        if posted is None and job.cancel_by is None:
            log.error("job %s: every way to its user is closed; it is tried again at the next start", job.id)
            return
        if posted is not None:
            await self._jobs.set_message(job.id, posted.message_id)
        if self.follow is not None:
            await self.follow(job.id)
        await self._settle(job)

    async def _deliver_described(self, job: Job) -> None:
        found = await asyncio.to_thread(seen, job.description or Description())
        posted = await self._poster.post(
            job,
            Card(described_card(job, found)),
            only_edit=job.cancel_by is not None,
            look_first=job.id in self._interrupted,
        )
        if posted is not None:
            await self._settle(job, message_id=posted.message_id)
        elif job.cancel_by is not None:
            await self._settle(job)
        else:
            log.error("job %s: every way to its user is closed; it is tried again at the next start", job.id)

    async def _deliver_captioned(self, job: Job) -> None:
        """The captions are written whether or not their card can be told: the editor shows them."""
        outcome = await self.write_captions(job) if self.write_captions is not None else Outcome()
        posted = await self._poster.post(
            job,
            Card(captioned_card(job, outcome)),
            only_edit=job.cancel_by is not None,
            look_first=job.id in self._interrupted,
        )
        await self._settle(job, **({"message_id": posted.message_id} if posted is not None else {}))

    async def _deliver_trained(self, job: Job, made: Callable[[Job], Awaitable[Card]]) -> None:
        posted = await self._poster.post(
            job, await made(job), only_edit=job.cancel_by is not None, look_first=job.id in self._interrupted
        )
        if posted is not None:
            await self._settle(job, message_id=posted.message_id)
            await self._ping(job, posted)
        elif job.cancel_by is not None or job.private:
            # Its files are kept, and /train show shows it.
            await self._settle(job)
        else:
            log.error("job %s: every way to its user is closed; it is tried again at the next start", job.id)
            await self._jobs.set_stranded(job.id, stranded=True)

    def refresh(self, job_id: JobId) -> None:
        """A training that is over has drawn further samples: its card is to show them. A running one's is the
        editor's."""
        self._spawn(self._refreshed(job_id), f"training-card-{job_id}")

    async def _refreshed(self, job_id: JobId) -> None:
        job = await self._jobs.get(job_id)
        if job is None or job.training is None or not job.status.terminal or job.told_at is None:
            return
        if self.training_card is None or job.message_id is None:
            return
        try:
            await self._poster.post(job, await self.training_card(job), only_edit=True)
        except (discord.HTTPException, aiohttp.ClientError, TooLargeError, OSError) as error:
            log.info("the samples of training %s could not be put on its card: %s", job_id, error)

    async def _settle(self, job: Job, **columns: int) -> None:
        await self._jobs.transition(
            job.id, (JobStatus.DELIVERING,), JobStatus.DELIVERED, told_at=time.time(), stranded_at=None, **columns
        )
        self._tell_delivered(job)

    def _tell_delivered(self, job: Job) -> None:
        if self.delivered is not None:
            self.delivered(job.id)

    def limit_bytes(self, job: Job) -> int:
        """The smaller of what the interaction and the guild allow: the way may change while we post."""
        guild = self._client.get_guild(job.guild_id) if job.guild_id is not None else None
        known = [limit for limit in (self._limits.get(job.id), guild.filesize_limit if guild else None) if limit]
        return min(known, default=DEFAULT_LIMIT_BYTES)
