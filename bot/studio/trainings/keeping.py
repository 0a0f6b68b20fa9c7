"""How long the files of trainings stay, how much room they may take, and how they go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import aiohttp
import discord

from bot.domain.amounts import size_text
from bot.domain.ids import JobId, UserId
from bot.domain.mentions import neutral
from bot.domain.stewards import GB
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.jobs import Jobs
from bot.storage.training_results import TrainingResults
from bot.storage.trainings import Training, Trainings
from bot.studio.unpublished import Unpublished

__all__ = ["ANNOUNCED_DAYS", "Keeping"]

log = logging.getLogger(__name__)

DAY_S = 24 * 3600.0
ANNOUNCED_DAYS = 3
"""Before they go, their user is told: time to publish one, or to take it home."""
NAME_CHARS = 80


class Keeping:
    def __init__(
        self,
        *,
        client: discord.Client,
        trainings: Trainings,
        results: TrainingResults,
        jobs: Jobs,
        unpublished: Unpublished,
        keep_days: int,
        user_gb: float,
        all_gb: float | None,
        files_changed: Callable[[], None],
        card_changed: Callable[[JobId], None],
    ) -> None:
        """`files_changed` has workers look; `card_changed` has the card of a training drawn anew."""
        self._client = client
        self._trainings = trainings
        self._results = results
        self._jobs = jobs
        self._unpublished = unpublished
        self._days = keep_days
        self._user_bytes = int(user_gb * GB)
        self._all_bytes = None if all_gb is None else int(all_gb * GB)
        self._files_changed = files_changed
        self._card_changed = card_changed
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def saved(self, job_id: JobId, _name: str) -> None:
        """A training has saved a file: from now on it can be drawn with."""
        self._spawn(self._unpublished.look(job_id), f"training-saved-{job_id}")

    async def settled(self) -> None:
        """Until what `saved` began is over."""
        await asyncio.gather(*self._tasks)

    def _spawn(self, coroutine: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- room ---------------------------------------------------------------------------------------------------------

    async def require_room(self, user_id: UserId) -> None:
        """Before a training begins. Raises UserFacingError: `trained_room`, `trained_room_all`."""
        mine = await self._results.bytes_of(user_id)
        if mine >= self._user_bytes:
            raise UserFacingError("trained_room", size=size_text(mine), limit=size_text(self._user_bytes))
        if self._all_bytes is not None and await self._results.total_bytes() >= self._all_bytes:
            raise UserFacingError("trained_room_all", limit=size_text(self._all_bytes))

    # --- gone ---------------------------------------------------------------------------------------------------------

    async def delete_files(self, job_id: JobId) -> None:
        """The training's row, curve and samples stay; so does what was published. Raises UserFacingError
        (`trained_running`)."""
        training = await self._trainings.get(job_id)
        if training is None:
            return
        if training.status.waiting:
            raise UserFacingError("trained_running")
        for file in await self._trainings.files(job_id):
            await self._trainings.remove_file(job_id, file.name)
        await self._gone(job_id)

    async def changed(self, job_id: JobId) -> None:
        """What its card says has changed."""
        self._card_changed(job_id)

    async def forget(self, user_id: UserId) -> None:
        """Everything of this person's trainings; what is published is a model as others are, and stays. Called before
        their rows go, and again harmless."""
        for job_id in await self._results.all_of(user_id):
            await self._trainings.remove(job_id)
            await self._unpublished.look(job_id)
        self._files_changed()

    async def _gone(self, job_id: JobId) -> None:
        await self._unpublished.look(job_id)
        self._files_changed()
        self._card_changed(job_id)

    # --- time ---------------------------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Tells of what goes in three days, and takes what is due. Nothing goes untold: whoever was away for a week has
        their three days all the same."""
        announced_s = max(0, self._days - ANNOUNCED_DAYS) * DAY_S
        for job_id in await self._results.to_announce(announced_s):
            await self._announce(job_id)
        for job_id in await self._results.due(self._days * DAY_S, ANNOUNCED_DAYS * DAY_S):
            log.info("the files of training %s go: they are older than %s days", job_id, self._days)
            await self.delete_files(job_id)

    async def _announce(self, job_id: JobId) -> None:
        training, job = await self._trainings.get(job_id), await self._jobs.get(job_id)
        if training is None or job is None:
            return
        texts = texts_for(job.locale)
        text = texts("trained.going", name=neutral(training.name, NAME_CHARS), days=ANNOUNCED_DAYS)
        try:
            user = await self._client.fetch_user(training.user_id)
            await user.send(text)
        except (aiohttp.ClientError, OSError) as error:
            log.info("that training %s goes could not be told (%s); that is tried again", job_id, error)
            return
        except discord.HTTPException as error:
            if error.status >= 500:  # Discord's own trouble passes
                return
            log.info("that training %s goes could not be told (%s); its card says it", job_id, error)
        await self._results.announced(job_id)  # afterwards: told twice is better than not at all
        self._card_changed(job_id)

    async def goes_at(self, training: Training) -> float | None:
        """Unix seconds; None where it stays, or has no files."""
        if training.status.waiting:
            return None
        files = await self._trainings.files(training.job_id)
        return max(file.arrived_at for file in files) + max(self._days, ANNOUNCED_DAYS) * DAY_S if files else None
