"""Turns progress and queue changes into throttled edits of the cards; a late one never overwrites a result."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import discord

from bot.delivery.cards import PREVIEW_NAME, SOON_S, progress_card
from bot.delivery.extras import waiting_card
from bot.delivery.machine import Machine, MachineState
from bot.delivery.post import Card, Poster, TooLargeError
from bot.delivery.progress_state import ProgressState
from bot.dispatch.dispatcher import Dispatcher, Standing
from bot.domain.ids import JobId, MessageId
from bot.domain.job import Job, JobStatus
from bot.storage.jobs import Jobs
from gpu_worker.protocol.messages import Progress

__all__ = ["CardEditor"]

log = logging.getLogger(__name__)

TICK_S = 0.2
RUNNING_EVERY_S = 1.1
"""Discord lets about five edits per five seconds through for one message."""
BY_BOT_EVERY_S = 5.0
"""Without the interaction's token: such edits count for the whole channel, and of old messages only a few are allowed,
one of which the result needs."""
QUEUED_EVERY_S = 4.0
SCRIPT_BY_BOT_EVERY_S = 60.0
TRAINING_EVERY_S, TRAINING_BY_BOT_EVERY_S, OLD_TRAINING_EVERY_S = 15.0, 30.0, 600.0
"""Of a training, which brings its curve and samples each time, and goes on for hours."""
OLD_AFTER_S = 50 * 60.0
"""Of messages older than an hour only a few edits are allowed, one of which the finished grid needs."""
LATE_EDIT_S = 5.0
"""How long a result waits for an edit under way."""
EDITS_AT_ONCE = 6
QUEUED_PER_TICK = 2
"""Cards that only wait, begun in one tick: the edits of a long queue would compete with the answers to new jobs."""


@dataclass
class _Watched:
    """A card that still changes."""

    state: ProgressState | None = None
    """None while it waits in the queue."""
    shown: object = None
    dirty: bool = False
    ready_at: float | None = None
    """What a queued card promises, on the monotonic clock: Discord goes on counting past it."""
    last_edit: float = 0.0
    by_token: bool = True
    """Edits by an interaction's token count against nothing but themselves."""
    is_script: bool = False
    is_training: bool = False
    is_old: bool = False
    urgent: bool = False
    """What has changed is not for later: a pause, or another epoch."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class CardEditor:
    def __init__(
        self, *, jobs: Jobs, poster: Poster, previews: bool = True, wants_previews: Callable[[Job], bool] | None = None
    ) -> None:
        """`previews` is the operator's word, `wants_previews` what holds for one job besides."""
        self._jobs = jobs
        self._poster = poster
        self._previews = previews
        self._wants_previews = wants_previews
        self._watched: dict[JobId, _Watched] = {}
        self.script_card: Callable[[Job, bool], Awaitable[tuple[object, Card] | None]] | None = None
        """What a script's card shows as it fills, and what of it could change; `True`: it is being cancelled. Set by
        whoever wires the parts."""
        self.training_card: Callable[[Job, ProgressState | None, bool], Awaitable[tuple[object, Card] | None]] | None
        self.training_card = None
        """The same for a training; None for its state where no worker has it."""
        self._task: asyncio.Task[None] | None = None
        self._machine_was: MachineState | None = None

    def start(self, dispatcher: Dispatcher, machine: Machine) -> None:
        self._dispatcher = dispatcher
        self._machine = machine
        self._task = asyncio.create_task(self._run(), name="card-editor")

    async def stop(self) -> None:
        tasks = [self._task, *(w.task for w in self._watched.values())]
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)

    # --- what changes -------------------------------------------------------------------------------------------------

    def watch(self, job_id: JobId) -> None:
        """From now on this card is kept up to date. Its message is known, or its token can find it."""
        self._watched.setdefault(job_id, _Watched(last_edit=time.monotonic()))

    def progressed(self, progress: Progress) -> None:
        watched = self._watched.get(JobId(progress.job))
        if watched is None:
            return
        state = watched.state or ProgressState()
        state.phase, state.step, state.of, state.eta_s = progress.phase, progress.step, progress.of, progress.eta_s
        if self._previews and progress.preview:
            state.preview = progress.preview
        state.training = progress.training or state.training
        watched.state = state
        watched.dirty = True

    def script_changed(self, job_id: JobId) -> None:
        """Another of its cells is there, or none will be."""
        watched = self._watched.get(job_id)
        if watched is not None:
            watched.dirty = True

    def training_changed(self, job_id: JobId) -> None:
        """It was paused, goes on, has saved an epoch or drawn samples."""
        watched = self._watched.get(job_id)
        if watched is not None:
            watched.dirty = watched.urgent = True

    def state_of(self, job_id: JobId) -> ProgressState | None:
        """None where nothing is known of it, or no worker has it."""
        watched = self._watched.get(job_id)
        return watched.state if watched is not None else None

    def queue_changed(self) -> None:
        for watched in self._watched.values():
            watched.dirty = True

    def cancelling(self, job_id: JobId) -> None:
        watched = self._watched.get(job_id)
        if watched is not None:
            watched.state = watched.state or ProgressState()
            watched.state.cancelling = True
            watched.dirty = True

    async def close(self, job_id: JobId) -> None:
        """No edit of this card starts any more, and none is under way: the result may be posted."""
        watched = self._watched.pop(job_id, None)
        if watched is None or watched.task is None:
            return
        await asyncio.wait([watched.task], timeout=LATE_EDIT_S)
        if not watched.task.done():
            # It waits for its turn in Discord's rate limit, behind which the result would wait, too.
            watched.task.cancel()
            await asyncio.wait([watched.task])

    # --- edits --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._tick()
            except Exception:
                log.exception("card editor stumbled; it goes on")

    async def _tick(self) -> None:
        now = time.monotonic()
        if self._machine.state is not self._machine_was:
            self._machine_was = self._machine.state
            self.queue_changed()
        busy = sum(1 for w in self._watched.values() if w.task is not None and not w.task.done())
        for watched in self._watched.values():
            if watched.ready_at is not None and now > watched.ready_at:
                watched.ready_at, watched.shown, watched.dirty = None, None, True
        due = [
            (job_id, watched)
            for job_id, watched in self._watched.items()
            if watched.dirty
            and (watched.task is None or watched.task.done())
            and now - watched.last_edit >= _pace_s(watched)
        ]
        due.sort(key=lambda item: item[1].last_edit)
        # Running cards first: somebody is watching them.
        running = [item for item in due if item[1].state is not None]
        queued = [item for item in due if item[1].state is None]
        for job_id, watched in [*running, *queued[:QUEUED_PER_TICK]][: max(0, EDITS_AT_ONCE - busy)]:
            watched.dirty = watched.urgent = False
            watched.last_edit = now
            watched.task = asyncio.create_task(self._edit(job_id, watched), name=f"edit-{job_id}")

    async def _edit(self, job_id: JobId, watched: _Watched) -> None:
        job = await self._jobs.get(job_id)
        if job is None or not job.status.waiting:
            return
        watched.by_token = self._poster.token_lives(job)
        if not watched.by_token and self._poster.only_by_token(job):
            return  # out of reach; the result goes another way
        if job.script is not None:
            await self._show(job, await self._filling(job, watched))
            return
        if job.training is not None:
            await self._show(job, await self._trained(job, watched))
            return
        # What a worker has only prefetched still waits, as far as its user can tell.
        queued = job.status is JobStatus.QUEUED or watched.state is None
        # A queue position is not worth an edit that counts against the channel's limit; a token edit does not.
        if queued and not watched.by_token:
            return
        await self._show(job, await (self._queued(job, watched) if queued else self._running(job, watched)))

    async def _show(self, job: Job, card: Card | None) -> None:
        """None where nothing on it has changed."""
        job_id = job.id
        watched = self._watched.get(job_id)
        if card is None or watched is None:
            return
        try:
            posted = await self._poster.post(job, card, only_edit=True)
        except (discord.HTTPException, aiohttp.ClientError, TooLargeError, OSError) as error:
            log.info("an edit of job %s's card was lost: %s", job_id, error)
            watched.shown = None
            return
        if posted is not None and job.message_id is None:
            await self._jobs.set_message(job_id, MessageId(posted.message_id))

    async def _filling(self, job: Job, watched: _Watched) -> Card | None:
        watched.is_script = True
        old = not watched.by_token and time.time() - job.created_at > OLD_AFTER_S
        if self.script_card is None or old:
            return None
        found = await self.script_card(job, job.cancel_by is not None)
        if found is None or found[0] == watched.shown:
            return None
        watched.shown = found[0]
        return found[1]

    async def _trained(self, job: Job, watched: _Watched) -> Card | None:
        watched.is_training = True
        watched.is_old = not watched.by_token and time.time() - job.created_at > OLD_AFTER_S
        if job.status is JobStatus.QUEUED:
            watched.state = None  # paused, or its worker died
        if self.training_card is None:
            return None
        cancelling = job.cancel_by is not None
        found = await self.training_card(job, watched.state, cancelling)
        if found is None or found[0] == watched.shown:
            return None
        watched.shown = found[0]
        return found[1]

    async def _queued(self, job: Job, watched: _Watched) -> Card | None:
        watched.state = None  # it may have been running before its worker died
        standing = (await self._dispatcher.standings()).get(job.id)
        machine = self._machine.state
        shown: object = (_rounded(standing), machine)
        if shown == watched.shown:
            return None
        watched.shown = shown
        eta_s = standing.eta_s if standing is not None else None
        watched.ready_at = time.monotonic() + eta_s if eta_s is not None and eta_s > SOON_S else None
        return Card(waiting_card(job, standing, machine, only_by_token=self._poster.only_by_token(job)))

    async def _running(self, job: Job, watched: _Watched) -> Card | None:
        state = watched.state or ProgressState()
        watched.ready_at = None
        preview = state.preview
        if preview is not None and self._wants_previews is not None and not self._wants_previews(job):
            preview = None
        shown: object = (state.phase, state.step, state.of, state.cancelling, preview)
        if shown == watched.shown:
            return None
        watched.shown = shown

        def files() -> list[discord.File]:
            return [] if preview is None else [discord.File(io.BytesIO(preview), PREVIEW_NAME)]

        return Card(progress_card(job, state, has_preview=preview is not None), files)


def _pace_s(watched: _Watched) -> float:
    if watched.is_training and watched.is_old:
        return OLD_TRAINING_EVERY_S
    if watched.is_training and not watched.urgent:
        return TRAINING_EVERY_S if watched.by_token else TRAINING_BY_BOT_EVERY_S
    if watched.is_script and not watched.by_token:
        return SCRIPT_BY_BOT_EVERY_S
    if watched.state is None:
        return QUEUED_EVERY_S
    return RUNNING_EVERY_S if watched.by_token else BY_BOT_EVERY_S


def _rounded(standing: Standing | None) -> object:
    """An ETA that wavers by a second or two is no news."""
    if standing is None:
        return None
    return (
        standing.position,
        standing.waiting,
        standing.loading,
        None if standing.eta_s is None else round(standing.eta_s / 10),
    )
