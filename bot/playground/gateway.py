"""The gateway: WebSocket, version 10, JSON, with heartbeat, resume and the intents' filter.

Source: Discord's API documentation, events/gateway and topics/opcodes-and-status-codes.
"""

from __future__ import annotations

import asyncio
import copy
import hmac
import json
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import discord
from aiohttp import WSMsgType, web
from simcord import intents as intent_rules
from simcord.backend import serializers

from bot.playground.cdn import DiskCdn
from bot.playground.world import World

__all__ = ["Gateway"]

_HEARTBEAT_MS = 41250
_ACK_AFTER_S = 0.05
_REPLAY_EVENTS = 1000
_RESUMABLE_S = 120.0
_GRACE_S = 5.0
"""A bot that dropped its socket this recently is likely to resume in time to answer."""
_CLOSE_BAD_TOKEN, _CLOSE_NOT_AUTHENTICATED, _CLOSE_BAD_SHARD, _CLOSE_DISALLOWED = 4004, 4003, 4010, 4014
_CLOSE_DECODE, _CLOSE_TIMEOUT = 4002, 4009
_PRIVILEGED = discord.Intents(members=True, presences=True, message_content=True).value


@dataclass
class _Session:
    id: str
    intents: discord.Intents
    shard: tuple[int, int]
    sequence: int = 0
    replay: deque[tuple[int, str]] = field(default_factory=lambda: deque[tuple[int, str]](maxlen=_REPLAY_EVENTS))
    outbox: asyncio.Queue[str | None] | None = None
    dropped_at_s: float = 0.0


class Gateway:
    """`changed` is called whenever the bot comes online or goes away."""

    def __init__(self, world: World, cdn: DiskCdn, changed: Callable[[], None]) -> None:
        self._world = world
        self._state = world.discord
        self._cdn = cdn
        self._changed = changed
        self._sessions: dict[str, _Session] = {}
        self.url = ""
        self._state.subscribers.append(self.publish)

    @property
    def online(self) -> bool:
        return any(session.outbox is not None for session in self._sessions.values())

    @property
    def reachable(self) -> bool:
        """Online, or gone so briefly that an event sent now may still be answered."""
        horizon = time.monotonic() - _GRACE_S
        return any(s.outbox is not None or s.dropped_at_s > horizon for s in self._sessions.values())

    # ----------------------------------------------------------------- events

    def publish(self, event: str, payload: Mapping[str, Any]) -> None:
        """Queues an event for every session that may see it."""
        for session in list(self._sessions.values()):
            guild_id = int(
                payload.get("guild_id") or (payload["id"] if event.startswith("GUILD_") and "id" in payload else 0)
            )
            index, count = session.shard
            if (guild_id >> 22) % count == index:
                self._feed(session, event, payload)

    def _feed(self, session: _Session, event: str, payload: Mapping[str, Any]) -> None:
        needed = intent_rules.required_intent(event, payload)
        if needed is not None and not getattr(session.intents, needed):
            return
        mutable = copy.deepcopy(dict(payload))
        bot_id = self._state.bot_user.id
        if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
            intent_rules.censor_message(mutable, bot_id, backend=self._state)
        elif event == "GUILD_CREATE":
            intent_rules.prune_guild_create(mutable, session.intents, bot_id)
        self._send(session, event, mutable)

    def _send(self, session: _Session, event: str, payload: Any) -> None:
        session.sequence += 1
        data = self._cdn.outbound(self._state.with_nsfw(payload))
        text = json.dumps({"op": 0, "t": event, "s": session.sequence, "d": data})
        session.replay.append((session.sequence, text))
        if session.outbox is not None:
            session.outbox.put_nowait(text)

    # ------------------------------------------------------------ connections

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 16, compress=False)
        await socket.prepare(request)
        outbox: asyncio.Queue[str | None] = asyncio.Queue()
        zlib_stream = request.query.get("compress") == "zlib-stream"
        writer = asyncio.create_task(_write(socket, outbox, zlib_stream), name="playground-gateway-writer")
        session: _Session | None = None
        outbox.put_nowait(json.dumps({"op": 10, "d": {"heartbeat_interval": _HEARTBEAT_MS}}))
        code: int | None = None
        try:
            while code is None:
                message = await socket.receive(timeout=_HEARTBEAT_MS / 1000 * 2)
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                try:
                    frame = cast("dict[str, Any]", json.loads(message.data))
                    code, session = self._receive(frame, session, outbox)
                except (ValueError, KeyError, TypeError):
                    code = _CLOSE_DECODE
        except TimeoutError:
            code = _CLOSE_TIMEOUT
        finally:
            if session is not None and session.outbox is outbox:
                session.outbox = None
                session.dropped_at_s = time.monotonic()
                self._changed()
            outbox.put_nowait(None)
            writer.cancel()
            await socket.close(code=code or 1000)
        return socket

    def _receive(
        self, frame: dict[str, Any], session: _Session | None, outbox: asyncio.Queue[str | None]
    ) -> tuple[int | None, _Session | None]:
        """Handles one frame; returns the close code, if the connection must end, and the session it now belongs to."""
        op, data = frame["op"], cast("dict[str, Any]", frame.get("d"))
        if op == 1:
            # discord.py notes the time of its heartbeat only after the send returns; an acknowledgement that overtakes
            # that note, as it can on loopback alone, reads as a latency of a whole interval.
            asyncio.get_running_loop().call_later(_ACK_AFTER_S, outbox.put_nowait, json.dumps({"op": 11}))
        elif op in (2, 6):
            if not hmac.compare_digest(str(data["token"]).removeprefix("Bot ").encode(), self._world.token.encode()):
                return _CLOSE_BAD_TOKEN, session
            return self._identify(data, outbox) if op == 2 else (None, self._resume(data, outbox))
        elif session is None:
            return _CLOSE_NOT_AUTHENTICATED, None
        elif op == 8:
            self._members(session, data)
        return None, session

    def _identify(self, data: dict[str, Any], outbox: asyncio.Queue[str | None]) -> tuple[int | None, _Session | None]:
        intents = discord.Intents._from_value(int(data["intents"]))  # pyright: ignore[reportPrivateUsage]
        if intents.value & _PRIVILEGED:
            return _CLOSE_DISALLOWED, None  # nobody has switched them on for this application
        index, count = data.get("shard") or (0, 1)
        if not 0 <= index < count:
            return _CLOSE_BAD_SHARD, None
        session = _Session(secrets.token_hex(16), intents, (index, count), outbox=outbox)
        horizon = time.monotonic() - _RESUMABLE_S
        for old in list(self._sessions.values()):
            # A newcomer for the same shard replaces a session whose owner is gone.
            if old.outbox is None and (old.shard == session.shard or old.dropped_at_s < horizon):
                del self._sessions[old.id]
        self._sessions[session.id] = session
        guilds = [guild for guild in self._state.guilds.values() if (guild.id >> 22) % count == index]
        ready: dict[str, Any] = {
            "v": 10,
            "user": dict(serializers.user_payload(self._state.bot_user)),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": [index, count],
            "application": {"id": str(self._state.application_id), "flags": 0},
        }
        self._send(session, "READY", ready)
        for guild in guilds:
            self._feed(session, "GUILD_CREATE", serializers.guild_create_payload(self._state, guild))
        self._changed()
        return None, session

    def _resume(self, data: dict[str, Any], outbox: asyncio.Queue[str | None]) -> _Session | None:
        session = self._sessions.get(str(data["session_id"]))
        sequence = int(data["seq"] or 0)
        if session is None or (session.replay and session.replay[0][0] > sequence + 1):
            outbox.put_nowait(json.dumps({"op": 9, "d": False}))
            return None
        if session.outbox is not None:
            session.outbox.put_nowait(None)
        session.outbox = outbox
        for number, text in session.replay:
            if number > sequence:
                outbox.put_nowait(text)
        self._send(session, "RESUMED", {})
        self._changed()
        return session

    def _members(self, session: _Session, data: dict[str, Any]) -> None:
        guild = self._state.guilds.get(int(data["guild_id"]))
        if guild is None:
            return
        wanted = data.get("user_ids")
        ids = {int(found) for found in (wanted if isinstance(wanted, list) else [wanted] if wanted else [])}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        prefix = str(data.get("query") or "").lower()
        members = [
            member
            for member in guild.members.values()
            if (not ids or member.user_id in ids) and self._state.users[member.user_id].name.lower().startswith(prefix)
        ]
        limit = int(data.get("limit") or 0)
        payload: dict[str, Any] = {
            "guild_id": str(guild.id),
            "members": [
                serializers.member_payload(self._state, guild, m) for m in (members[:limit] if limit else members)
            ],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [str(found) for found in ids - guild.members.keys()],
        }
        if data.get("nonce"):
            payload["nonce"] = data["nonce"]
        self._send(session, "GUILD_MEMBERS_CHUNK", payload)

    def drop_sockets(self) -> None:
        """Ends every connection as a broken network would: sessions stay resumable."""
        for session in self._sessions.values():
            if session.outbox is not None:
                session.outbox.put_nowait(None)


async def _write(socket: web.WebSocketResponse, outbox: asyncio.Queue[str | None], zlib_stream: bool) -> None:
    deflate = zlib.compressobj() if zlib_stream else None
    while (text := await outbox.get()) is not None:
        try:
            if deflate is None:
                await socket.send_str(text)
            else:
                await socket.send_bytes(deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH))
        except ConnectionError:
            return
    await socket.close(code=4000)
