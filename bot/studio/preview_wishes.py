"""Which previews a job asks its worker for: none where nobody wants to see them, else what its place allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import discord

from bot.delivery.ping import where_of_job
from bot.domain.job import Job
from bot.domain.preferences import PREVIEWS
from bot.storage.preferences import Preferences
from gpu_worker.protocol.messages import PreviewWish

__all__ = ["PreviewWishes"]


class PreviewWishes:
    """`shown` is the operator's word for everybody, `allowed` what may be seen where the job's card is."""

    def __init__(
        self,
        *,
        client: discord.Client,
        preferences: Preferences,
        allowed: Callable[[Job], Awaitable[PreviewWish]],
        shown: bool,
    ) -> None:
        self._client = client
        self._preferences = preferences
        self._allowed = allowed
        self._shown = shown

    def wanted(self, job: Job) -> bool:
        return self._shown and self._preferences.get(where_of_job(job, self._client), PREVIEWS)

    async def wish(self, job: Job) -> PreviewWish:
        return await self._allowed(job) if self.wanted(job) else PreviewWish(hz=0.0)
