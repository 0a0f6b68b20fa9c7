"""A person on the stage: everything that `Person` can, woken by changes instead of polling, and knowing our buttons."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.playground.person import Answer, Person, SeenMessage

if TYPE_CHECKING:
    from tests.stage.stage import Stage

__all__ = ["StageVisitor", "finished", "verbs"]

SOON_S = 60.0


def finished(card: SeenMessage) -> bool:
    """A result: pictures, and nothing left to cancel."""
    return bool(card.media) and "cancel" not in verbs(card)


def verbs(card: SeenMessage) -> list[str]:
    """Of all buttons and selects, in reading order; disabled ones too."""
    ids = [str(item.get("custom_id") or "") for item in card.components()]
    return [custom_id.split(":")[1] for custom_id in ids if custom_id.startswith("v1:")]


class StageVisitor(Person):
    stage: Stage

    # --- looking ------------------------------------------------------------------------------------------------------

    async def wait_for_message(
        self, channel: str, predicate: Callable[[SeenMessage], object], timeout_s: float = SOON_S
    ) -> SeenMessage:
        """The newest message that fits, waiting for it; raises TimeoutError naming what was there."""
        found: list[SeenMessage] = []
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    change = self.stage.change()
                    found = await self.messages(channel)
                    for item in reversed(found):
                        if predicate(item):
                            return item
                    await change
        except TimeoutError:
            seen = [item.text[:200] for item in found]
            raise TimeoutError(f"no such message in {channel}; there are: {seen}") from None

    async def shown(
        self, answer: Answer | str, until: Callable[[SeenMessage], object] | None = None, channel: str = "general"
    ) -> SeenMessage:
        """The message that an answer (or an id) is about, once it fits; by default, once it is no longer loading."""
        message_id = answer if isinstance(answer, str) else answer.message_id
        assert message_id is not None, f"the bot answered {answer}"
        fits = until or (lambda m: not m.loading)
        return await self.wait_for_message(channel, lambda m: m.id == message_id and fits(m))

    async def told(self, answer: Answer, channel: str = "general") -> str:
        """The sentence that only this person sees."""
        assert answer.kind in ("message", "deferred"), f"the bot answered {answer}"
        card = await self.shown(answer, channel=channel)
        assert card.ephemeral, f"everybody sees: {card.text}"
        return card.text

    async def gone(self, message: SeenMessage | str, channel: str = "general") -> None:
        """Until that message is deleted."""
        message_id = message if isinstance(message, str) else message.id
        async with asyncio.timeout(SOON_S):
            while True:
                change = self.stage.change()
                if await self.message(channel, message_id) is None:
                    return
                await change

    # --- acting -------------------------------------------------------------------------------------------------------

    async def begin(self, channel: str = "general", *, prompt: str = "a red apple", **options: object) -> str:
        """/imagine; the id of its card, at once."""
        return self.started(await self.slash(channel, "imagine", {"prompt": prompt, **options}))

    async def imagine(self, channel: str = "general", *, prompt: str = "a red apple", **options: object) -> SeenMessage:
        """/imagine; the finished card."""
        return await self.shown(await self.begin(channel, prompt=prompt, **options), finished, channel)

    async def drawn(self, answer: Answer, channel: str = "general") -> SeenMessage:
        """The finished card of the job that an interaction started."""
        return await self.shown(self.started(answer), finished, channel)

    async def press(self, card: SeenMessage, verb: str, n: int | None = None) -> Answer:
        """Presses the button `v1:<verb>:…[:n]`, or the one with this label."""
        return await self.click(card, self.address(card, verb, n))

    async def pick(self, card: SeenMessage, verb: str, values: Sequence[str], n: int | None = None) -> Answer:
        """Chooses in the list `v1:<verb>:…[:n]`, or the one with this placeholder."""
        return await self.select(card, self.address(card, verb, n), values)

    async def fill(
        self,
        answer: Answer,
        values: Mapping[str, object] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Answer:
        """Fills and sends the form that was the answer; fields by custom id or label, `files` by custom id."""
        return await self.submit_modal(answer, values or {}, files)

    @staticmethod
    def address(card: SeenMessage, verb: str, n: int | None = None) -> str:
        """The custom_id of a button or list; a label where no verb fits."""
        for item in card.components():
            parts = str(item.get("custom_id") or "").split(":")
            if parts[0] == "v1" and parts[1] == verb and (n is None or parts[3:] == [str(n)]):
                return str(item["custom_id"])
        assert n is None, f"no {verb} {n} among {[item.get('custom_id') for item in card.components()]}"
        return verb

    @staticmethod
    def started(answer: Answer) -> str:
        assert answer.kind in ("message", "deferred"), f"the bot answered {answer}"
        assert answer.message_id is not None
        return answer.message_id

    # --- what the bot recorded of a card ------------------------------------------------------------------------------

    def job(self, card: SeenMessage | str) -> sqlite3.Row:
        message_id = card if isinstance(card, str) else card.id
        sql = "SELECT * FROM jobs WHERE message_id = ? ORDER BY created_at DESC LIMIT 1"
        rows = self.stage.rows(sql, int(message_id))
        assert rows, f"no job has the message {message_id}"
        return rows[0]

    def spec(self, card: SeenMessage | str) -> dict[str, Any]:
        return json.loads(self.job(card)["spec"])

    def images(self, card: SeenMessage | str) -> list[sqlite3.Row]:
        return self.stage.rows("SELECT * FROM images WHERE job_id = ? ORDER BY idx", self.job(card)["id"])
