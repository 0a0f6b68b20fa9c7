"""One of many: asks for pictures, and presses, chooses, fills in and reacts to whatever is in sight."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.playground.person import Answer, Person, Refused, SeenMessage

__all__ = ["Seen", "Soaker"]

CHANNELS = ("general", "studio", "after-dark")
WORDS = ("apple", "boat", "castle", "dragon", "forest", "harbour", "lantern", "moon", "owl", "river", "tower", "winter")
LEFT_ALONE = frozenset({"forget-me", "backup", "panel"})
"""Commands that would take away what is counted afterwards, or that stop everybody's queue."""
STOPS_ALL = frozenset({"queuepanel"})
EMOJI = ("⭐", "🔁", "🗑️", "👍")


@dataclass
class Seen:
    """What all of them met."""

    asked: Counter[str] = field(default_factory=Counter[str])
    """Interactions by kind."""
    answered: Counter[str] = field(default_factory=Counter[str])
    unanswered: list[str] = field(default_factory=list[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    """What Discord's own client would not let somebody do; nobody's fault."""
    cards: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Channel and id of every card that /imagine was answered with."""
    began: Counter[str] = field(default_factory=Counter[str])


class Soaker:
    def __init__(self, person: Person, seen: Seen, seed: str, every_s: float) -> None:
        """`every_s`: between two of its doings, on average."""
        self._person = person
        self._seen = seen
        self._dice = random.Random(seed)
        self._every_s = every_s
        self._free: list[str] = []

    async def live(self, until: float) -> None:
        """Until that time of the loop. What is refused by the page is counted and forgotten."""
        loop = asyncio.get_running_loop()
        self._free = await self._commands()
        await asyncio.sleep(self._dice.uniform(0, self._every_s))
        while loop.time() < until:
            try:
                await self._once()
            except Refused as refused:
                self._seen.refused[refused.key] += 1
            except (LookupError, TimeoutError, aiohttp.ClientError) as error:
                self._seen.refused[type(error).__name__] += 1  # it was gone, or changed, when it was pressed
            await asyncio.sleep(self._dice.uniform(0.2, 1.8) * self._every_s)

    async def _commands(self) -> list[str]:
        """All that can be called without saying more."""
        found = await self._person.commands(CHANNELS[0])
        names: list[str] = []
        for row in found["slash"]:
            if row["name"].split()[0] in LEFT_ALONE:
                continue
            if not any(option.get("required") for option in row.get("options") or ()):
                names.append(row["name"])
        return names

    async def _once(self) -> None:
        channel = self._dice.choice(CHANNELS)
        match self._dice.choices(("imagine", "press", "command", "react", "look"), (25, 55, 10, 6, 4))[0]:
            case "imagine":
                await self._imagine(channel)
            case "press":
                await self._press(channel)
            case "command":
                await self._note("command", self._dice.choice(self._free), self._person.slash, channel)
            case "react":
                messages = [m for m in await self._person.messages(channel) if m.media]
                if messages:
                    await self._person.react(self._dice.choice(messages), self._dice.choice(EMOJI))
            case _:
                await self._person.autocomplete(channel, "imagine", "prompt", {"prompt": self._dice.choice(WORDS)[:2]})

    async def _imagine(self, channel: str) -> None:
        prompt = " ".join(self._dice.sample(WORDS, 3))
        prompt += self._dice.choice(("", "", "", " --private", " {red|blue|green}", " --ar 2:3"))
        options = {"prompt": prompt, "count": self._dice.choice((1, 1, 2, 4))}
        answer = await self._ask("imagine", prompt, self._person.slash(channel, "imagine", options))
        if answer.message_id is not None:
            self._seen.began[self._person.name] += 1
            self._seen.cards.append((channel, answer.message_id))

    async def _press(self, channel: str) -> None:
        """Any live button or list of any message in sight, a form filled in as it comes or with words."""
        messages = [m for m in await self._person.messages(channel) if m.author_is_bot]
        if not messages:
            return
        message = self._dice.choice(messages[-12:])
        items = [c for c in message.components() if c.get("custom_id") and not c.get("disabled")]
        items = [c for c in items if str(c["custom_id"]).split(":")[1:2] not in ([verb] for verb in STOPS_ALL)]
        if not items:
            return
        item = self._dice.choice(items)
        answer = await self._pressed(message, item)
        if answer.kind == "modal" and self._dice.random() < 0.8:
            values = self._values(answer.modal or {})
            await self._ask("form", str(item["custom_id"]), self._person.submit_modal(answer, values))

    async def _pressed(self, message: SeenMessage, item: Mapping[str, Any]) -> Answer:
        custom_id = str(item["custom_id"])
        if item["type"] == 2:
            return await self._ask("press", custom_id, self._person.click(message, custom_id))
        values = [option["value"] for option in item.get("options") or ()]
        if not values:
            raise LookupError(custom_id)  # of channels, roles or people
        least, most = int(item.get("min_values", 1)), int(item.get("max_values", 1))
        chosen = self._dice.sample(values, self._dice.randint(least, min(most, len(values))))
        return await self._ask("choose", custom_id, self._person.select(message, custom_id, chosen))

    def _values(self, modal: Mapping[str, Any]) -> dict[str, object]:
        """Words for one of its text fields now and then."""
        fields = [item.get("component") or item for item in modal.get("components") or ()]
        texts = [str(item["custom_id"]) for item in fields if item.get("type") == 4]
        if not texts or self._dice.random() < 0.5:
            return {}
        return {self._dice.choice(texts): self._dice.choice((*WORDS, "0.5", "2", "-1", "x" * 40))}

    async def _note(self, kind: str, name: str, call: Any, channel: str) -> None:
        await self._ask(kind, name, call(channel, name))

    async def _ask(self, kind: str, what: str, call: Any) -> Answer:
        self._seen.asked[kind] += 1
        answer: Answer = await call
        if answer.kind is None:
            self._seen.unanswered.append(f"{kind} {what}")
        else:
            self._seen.answered[answer.kind] += 1
        return answer
