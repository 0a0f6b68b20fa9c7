"""Which models may be used where: rules of a server, its channels and its roles, and the operator's above all."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from bot.domain.parameters import Parameters

__all__ = [
    "EVERYWHERE", "ModelDefaults", "Rule", "Ruled", "Rules", "Scope", "Where", "defaults_at", "is_enabled",
]  # fmt: skip

EVERYWHERE = 0
"""Stands for a server in the operator's own rules; no snowflake is 0."""


class Scope(enum.StrEnum):
    SERVER = "server"
    CHANNEL = "channel"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class Where:
    """Who asks, and from where. `guild_id` is None in direct messages; roles are those of the asking member."""

    guild_id: int | None = None
    channel_id: int | None = None
    role_ids: frozenset[int] = frozenset()
    user_id: int = 0
    parent_id: int | None = None
    """The channel that a thread belongs to: its rules hold in the thread, too."""


class Ruled(Protocol):
    """What a rule needs to know of a model file."""

    @property
    def id(self) -> str: ...
    @property
    def added_in(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """`target_id` is the channel's or the role's id; of a whole server it is the server's own, of everywhere 0."""

    guild_id: int
    scope: Scope
    target_id: int
    file_id: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, for a quick look: by file, then by (guild, scope, target)."""

    by_file: Mapping[str, Mapping[tuple[int, Scope, int], bool]] = field(
        default_factory=lambda: MappingProxyType(dict[str, Mapping[tuple[int, Scope, int], bool]]())
    )

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Rules:
        found: dict[str, dict[tuple[int, Scope, int], bool]] = {}
        for rule in rules:
            found.setdefault(rule.file_id, {})[rule.guild_id, rule.scope, rule.target_id] = rule.enabled
        return cls(found)


def is_enabled(file: Ruled, where: Where, rules: Rules) -> bool:
    """Whether `file` may be used there.

    The operator's no holds everywhere. A channel's and a role's rule go before the server's; a no of either beats a
    yes of the other, but of several roles one yes is enough, as with Discord's own permissions. Where nobody said
    anything, the operator's files are enabled everywhere, and a server's own only in that server.
    """
    said = rules.by_file.get(file.id)
    if said is None:
        return file.added_in is None or file.added_in == where.guild_id
    everywhere = said.get((EVERYWHERE, Scope.SERVER, EVERYWHERE))
    if everywhere is False:
        return False
    if where.guild_id is not None:
        guild = where.guild_id
        channel = said.get((guild, Scope.CHANNEL, where.channel_id or 0))
        if channel is None and where.parent_id is not None:
            channel = said.get((guild, Scope.CHANNEL, where.parent_id))
        roles = [said[guild, Scope.ROLE, role] for role in where.role_ids if (guild, Scope.ROLE, role) in said]
        if channel is False or (roles and not any(roles)):
            return False
        if channel or roles:
            return True
        server = said.get((guild, Scope.SERVER, guild))
        if server is not None:
            return server
    return everywhere is True or file.added_in is None or file.added_in == where.guild_id


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What a server, or one of its channels, draws with where a member says nothing; None is left to the next layer."""

    checkpoint: str | None = None
    vae: str | None = None
    clip_skip: int | None = None

    @property
    def empty(self) -> bool:
        return self.checkpoint is None and self.vae is None and self.clip_skip is None


def defaults_at(
    where: Where, defaults: Mapping[tuple[int, int], ModelDefaults], usable: Mapping[str, frozenset[str]]
) -> Parameters:
    """The layer of server defaults: of the channel, over those of the channel that a thread is in, over the server's.

    `defaults` go by (guild, channel), with channel 0 for the server. `usable` are the names of each kind that may be
    used here: a default that is gone or disabled is passed over, since no member could do anything about it.
    """
    if where.guild_id is None:
        return Parameters()
    checkpoint, vae, clip_skip = None, None, None
    for channel in (where.channel_id, where.parent_id, 0):
        found = defaults.get((where.guild_id, channel)) if channel is not None else None
        if found is None:
            continue
        if checkpoint is None and found.checkpoint in usable.get("checkpoint", frozenset()):
            checkpoint = found.checkpoint
        if vae is None and (found.vae in ("Automatic", "None") or found.vae in usable.get("vae", frozenset())):
            vae = found.vae
        if clip_skip is None:
            clip_skip = found.clip_skip
    return Parameters(checkpoint=checkpoint, vae=vae, clip_skip=clip_skip)
