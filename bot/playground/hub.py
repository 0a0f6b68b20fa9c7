"""Live edits: every open page follows one WebSocket and is told what its person may see."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from simcord.backend import serializers
from simcord.backend.access import channel_accessible, message_accessible
from simcord.backend.models import Message

from bot.playground.cdn import DiskCdn
from bot.playground.state import Change, LocalDiscord

__all__ = ["Hub"]

_LOADING_FLAG = 1 << 7


@dataclass(eq=False)
class _Viewer:
    user_id: int
    outbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])


class Hub:
    def __init__(self, state: LocalDiscord, cdn: DiskCdn) -> None:
        self._state = state
        self._cdn = cdn
        self._viewers: set[_Viewer] = set()
        state.watchers.append(self._changed)

    def message(self, message: Message, user_id: int) -> dict[str, Any]:
        """A message as the page draws it for one person; addresses are relative to the page."""
        payload = dict(serializers.message_payload(self._state, message, for_user=user_id))
        payload["ephemeral"] = message.is_ephemeral
        payload["loading"] = bool(message.flags & _LOADING_FLAG)
        found: dict[str, Any] = self._cdn.outbound(payload, base="")
        return found

    def tell_everyone(self, event: dict[str, Any]) -> None:
        text = json.dumps(event)
        for viewer in self._viewers:
            viewer.outbox.put_nowait(text)

    def _changed(self, change: Change) -> None:
        if change.kind in ("commands", "channels"):
            self.tell_everyone({"t": change.kind})
            return
        for viewer in self._viewers:
            channel_id, message = change.channel_id or 0, change.message
            if message is None:
                if channel_accessible(self._state, channel_id, viewer.user_id):
                    viewer.outbox.put_nowait(json.dumps({"t": change.kind, "channel": str(channel_id)}))
            elif message_accessible(self._state, channel_id, message, viewer.user_id):
                event: dict[str, Any] = {"t": change.kind, "channel": str(channel_id), "id": str(message.id)}
                if change.kind == "message":
                    event["message"] = self.message(message, viewer.user_id)
                viewer.outbox.put_nowait(json.dumps(event))

    async def follow(self, request: web.Request, user_id: int, greeting: dict[str, Any]) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=25, max_msg_size=1 << 12)
        await socket.prepare(request)
        viewer = _Viewer(user_id)
        viewer.outbox.put_nowait(json.dumps(greeting))
        self._viewers.add(viewer)
        writer = asyncio.create_task(_write(socket, viewer.outbox), name="playground-page-writer")
        try:
            async for incoming in socket:
                if incoming.type is WSMsgType.ERROR:
                    break
        finally:
            self._viewers.discard(viewer)
            writer.cancel()
        return socket


async def _write(socket: web.WebSocketResponse, outbox: asyncio.Queue[str]) -> None:
    while True:
        text = await outbox.get()
        try:
            await socket.send_str(text)
        except ConnectionError:
            return
