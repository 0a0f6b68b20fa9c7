"""What the page (and `Person`) can ask for: reading the world as one of its people, and acting as them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from simcord.backend import permissions
from simcord.backend.access import channel_accessible, message_accessible, reaction_permissions
from simcord.backend.errors import BackendError
from simcord.backend.models import Channel
from simcord.enums import AppCommandType, ChannelType

from bot.i18n import load_language, texts_for
from bot.playground import refusals
from bot.playground.cdn import DiskCdn, Upload
from bot.playground.command_rules import LOCALES
from bot.playground.gateway import Gateway
from bot.playground.hub import Hub
from bot.playground.interactions import Caller, Desk
from bot.playground.options import PageError, localised_commands
from bot.playground.storing import Storing, StoringError
from bot.playground.world import World

__all__ = ["PageApi"]

_LOG = logging.getLogger(__name__)
_PAGE_OF_MESSAGES = 50
_CONTENT_LENGTH = 2000


class PageApi:
    def __init__(
        self, world: World, cdn: DiskCdn, storing: Storing, gateway: Gateway, hub: Hub, desk: Desk, limit_bytes: int
    ) -> None:
        self._world = world
        self._state = world.discord
        self._cdn = cdn
        self._storing = storing
        self._gateway = gateway
        self._hub = hub
        self._desk = desk
        self._limit_bytes = limit_bytes
        self._bot_seen = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/page/boot", self._guarded(self._boot)),
            web.get("/page/messages", self._guarded(self._messages)),
            web.get("/page/commands", self._guarded(self._commands)),
            web.post("/page/messages", self._guarded(self._post)),
            web.delete("/page/messages", self._guarded(self._delete)),
            web.put("/page/reactions", self._guarded(self._react)),
            web.put("/page/locale", self._guarded(self._locale)),
            web.post("/page/interact", self._guarded(self._interact)),
            web.get("/page/live", self._live),
        ]

    def bot_changed(self) -> None:
        """Wired to the gateway: the bot came online or went away."""
        self._bot_seen |= self._gateway.online
        self._hub.tell_everyone({"t": "bot", **self._bot_status()})

    def _bot_status(self) -> dict[str, Any]:
        return {"online": self._gateway.online, "seen": self._bot_seen}

    # --------------------------------------------------------------- plumbing

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            locale: str | None = request.headers.get("X-Locale")
            try:
                result = await handler(request)
                await self._storing.save()
            except PageError as refusal:
                return self._refusal(locale, refusal.key, refusal.option, **refusal.values)
            except StoringError:
                _LOG.exception("The playground cannot write to its folder")
                return self._refusal(locale, "error.disk")
            except BackendError as refusal:
                known = {50013: "error.permission", 50001: "error.permission", 10008: "message.gone"}
                known |= {10014: "error.emoji", 30010: "error.reactions", 40005: "file.request"}
                if refusal.code in known:
                    return self._refusal(locale, known[refusal.code])
                _LOG.warning("A page's request was refused: %s", refusal)
                return self._refusal(locale, "error.refused", code=refusal.code)
            except (KeyError, ValueError, TypeError):
                _LOG.warning("%s: malformed request", request.path, exc_info=True)
                return self._refusal(locale, "error.refused", code=400)
            return web.json_response({} if result is None else result)

        return handle

    def _refusal(self, locale: str | None, key: str, option: str | None = None, **values: object) -> web.Response:
        text = texts_for(locale)(f"playground.{key}", **values)
        return web.json_response({"error": {"key": key, "option": option, "text": text}}, status=400)

    def _user(self, value: object) -> int:
        user_id = int(str(value))
        if user_id not in self._world.people.values():
            raise PageError("error.person")
        return user_id

    def _channel(self, value: object, user_id: int) -> Channel:
        channel = self._state.channels.get(int(str(value)))
        if channel is None or not channel_accessible(self._state, channel.id, user_id):
            raise PageError("error.permission")
        return channel

    @contextlib.asynccontextmanager
    async def _form(self, request: web.Request) -> AsyncGenerator[tuple[dict[str, Any], dict[str, Upload]]]:
        """JSON, or multipart with a part `payload_json` and files; files nobody took over are removed at the end."""
        if request.content_type != "multipart/form-data":
            yield cast("dict[str, Any]", await request.json()), {}
            return
        payload: dict[str, Any] = {}
        files: dict[str, Upload] = {}
        try:
            for name, item in (await request.post()).items():
                if name == "payload_json":
                    payload = json.loads(str(item))
                elif isinstance(item, web.FileField):
                    data = await asyncio.to_thread(item.file.read)
                    files[name] = await asyncio.to_thread(self._cdn.receive, item.filename, data)
            yield payload, files
        finally:
            await asyncio.to_thread(self._cdn.discard, files.values())

    # ---------------------------------------------------------------- reading

    def _channel_row(self, channel: Channel, user_id: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": str(channel.id),
            "kind": "dm" if channel.type == ChannelType.DM else "thread" if channel.is_thread else "text",
            "name": channel.name or self._state.bot_user.name,
            "topic": channel.topic or "",
            "parent": str(channel.parent_id) if channel.parent_id else None,
            "nsfw": self._state.is_nsfw(channel),
            "position": channel.position,
            "can_send": True,
            "can_manage": False,
        }
        if channel.guild_id is not None:
            granted = self._state.compute_permissions(channel.guild_id, user_id, channel.id)
            send = "send_messages_in_threads" if channel.is_thread else "send_messages"
            row["can_send"] = bool(granted & permissions.flag(send))
            row["can_manage"] = bool(granted & permissions.flag("manage_messages"))
        return row

    async def _boot(self, request: web.Request) -> dict[str, Any]:
        asked = request.query.get("user")
        user_id = self._user(asked) if asked else self._world.people["Member"]
        state = self._state
        guild = state.guilds[self._world.guild_id]
        locale = state.locales[user_id]
        colours = {
            member.user_id: next((guild.roles[r].color for r in member.role_ids if guild.roles[r].color), 0)
            for member in guild.members.values()
        }
        texts = load_language(texts_for(locale).language)
        return {
            "me": str(user_id),
            "locale": locale,
            "locales": sorted(LOCALES),
            "texts": {
                key.removeprefix("playground."): text for key, text in texts.items() if key.startswith("playground.")
            },
            "guild": guild.name,
            "people": {name: str(found) for name, found in self._world.people.items()},
            "users": {
                str(user.id): {
                    "name": user.global_name or user.name,
                    "bot": user.bot,
                    "colour": colours.get(user.id, 0),
                }
                for user in state.users.values()
            },
            "roles": {str(role.id): role.name for role in guild.roles.values()},
            "channels": [
                self._channel_row(channel, user_id)
                for channel in sorted(state.channels.values(), key=lambda item: (item.position, item.id))
                if channel_accessible(state, channel.id, user_id)
            ],
            "bot": {"id": str(state.bot_user.id), "name": state.bot_user.name, **self._bot_status()},
            "limit_bytes": self._limit_bytes,
        }

    async def _messages(self, request: web.Request) -> dict[str, Any]:
        user_id = self._user(request.query["user"])
        channel = self._channel(request.query["channel"], user_id)
        before = int(request.query.get("before") or 1 << 63)
        visible = [
            message
            for message in self._state.messages[channel.id].values()
            if message.id < before and message_accessible(self._state, channel.id, message, user_id)
        ]
        visible.sort(key=lambda message: message.id)
        page = visible[-_PAGE_OF_MESSAGES:]
        return {"messages": [self._hub.message(item, user_id) for item in page], "more": len(visible) > len(page)}

    async def _commands(self, request: web.Request) -> dict[str, Any]:
        user_id = self._user(request.query["user"])
        channel = self._channel(request.query["channel"], user_id)
        locale = self._state.locales[user_id]
        return {
            "slash": localised_commands(self._state, user_id, channel.id, locale),
            "message": localised_commands(self._state, user_id, channel.id, locale, AppCommandType.MESSAGE),
        }

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        try:
            user_id = self._user(request.query.get("user", ""))
        except (PageError, ValueError):
            raise web.HTTPBadRequest from None
        return await self._hub.follow(request, user_id, {"t": "bot", **self._bot_status()})

    # ----------------------------------------------------------------- acting

    async def _post(self, request: web.Request) -> dict[str, Any]:
        async with self._form(request) as (form, files):
            user_id = self._user(form["user"])
            channel = self._channel(form["channel"], user_id)
            row = self._channel_row(channel, user_id)
            if not row["can_send"]:
                raise PageError("error.permission")
            content = str(form.get("content") or "").strip()
            if len(content) > _CONTENT_LENGTH:
                raise PageError("option.length", None, low=1, high=_CONTENT_LENGTH, length=len(content))
            if not content and not files:
                raise PageError("message.empty")
            refusals.check_uploads(list(files.values()), self._limit_bytes)
            reply = form.get("reply_to")
            reference = {"message_id": str(reply), "channel_id": str(channel.id)} if reply else None
            attachments = [
                self._cdn.store_attachment(self._state.snowflake(), channel.id, item.filename, item, None)
                for item in files.values()
            ]
            message = self._state.create_message(
                channel.id, user_id, content, attachments=attachments, reference=reference
            )
            return {"id": str(message.id)}

    async def _delete(self, request: web.Request) -> None:
        user_id = self._user(request.query["user"])
        channel = self._channel(request.query["channel"], user_id)
        message = self._state.get_message(channel.id, int(request.query["message"]))
        if not message_accessible(self._state, channel.id, message, user_id):
            raise PageError("message.gone")
        mine = message.author_id == user_id or message.is_ephemeral
        if not mine and not self._channel_row(channel, user_id)["can_manage"]:
            raise PageError("error.permission")
        self._state.delete_message(channel.id, message.id)

    async def _react(self, request: web.Request) -> None:
        form = await request.json()
        user_id = self._user(form["user"])
        channel = self._channel(form["channel"], user_id)
        message = self._state.get_message(channel.id, int(form["message"]))
        emoji, wanted = str(form["emoji"]), bool(form["on"])
        if message.is_ephemeral:
            raise PageError("message.gone")
        refusals.check_emoji(self._state, channel.id, message.id, emoji)
        needed = reaction_permissions(message, emoji, reacted=wanted)
        self._state.require_permissions(channel.guild_id, user_id, channel.id, *needed)
        self._state.set_reaction(channel.id, message.id, emoji, user_id, wanted)

    async def _locale(self, request: web.Request) -> None:
        form = await request.json()
        user_id = self._user(form["user"])
        if form["locale"] not in LOCALES:
            raise PageError("error.refused", code=400)
        self._state.locales[user_id] = form["locale"]
        self._state.dirty.world = True

    async def _interact(self, request: web.Request) -> dict[str, Any]:
        async with self._form(request) as (form, files):
            user_id = self._user(form["user"])
            channel = self._channel(form["channel"], user_id)
            if not self._gateway.reachable:
                raise PageError("bot.away" if self._bot_seen else "bot.starting")
            caller = Caller(user_id, channel.id, self._state.locales[user_id])
            kind = form["kind"]
            if kind == "slash":
                outcome = await self._desk.slash(caller, form["name"], form.get("options") or {}, files)
            elif kind == "autocomplete":
                outcome = await self._desk.autocomplete(
                    caller, form["name"], form.get("options") or {}, form["focused"]
                )
            elif kind == "component":
                outcome = await self._desk.component(
                    caller, int(form["message"]), form["custom_id"], form.get("values")
                )
            elif kind == "modal":
                outcome = await self._desk.submit(caller, int(form["interaction"]), form.get("values") or {}, files)
            elif kind == "context":
                outcome = await self._desk.context(caller, form["name"], int(form["message"]))
            else:
                raise PageError("error.refused", code=400)
            return outcome.to_json()
