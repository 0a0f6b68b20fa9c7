"""The rules of one server, as its admins set them; frozen, and JSON in the database."""

from __future__ import annotations

import enum

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.model_rules import Where
from bot.domain.safety.limits import Limit

__all__ = ["DEFAULT_RULES", "ServerRules", "Shown", "in_places", "place_of"]


class Shown(enum.StrEnum):
    """How a picture that the classifier finds nude goes on a card."""

    PLAIN = "plain"
    SPOILER = "spoiler"
    BLUR = "blur"
    BLOCK = "block"
    """Not at all, and it is not kept either."""


class ServerRules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    audit_channel: int | None = None
    channels: frozenset[int] = frozenset()
    """Where may be drawn; empty: everywhere. A thread counts as its channel."""
    roles: frozenset[int] = frozenset()
    """Who may draw; empty: everybody."""
    adult_channels: frozenset[int] = frozenset()
    """Age-restricted ones in which adult content is allowed."""
    adult_shown: Shown = Shown.SPOILER
    """In those channels."""
    elsewhere_shown: Shown = Shown.BLOCK
    """Everywhere else: blur or block, for nothing less hides it."""
    limits: dict[int, dict[Limit, int]] = Field(default_factory=dict[int, dict[Limit, int]])
    words: tuple[str, ...] = ()


DEFAULT_RULES = ServerRules()


def place_of(where: Where) -> frozenset[int]:
    """The channel, and the one that it is a thread of."""
    return frozenset(one for one in (where.channel_id, where.parent_id) if one is not None)


def in_places(places: frozenset[int], where: Where) -> bool:
    return bool(places & place_of(where))
