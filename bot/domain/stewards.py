"""Who may change which model files, and how much a server may add. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bot.domain.model_rules import EVERYWHERE

__all__ = ["GB", "Owned", "Space", "Steward", "space_of"]

GB = 1_000_000_000
"""Bytes; as disks are sold, and as the settings count."""
_NEAR = 0.9
"""Of the budget: from here on admins are warned."""


class Owned(Protocol):
    @property
    def added_in(self) -> int | None: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def read_only(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Steward:
    """Somebody who administers: a server's admin in that server, or an operator anywhere. `guild_id` None is a direct
    message, where only operators get this far."""

    user_id: int
    guild_id: int | None
    operator: bool

    @property
    def owner(self) -> int | None:
        """Whose the files are that they add: the server's, or the operator's (None)."""
        return None if self.operator else self.guild_id

    @property
    def place(self) -> int:
        """Where their word on rules holds: their server, or everywhere in a direct message."""
        return self.guild_id if self.guild_id is not None else EVERYWHERE

    def may_touch(self, file: Owned) -> bool:
        """A server's admins touch only what their server added; the operator touches everything."""
        return self.operator or (self.guild_id is not None and file.added_in == self.guild_id)


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes. `quota` is None for the operator, `budget` None where there is none. `own` and `all` hold what downloads
    and jobs that are under way will need, and what still lies in the trash, which `trash` tells by itself: a server's
    own, and for the operator everybody's."""

    own: int
    all: int
    trash: int
    quota: int | None
    budget: int | None

    @property
    def quota_left(self) -> int | None:
        return None if self.quota is None else max(0, self.quota - self.own)

    @property
    def budget_near(self) -> bool:
        return self.budget is not None and self.all >= self.budget * _NEAR

    @property
    def over_quota(self) -> bool:
        return self.quota is not None and self.own >= self.quota

    @property
    def over_budget(self) -> bool:
        return self.budget is not None and self.all >= self.budget


def space_of(
    owner: int | None,
    files: Iterable[Owned],
    coming: Iterable[tuple[int | None, int]],
    trash: Iterable[tuple[int | None, int]] = (),
    *,
    quota_gb: float,
    budget_gb: float | None,
) -> Space:
    """`coming` and `trash` are owner and bytes, of what is under way and of what was removed. Files in the operator's
    other folders count for nobody: Pincel only reads them."""
    own = total = kept = 0
    for file in files:
        if not file.read_only:
            total += file.size_bytes
            own += file.size_bytes if file.added_in == owner else 0
    for whose, size_bytes in coming:
        total += size_bytes
        own += size_bytes if whose == owner else 0
    for whose, size_bytes in trash:
        total += size_bytes
        own += size_bytes if whose == owner else 0
        kept += size_bytes if owner in (None, whose) else 0
    quota = None if owner is None else int(quota_gb * GB)
    return Space(own, total, kept, quota, None if budget_gb is None else int(budget_gb * GB))
