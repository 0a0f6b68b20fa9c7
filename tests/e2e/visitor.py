"""A person at the playground who knows what this bot's cards look like."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from bot.playground.person import Answer, Person, SeenMessage

if TYPE_CHECKING:
    from tests.e2e.product import Product

__all__ = ["APPLE", "ENDLESS", "Visitor", "finished"]

DRAWN_WITHIN_S = 120.0
ENDLESS = {"steps": 150, "count": 4, "width": 256, "height": 256}
"""Options of a job that a test cancels."""
APPLE = "a red apple on a blue background"


def finished(card: SeenMessage) -> bool:
    """A result: pictures, and nothing left to cancel."""
    return bool(card.media) and not {"Cancel", "Cancelar"} & set(card.labels)


class Visitor(Person):
    """`product` is the one whose page this is."""

    product: Product

    async def shown(
        self,
        channel: str,
        message_id: str | None,
        until: Callable[[SeenMessage], object] = finished,
        within_s: float = DRAWN_WITHIN_S,
    ) -> SeenMessage:
        """That message, once it fits."""
        assert message_id is not None
        return await self.wait_for_message(channel, lambda m: m.id == message_id and until(m), within_s)

    async def begin(self, channel: str = "general", *, prompt: str = APPLE, **options: object) -> str:
        """/imagine; the id of its card, at once."""
        answer = await self.slash(channel, "imagine", {"prompt": prompt, **options})
        assert answer.kind == "message", f"the bot answered {answer}"
        assert answer.message_id is not None
        return answer.message_id

    async def imagine(self, channel: str = "general", *, prompt: str = APPLE, **options: object) -> SeenMessage:
        """/imagine; the finished card."""
        return await self.shown(channel, await self.begin(channel, prompt=prompt, **options))

    async def press(self, card: SeenMessage, button: str, channel: str = "general") -> SeenMessage:
        """Presses a button that starts a job; that job's finished card."""
        return await self.shown(channel, self.started(await self.click(card, button)))

    async def more(self, card: SeenMessage, channel: str = "general") -> SeenMessage:
        """The panel behind "More"."""
        answer = await self.click(card, self.address(card, "more"))
        return await self.shown(channel, answer.message_id, lambda m: not m.loading, 20)

    @staticmethod
    def address(card: SeenMessage, verb: str) -> str:
        """The custom_id of its button or list with that verb."""
        ids = [str(item.get("custom_id") or "") for item in card.components()]
        return next(custom_id for custom_id in ids if custom_id.split(":")[1:2] == [verb])

    @contextlib.asynccontextmanager
    async def busy(self, channel: str = "general") -> AsyncGenerator[None]:
        """Keeps the worker drawing something that nobody needs; what is begun meanwhile waits."""
        blocker = await self.begin(channel, prompt="nothing in particular", **ENDLESS)
        await self.shown(channel, blocker, lambda m: "Drawing" in m.text or finished(m))
        yield
        await self.slash(channel, "cancel", {"job": self.job(blocker)["id"]})

    @staticmethod
    def started(answer: Answer) -> str:
        assert answer.kind == "message", f"the bot answered {answer}"
        assert answer.message_id is not None
        return answer.message_id

    async def told(self, answer: Answer, channel: str = "general") -> str:
        """The sentence that only this person sees."""
        assert answer.kind in ("message", "deferred"), f"the bot answered {answer}"
        return (await self.shown(channel, answer.message_id, lambda m: m.ephemeral and not m.loading, 20)).text

    async def gone(self, message_id: str, channel: str = "general", within_s: float = 60.0) -> None:
        """Waits until that message is deleted."""
        deadline = time.monotonic() + within_s
        while await self.message(channel, message_id) is not None:
            assert time.monotonic() < deadline, "the message is still there"
            await asyncio.sleep(0.05)

    async def pictures(self, card: SeenMessage) -> list[Image.Image]:
        """As they were sent, in the order of the card."""
        return [Image.open(io.BytesIO(await self.download(url))) for url in card.media]

    # --- what the bot recorded of a card ------------------------------------------------------------------------------

    def job(self, card: SeenMessage | str) -> sqlite3.Row:
        message_id = card if isinstance(card, str) else card.id
        sql = "SELECT * FROM jobs WHERE message_id = ? ORDER BY created_at DESC LIMIT 1"
        # The id of a message is stored right after it was sent, so somebody who sees it may be a moment too early.
        for _ in range(100):
            rows = self.product.rows(sql, int(message_id))
            if rows:
                return rows[0]
            time.sleep(0.05)
        raise LookupError(f"no job has the message {message_id}")

    def spec(self, card: SeenMessage | str) -> dict[str, Any]:
        return json.loads(self.job(card)["spec"])

    def images(self, card: SeenMessage | str) -> list[sqlite3.Row]:
        return self.product.rows("SELECT * FROM images WHERE job_id = ? ORDER BY idx", self.job(card)["id"])

    def files(self, card: SeenMessage) -> list[Path]:
        """Its stored pictures."""
        return [self.product.data / "outputs" / row["path"] for row in self.images(card)]
