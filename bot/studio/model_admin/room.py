"""How much may still be added: a server's quota, and the budget of the whole disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from bot.domain.amounts import size_text
from bot.domain.job import Job
from bot.domain.stewards import Space, Steward, space_of
from bot.downloads import Download, DownloadWish
from bot.errors import UserFacingError
from bot.library import Library
from bot.studio.conversions import sources_of
from gpu_worker.protocol.specs import FileSpec

__all__ = ["Room"]


class Room:
    """`coming` tells the downloads that are under way, `making` the waiting jobs that make a file."""

    def __init__(
        self,
        library: Library,
        coming: Callable[[], Iterable[Download]],
        making: Callable[[], Awaitable[Iterable[Job]]],
        *,
        quota_gb: float,
        budget_gb: float | None,
    ) -> None:
        self._library = library
        self._coming = coming
        self._making = making
        self._quota_gb = quota_gb
        self._budget_gb = budget_gb

    async def of(self, steward: Steward) -> Space:
        return await self.of_owner(steward.owner)

    async def of_owner(self, owner: int | None, without: DownloadWish | None = None) -> Space:
        """`owner` is a server, or None for the operator; `without` leaves one download out."""
        coming = [
            (download.wish.asked_in, download.total_bytes or download.received_bytes)
            for download in self._coming()
            if download.wish != without
        ]
        coming += [(job.files.owner, self.made_bytes(job.files)) for job in await self._making() if job.files]
        return space_of(
            owner,
            self._library.files(),
            coming,
            await self._library.trash_sizes(),
            quota_gb=self._quota_gb,
            budget_gb=self._budget_gb,
        )

    def made_bytes(self, spec: FileSpec) -> int:
        """About as large as its first source: no result is larger than that, but for a precision."""
        kind, name = sources_of(spec)[0]
        first = self._library.find(kind, name)
        return first.size_bytes if first is not None else spec.size_bytes

    async def allowance(self, wish: DownloadWish) -> int | None:
        """Bytes that this download may have at most; None: as many as there are."""
        return (await self.of_owner(wish.asked_in, without=wish)).quota_left

    async def require(self, steward: Steward, size_bytes: int = 0) -> Space:
        """Room for a file of that size (0: of unknown size). The operator is warned, never refused.

        Raises UserFacingError: `quota_full`, `budget_full`.
        """
        space = await self.of(steward)
        if steward.operator:
            return space
        if space.over_quota or (space.quota_left is not None and size_bytes > space.quota_left):
            assert space.quota is not None
            raise UserFacingError("quota_full", used=size_text(space.own), quota=size_text(space.quota))
        if space.over_budget:
            raise UserFacingError("budget_full")
        return space
