"""What people can set once and have from then on: typed keys, the levels they may be set on, and whose word counts.

The operator's word lies lowest, then the server's, the channel's (in a thread its own over its parent's), and on top
the user's. A new key is one line here, and its name and hint in bot/i18n (`setting.<name>`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from bot.domain import values
from bot.domain.model_rules import Where
from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from gpu_worker.language.names import SAMPLER_CHOICES, SCHEDULES
from gpu_worker.protocol.specs import SIZE_MAX_PX, SIZE_MIN_PX

__all__ = [
    "CFG", "CHECKPOINT", "CLIP_SKIP", "COUNT", "KEYS", "LANGUAGE", "NEGATIVE", "OPERATOR_ID", "PING_WHEN_DONE",
    "PREVIEWS", "PRIVATE", "REMIX", "SAMPLER", "SCHEDULE", "SIZE", "STEPS", "STYLE", "TRAINING", "UPSCALER", "VAE",
    "Group", "Key", "Kind", "Level", "Names", "Number", "Options", "Resolved", "Said", "Shape", "Switch", "Words",
    "drawing_defaults", "owners", "resolve",
]  # fmt: skip

OPERATOR_ID = 0
"""Stands for the operator among the owners; no snowflake is 0."""

T = TypeVar("T")


class Level(enum.StrEnum):
    """From the lowest to the one that counts most."""

    OPERATOR = "operator"
    SERVER = "server"
    CHANNEL = "channel"
    USER = "user"


_ALL = frozenset(Level)


@dataclass(frozen=True, slots=True)
class Switch:
    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(value)
        return value


@dataclass(frozen=True, slots=True)
class Number:
    least: float
    most: float
    whole: bool = True

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise ValueError(value)
        if self.whole and value != int(value):
            raise ValueError(value)
        return int(value) if self.whole else float(value)


@dataclass(frozen=True, slots=True)
class Options:
    options: tuple[str, ...]

    def read(self, value: object) -> str:
        if value not in self.options:
            raise ValueError(value)
        return str(value)


@dataclass(frozen=True, slots=True)
class Words:
    """Free text. `most` counts characters."""

    most: int

    def read(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > self.most:
            raise ValueError(value)
        return value


@dataclass(frozen=True, slots=True)
class Names:
    """The name of a model of this kind, as people say it; `also` are words that may stand in its place."""

    model_kind: Literal["checkpoint", "vae", "upscaler"]
    also: tuple[str, ...] = ()

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or len(value) > 300:
            raise ValueError(value)
        return value


@dataclass(frozen=True, slots=True)
class Shape:
    """An aspect such as `16:9`, or a size in pixels such as `512x768`."""

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(value)
        if value in ASPECTS:
            return value
        width, height = values.size(value)
        if any(side % 8 or not SIZE_MIN_PX <= side <= SIZE_MAX_PX for side in (width, height)):
            raise ValueError(value)
        return f"{width}x{height}"


class Group(enum.StrEnum):
    """The forms of /settings, in their order."""

    HABITS = "habits"
    PICTURE = "picture"
    MODEL = "model"
    MORE = "more"


Kind = Switch | Number | Options | Words | Names | Shape


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """`T` is the type of its value; `kind.read` takes what JSON holds and gives a `T`, or raises ValueError.

    `built_in` is what holds where nobody said anything; None is "no wish: the model's own, or the usual". `group` is
    the form of /settings that it stands in: at most five keys that may be set on the same level."""

    name: str
    kind: Kind
    built_in: T
    group: Group
    levels: frozenset[Level] = _ALL


REMIX: Key[bool] = Key("remix", Switch(), False, Group.HABITS, frozenset({Level.OPERATOR, Level.SERVER, Level.USER}))
"""Every V and reroll opens the tweak form first."""
PING_WHEN_DONE: Key[bool] = Key("ping_when_done", Switch(), False, Group.HABITS)
"""A new message that pings whoever asked, when their picture is there."""
PRIVATE: Key[bool] = Key("private", Switch(), False, Group.HABITS)
"""Pictures are drafts that their user alone sees, until they publish them."""
PREVIEWS: Key[bool] = Key("previews", Switch(), True, Group.HABITS)
"""Small previews while a picture is drawn; PINCEL_PREVIEWS=off switches them off for everybody."""
LANGUAGE: Key[str | None] = Key("language", Words(10), None, Group.MORE, frozenset({Level.USER}))
"""A language of bot/i18n instead of the one of the user's Discord."""
STYLE: Key[str | None] = Key("style", Words(400), None, Group.MORE)
"""Names of styles, in order, separated by commas: applied where nobody names another."""
NEGATIVE: Key[str | None] = Key("negative", Words(1500), None, Group.PICTURE)
"""The negative prompt where none is given."""
CHECKPOINT: Key[str | None] = Key("checkpoint", Names("checkpoint"), None, Group.MODEL)
"""On the levels of server and channel it is the one that /model-admin sets, and so are VAE and CLIP_SKIP."""
VAE: Key[str | None] = Key("vae", Names("vae", ("Automatic", "None")), None, Group.MODEL)
CLIP_SKIP: Key[int | None] = Key("clip_skip", Number(1, 12), None, Group.MODEL)
SIZE: Key[str | None] = Key("size", Shape(), None, Group.PICTURE)
SAMPLER: Key[str | None] = Key("sampler", Options(tuple(SAMPLER_CHOICES)), None, Group.MODEL)
SCHEDULE: Key[str | None] = Key("schedule", Options(tuple(SCHEDULES)), None, Group.MODEL)
STEPS: Key[int | None] = Key("steps", Number(1, 150), None, Group.PICTURE)
CFG: Key[float | None] = Key("cfg", Number(1, 30, whole=False), None, Group.PICTURE)
COUNT: Key[int | None] = Key("count", Number(1, 4), None, Group.PICTURE)
UPSCALER: Key[str | None] = Key("upscaler", Names("upscaler"), None, Group.MORE)
"""Of the second pass, where none is named."""
TRAINING: Key[str] = Key(
    "training", Options(("everyone", "admins", "nobody")), "everyone", Group.MORE,
    frozenset({Level.OPERATOR, Level.SERVER}),
)  # fmt: skip
"""Who may train LoRAs; the stricter of the operator's word and the server's counts."""

KEYS: Mapping[str, Key[Any]] = MappingProxyType(
    {
        key.name: key
        for key in (
            REMIX, PING_WHEN_DONE, PRIVATE, PREVIEWS, LANGUAGE, CHECKPOINT, VAE, CLIP_SKIP, SIZE, SAMPLER,
            SCHEDULE, STEPS, CFG, COUNT, UPSCALER, NEGATIVE, STYLE, TRAINING,
        )
    }
)  # fmt: skip
"""By name, in the order in which they are shown."""

Said = Mapping[tuple[Level, int], Mapping[str, Any]]
"""(level, owner) → key's name → value, as `kind.read` gave it."""


@dataclass(frozen=True, slots=True)
class Resolved(Generic[T]):
    """`level` says whose word it is; None: nobody's, it is built in."""

    value: T
    level: Level | None
    owner_id: int = OPERATOR_ID


def owners(where: Where) -> Iterator[tuple[Level, int]]:
    """Whose words hold there, the one that counts most first. In direct messages no channel and no server has any."""
    if where.user_id:
        yield Level.USER, where.user_id
    if where.guild_id is not None:
        for channel_id in (where.channel_id, where.parent_id):
            if channel_id is not None:
                yield Level.CHANNEL, channel_id
        yield Level.SERVER, where.guild_id
    yield Level.OPERATOR, OPERATOR_ID


def resolve(said: Said, where: Where, key: Key[T], levels: Iterable[Level] = Level) -> Resolved[T]:
    """What holds there. Only words of `levels`, and of those on which the key may be set, count."""
    allowed = key.levels & set(levels)
    for level, owner_id in owners(where):
        found = said.get((level, owner_id)) if level in allowed else None
        if found and key.name in found:
            return Resolved(found[key.name], level, owner_id)
    return Resolved(key.built_in, None)


_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "checkpoint": "checkpoint", "vae": "vae", "clip_skip": "clip_skip", "sampler": "sampler",
        "schedule": "schedule", "steps": "steps", "cfg": "cfg_scale", "count": "count", "upscaler": "hires_upscaler",
    }
)  # fmt: skip
"""Key's name → field of `Parameters`."""


def drawing_defaults(said: Mapping[str, Any]) -> Parameters:
    """One owner's words as a layer of a request."""
    wishes: dict[str, Any] = {field: said[name] for name, field in _FIELDS.items() if said.get(name) is not None}
    size = said.get(SIZE.name)
    if size in ASPECTS:
        wishes["aspect"] = size
    elif size:
        wishes["width"], wishes["height"] = values.size(size)
    return Parameters(**wishes)
