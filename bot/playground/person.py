"""A person at the page, as code: for end-to-end tests and scripts. Everything goes over the page's own HTTP API.

```python
async with await Person.enter(page_url, "Member") as member:
    outcome = await member.slash("studio", "imagine", {"prompt": "a red apple"})
    card = await member.wait_for_message("studio", lambda m: "U1" in m.labels)
    await member.click(card, "U1")
```
"""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from bot.playground.seen import Answer, Refused, SeenMessage, walk

__all__ = ["Answer", "Person", "Refused", "SeenMessage"]

_POLL_S = 0.05


class Person:
    """One of the playground's people: "Admin", "Member" or "Moderator". Channels are named, or given by id.

    Every action raises Refused for what Discord's own client would not let a person do.
    """

    def __init__(self, session: aiohttp.ClientSession, base: str, name: str) -> None:
        self._session = session
        self._base = base
        self.name = name
        self.user_id = ""
        self._channels: dict[str, str] = {}

    @classmethod
    async def enter(cls, page_url: str, name: str = "Member") -> Self:
        """Opens the page with its key, as a browser does."""
        parts = urlsplit(page_url)
        # unsafe: aiohttp's jar refuses cookies for bare addresses otherwise
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        person = cls(session, f"{parts.scheme}://{parts.netloc}", name)
        try:
            async with session.get(page_url) as response:
                response.raise_for_status()
            found = (await person.boot())["people"]
            person.user_id = found[name]
            await person.boot()
        except BaseException:
            await session.close()
            raise
        return person

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    # ----------------------------------------------------------------- plumbing

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        async with self._session.request(method, self._base + path, **arguments) as response:
            payload = await response.json()
            if "error" in payload:
                raise Refused(payload["error"]["key"], payload["error"]["option"], payload["error"]["text"])
            response.raise_for_status()
            return payload

    async def _channel(self, channel: str) -> str:
        if channel.isdecimal():
            return channel
        if channel not in self._channels:
            await self.boot()
        return self._channels[channel]

    async def _send(self, path: str, payload: dict[str, Any], files: Mapping[str, tuple[str, bytes]] | None) -> Any:
        payload["user"] = self.user_id
        if not files:
            return await self._call("POST", path, json=payload)
        form = aiohttp.FormData()
        form.add_field("payload_json", json.dumps(payload))
        for part, (filename, data) in files.items():
            form.add_field(part, io.BytesIO(data), filename=filename, content_type="application/octet-stream")
        return await self._call("POST", path, data=form)

    async def _interact(self, files: Mapping[str, tuple[str, bytes]] | None = None, **payload: Any) -> Answer:
        found = await self._send("/page/interact", payload, files)
        return Answer(found["interaction"], found["kind"], found["message"], found["modal"], tuple(found["choices"]))

    # ------------------------------------------------------------------ reading

    async def boot(self) -> dict[str, Any]:
        """What the page loads first: people, channels ("dm" is the conversation with the bot), texts, bot status."""
        found = await self._call("GET", "/page/boot", params={"user": self.user_id} if self.user_id else {})
        self._channels = {"dm" if row["kind"] == "dm" else row["name"]: row["id"] for row in found["channels"]}
        return found

    async def commands(self, channel: str) -> dict[str, list[dict[str, Any]]]:
        """`slash` and `message` commands visible there, in the person's language."""
        return await self._call(
            "GET", "/page/commands", params={"user": self.user_id, "channel": await self._channel(channel)}
        )

    async def messages(self, channel: str, before: str | None = None) -> list[SeenMessage]:
        """The latest 50 (before a message), oldest first."""
        params = {"user": self.user_id, "channel": await self._channel(channel)} | (
            {"before": before} if before else {}
        )
        found = await self._call("GET", "/page/messages", params=params)
        return [SeenMessage(item) for item in found["messages"]]

    async def message(self, channel: str, message_id: str) -> SeenMessage | None:
        return next((item for item in await self.messages(channel) if item.id == message_id), None)

    async def wait_for_message(
        self, channel: str, predicate: Callable[[SeenMessage], object], timeout_s: float = 10.0
    ) -> SeenMessage:
        """The newest message that fits, waiting for it; raises TimeoutError naming what was there."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = await self.messages(channel)
            for item in reversed(found):
                if predicate(item):
                    return item
            if time.monotonic() > deadline:
                raise TimeoutError(f"no such message in {channel}; there are: {[item.text[:200] for item in found]}")
            await asyncio.sleep(_POLL_S)

    async def wait_for_bot(self, timeout_s: float = 20.0, command: str | None = None) -> None:
        """Until the bot is connected and has registered its commands (or that one, in #general)."""
        deadline = time.monotonic() + timeout_s
        while True:
            if (await self.boot())["bot"]["online"]:
                names = {row["name"] for row in (await self.commands("general"))["slash"]}
                if command in names if command else names:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("the bot has not come online with its commands")
            await asyncio.sleep(_POLL_S)

    async def download(self, url: str) -> bytes:
        """A file from an address in a message."""
        async with self._session.get(url if "://" in url else self._base + url) as response:
            response.raise_for_status()
            return await response.read()

    # ------------------------------------------------------------------- acting

    async def say(self, channel: str, content: str, files: Mapping[str, tuple[str, bytes]] | None = None) -> str:
        """A plain message; returns its id."""
        payload = {"channel": await self._channel(channel), "content": content}
        return (await self._send("/page/messages", payload, files))["id"]

    async def slash(
        self,
        channel: str,
        name: str,
        options: Mapping[str, object] | None = None,
        attachments: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Answer:
        """`name` with its sub-commands ("style save"); `attachments` maps option names to (filename, bytes)."""
        given = dict(options or {}) | {option: option for option in attachments or ()}
        return await self._interact(
            attachments, kind="slash", channel=await self._channel(channel), name=name, options=given
        )

    async def autocomplete(
        self, channel: str, name: str, focused: str, options: Mapping[str, object] | None = None
    ) -> list[Mapping[str, Any]]:
        """The choices for option `focused`, whose text so far is in `options`."""
        found = await self._interact(
            kind="autocomplete",
            channel=await self._channel(channel),
            name=name,
            options=dict(options or {}),
            focused=focused,
        )
        return list(found.choices)

    async def click(self, message: SeenMessage, button: str) -> Answer:
        """Presses the button with this label or custom id."""
        custom_id = message.find(button)["custom_id"]
        return await self._interact(
            kind="component", channel=message.channel_id, message=message.id, custom_id=custom_id
        )

    async def select(self, message: SeenMessage, select: str, values: Sequence[str]) -> Answer:
        """Chooses values (ids, for users, roles and channels) in the select with this custom id or placeholder."""
        custom_id = message.find(select)["custom_id"]
        return await self._interact(
            kind="component", channel=message.channel_id, message=message.id, custom_id=custom_id, values=list(values)
        )

    async def submit_modal(
        self,
        answer: Answer,
        values: Mapping[str, object],
        attachments: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Answer:
        """Fills and sends a form. `values` go by custom id or label; what is left out keeps its default.

        `attachments` maps a file upload's custom id to one file.
        """
        assert answer.modal is not None, "the bot did not answer with a form"
        filled: dict[str, object] = {}
        known: dict[str, str] = {}
        for item in walk(answer.modal["components"]):
            inner = item.get("component") or item
            if inner.get("custom_id"):
                known[inner["custom_id"]] = known[item.get("label") or inner["custom_id"]] = inner["custom_id"]
                chosen = [option["value"] for option in inner.get("options") or () if option.get("default")]
                if inner.get("value") is not None:
                    filled[inner["custom_id"]] = inner["value"]
                elif chosen:
                    filled[inner["custom_id"]] = chosen if inner["type"] in (3, 22) else chosen[0]
        filled |= {known[key]: value for key, value in values.items()}
        filled |= {part: [part] for part in attachments or ()}
        boot = await self.boot()
        return await self._interact(
            attachments,
            kind="modal",
            channel=boot["channels"][0]["id"],
            interaction=answer.interaction_id,
            values=filled,
        )

    async def context_menu(self, message: SeenMessage, name: str) -> Answer:
        return await self._interact(kind="context", channel=message.channel_id, message=message.id, name=name)

    async def react(self, message: SeenMessage, emoji: str, *, on: bool = True) -> None:
        payload = {"user": self.user_id, "channel": message.channel_id, "message": message.id, "emoji": emoji, "on": on}
        await self._call("PUT", "/page/reactions", json=payload)

    async def delete(self, message: SeenMessage) -> None:
        params = {"user": self.user_id, "channel": message.channel_id, "message": message.id}
        await self._call("DELETE", "/page/messages", params=params)

    async def set_locale(self, locale: str) -> None:
        await self._call("PUT", "/page/locale", json={"user": self.user_id, "locale": locale})
