"""What the matrix tests share: places, people's roles, and how an answer is held to be a friendly one.

An answer counts where Discord got it in time and a person reads a sentence, a card or a form; whatever the bot reports
as an error of its own (bot/ui/door.py: "failed, reference …") counts against it, and so does any other error it logs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.playground.person import Answer, SeenMessage
from gpu_worker.protocol.results import TEXT_MIME, Description, Tag
from tests.stage.painter import Drawn
from tests.stage.stage import Stage
from tests.stage.visitor import StageVisitor

__all__ = ["PLACES", "Given", "Trouble", "describing", "friendly", "place"]

PLACES = ("channel", "thread below age-restricted", "direct message")


@dataclass(frozen=True)
class Given:
    """The least that a command needs. A value `@Name` is that person's id, `#name` that channel's."""

    options: Mapping[str, object] = field(default_factory=dict[str, object])
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])


class Trouble(logging.Handler):
    """Everything that the bot or discord.py reports as an error while it listens."""

    def __init__(self, *expected: str) -> None:
        super().__init__(logging.ERROR)
        self.expected = expected
        self.met: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not any(part in text for part in self.expected):
            reason = record.exc_info[1] if record.exc_info else None
            self.met.append(f"{record.name}: {text} ({reason!r})")

    def take(self) -> list[str]:
        met, self.met = self.met, []
        return met

    def __enter__(self) -> Trouble:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


async def place(stage: Stage, name: str) -> str:
    """The id of a channel, or "dm"."""
    match name:
        case "channel":
            return str(stage.channel_id("general"))
        case "direct message":
            return "dm"
        case _:
            parent, owner = stage.channel_id("after-dark"), stage.playground.world.people["Admin"]
            return str(stage.discord.create_thread(parent, "Late hours", owner).id)


async def friendly(person: StageVisitor, channel: str, answer: Answer) -> SeenMessage | None:
    """What the answer shows; None for a form, or for a press that only changed the message. Raises AssertionError."""
    assert answer.kind is not None, "the application did not respond"
    if answer.kind in ("modal", "deferred_update", "update") or answer.message_id is None:
        return None
    card = await person.shown(answer, channel=channel)
    assert card.text.strip() or card.media, "an empty answer"
    return card


SEEN = Description(
    general=(Tag(name="cat_ears", score=0.9),), character=(Tag(name="pincel", score=0.95),), width=96, height=64
)


async def describing(stage: Stage, infotext: str = "") -> None:
    """Its painter describes, too; `infotext` is what the pictures say of themselves."""
    seen = SEEN.model_copy(update={"infotext": infotext})
    stage.painter.tasks = (*stage.painter.tasks, "describe")
    stage.painter.answers["describe"] = lambda spec: [Drawn(seen.model_dump_json().encode(), 0, 0, 0, "", TEXT_MIME)]
    await stage.painter.announce()
