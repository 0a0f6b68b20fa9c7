"""The REST half of the API: HTTP in, SimCord's routes behind, Discord's refusals before, the disk after.

A request is answered only when everything it changed is on disk, so what the bot was told survives a killed playground.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

from aiohttp import BodyPartReader, web
from simcord.backend import errors, serializers
from simcord.backend.errors import BackendError
from simcord.backend.models import Interaction, Message
from simcord.http import routes as _routes
from simcord.http.router import RouteNotImplemented, UnsupportedField, dispatch

from bot.playground import refusals
from bot.playground.cdn import DiskCdn, Upload
from bot.playground.command_rules import check_commands
from bot.playground.storing import Storing, StoringError
from bot.playground.world import World

__all__ = ["Rest"]

assert _routes  # importing it is what registers SimCord's routes

_LOG = logging.getLogger(__name__)
_CALLBACK = re.compile(r"/interactions/(\d+)/([^/]+)/callback")
_WEBHOOK = re.compile(r"/webhooks/(\d+)/([^/]+)(?:/messages/(@original|\d+))?")
_MESSAGES = re.compile(r"/channels/(\d+)/messages(?:/(\d+))?")
_REACTION = re.compile(r"/channels/(\d+)/messages/(\d+)/reactions/([^/]+)/@me")
_COMMANDS = re.compile(r"/applications/(\d+)(?:/guilds/\d+)?/commands")


@dataclass
class _Call:
    method: str
    path: str
    params: dict[str, str]
    json: Any = None
    uploads: list[Upload] = field(default_factory=list[Upload])
    reason: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        found: Any = self.json
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _reply(status: int, payload: Any) -> web.Response:
    # discord.py compares the header for equality: with a charset in it, it would hand out a str.
    headers = {"Content-Type": "application/json"}
    return web.Response(status=status, body=json.dumps(payload).encode(), headers=headers)


class Rest:
    """`answered` is called with each interaction that a callback has just answered."""

    def __init__(
        self, world: World, cdn: DiskCdn, storing: Storing, limit_bytes: int, answered: Callable[[Interaction], None]
    ) -> None:
        self._world = world
        self._state = world.discord
        self._cdn = cdn
        self._storing = storing
        self._limit_bytes = limit_bytes
        self._answered = answered
        self.gateway_url = ""

    async def handle(self, request: web.Request) -> web.Response:
        call = _Call(
            request.method,
            request.rel_url.raw_path.removeprefix("/api/v10").replace("%40", "@"),
            dict(request.query),
            reason=request.headers.get("X-Audit-Log-Reason"),
        )
        try:
            self._authorise(request, call)
            await self._read(request, call)
            result = self._perform(call)
            await self._storing.save()
        except (RouteNotImplemented, UnsupportedField) as gap:
            # Loud on purpose: 501 is not retried by discord.py, and a silent success would prove nothing.
            _LOG.error("The playground lacks something that the bot uses: %s", gap)
            return _reply(501, {"code": 0, "message": gap.message})
        except BackendError as refusal:
            _LOG.info("%s %s refused: %s", call.method, call.path, refusal)
            return _reply(refusal.status, refusal.to_json())
        except StoringError as error:
            _LOG.error("The playground cannot write to its folder: %s", error)
            return _reply(503, {"code": 0, "message": "The playground cannot write to its folder"})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            _LOG.warning("%s %s: malformed request", call.method, call.path, exc_info=True)
            return _reply(400, errors.invalid_form_body(str(error)).to_json())
        finally:
            await asyncio.to_thread(self._cdn.discard, call.uploads)
        if result is None:
            return web.Response(status=204)
        return _reply(200, self._cdn.outbound(self._state.with_nsfw(result)))

    # ----------------------------------------------------------------- intake

    def _authorise(self, request: web.Request, call: _Call) -> None:
        if _CALLBACK.fullmatch(call.path) or _WEBHOOK.fullmatch(call.path):
            return  # the token in the path is the authorisation
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bot {self._world.token}".encode()):
            raise BackendError(401, 0, "401: Unauthorized")

    async def _read(self, request: web.Request, call: _Call) -> None:
        if (request.content_length or 0) > refusals.REQUEST_LIMIT_BYTES:
            raise refusals.too_large()
        if request.content_type != "multipart/form-data":
            if request.can_read_body:
                try:
                    call.json = self._cdn.inbound(await request.json())
                except web.HTTPRequestEntityTooLarge:
                    raise refusals.too_large() from None
            return
        total, indexed, scalars = 0, dict[int, Upload](), dict[str, Any]()
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise errors.invalid_form_body("nested multipart")
            data = bytearray()
            while chunk := await part.read_chunk(1 << 16):
                data += chunk
                total += len(chunk)
                if total > refusals.REQUEST_LIMIT_BYTES:
                    raise refusals.too_large()
            name = part.name or ""
            if name == "payload_json":
                call.json = self._cdn.inbound(json.loads(data))
            elif (number := re.fullmatch(r"files?\[?(\d*)\]?", name)) is not None:
                upload = await asyncio.to_thread(self._cdn.receive, part.filename or "file", bytes(data))
                call.uploads.append(upload)
                indexed[int(number[1] or 0)] = upload
            else:
                scalars[name] = data.decode()
        call.uploads = [indexed[key] for key in sorted(indexed)]
        if call.json is None and scalars:
            call.json = scalars

    # ---------------------------------------------------------------- routing

    def _perform(self, call: _Call) -> Any:
        if call.path in ("/gateway", "/gateway/bot"):
            limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
            return {"url": self.gateway_url, "shards": 1, "session_start_limit": limit}
        if call.path == "/oauth2/applications/@me" and call.method == "GET":
            owner = self._state.users[self._world.people["Admin"]]
            return {**self._dispatch(call), "owner": serializers.user_payload(owner)}
        if _COMMANDS.fullmatch(call.path) and call.method == "PUT":
            return self._sync(call)
        if (found := _CALLBACK.fullmatch(call.path)) and call.method == "POST":
            return self._callback(call, int(found[1]), found[2])
        if found := _WEBHOOK.fullmatch(call.path):
            return self._webhook(call, int(found[1]), found[2], found[3])
        if found := _MESSAGES.fullmatch(call.path):
            return self._message(call, int(found[1]), found[2])
        if (found := _REACTION.fullmatch(call.path)) and call.method == "PUT":
            refusals.check_emoji(self._state, int(found[1]), int(found[2]), unquote(found[3]))
        return self._dispatch(call)

    def _dispatch(self, call: _Call) -> Any:
        for upload, described in zip(call.uploads, _descriptions(call), strict=True):
            upload.description = described
        return dispatch(
            self._state,
            call.method,
            call.path,
            json=call.json,
            params=call.params,
            files=call.uploads,
            reason=call.reason,
        )

    def _sync(self, call: _Call) -> Any:
        check_commands(call.json)
        # SimCord knows no age-restricted commands; the state keeps that flag beside what SimCord stores.
        restricted = [bool(item.pop("nsfw", False)) for item in cast("list[dict[str, Any]]", call.json)]
        result = cast("list[dict[str, Any]]", self._dispatch(call))
        for command, flag in zip(result, restricted, strict=True):
            command["nsfw"] = flag
        return result

    def _callback(self, call: _Call, interaction_id: int, token: str) -> Any:
        record = self._state.interactions.get(interaction_id)
        data = cast("dict[str, Any]", call.body.get("data") or {})
        if record is not None and record.token == token and not record.responded:
            refusals.check_callback(record, call.body.get("type"), data)
            refusals.check_uploads(call.uploads, self._limit_bytes)
            if call.body.get("type") in (4, 7):
                source = record.source_message_id if call.body["type"] == 7 else None
                self._check(data, call.uploads, self._stored(record.channel_id, source))
        result = self._dispatch(call)
        self._state.touch_interaction(record)
        if record is not None:
            self._answered(record)
        return result if call.params.get("with_response", "").lower() in ("1", "true") else None

    def _webhook(self, call: _Call, application_id: int, token: str, message: str | None) -> Any:
        refusals.check_token(self._state, application_id, token)
        record = self._state.interactions.get(self._state.interaction_tokens.get(token, 0))
        if call.method in ("POST", "PATCH") and record is not None:
            refusals.check_uploads(call.uploads, self._limit_bytes)
            target = int(message) if message and message.isdecimal() else None
            if message == "@original" or (call.method == "POST" and record.loading):
                target = record.message_id
            self._check(call.body, call.uploads, self._stored(record.channel_id, target))
        result = self._dispatch(call)
        self._state.touch_interaction(record)
        return result

    def _message(self, call: _Call, channel_id: int, message: str | None) -> Any:
        if call.method not in ("POST", "PATCH"):
            return self._dispatch(call)
        refusals.check_uploads(call.uploads, self._limit_bytes)
        self._check(call.body, call.uploads, self._stored(channel_id, int(message) if message else None))
        nonce = call.body.get("nonce")
        if call.method == "POST" and nonce is not None:
            earlier = self._state.message_of_nonce(channel_id, str(nonce)) if call.body.get("enforce_nonce") else None
            if earlier is not None:
                return {**serializers.message_payload(self._state, earlier), "nonce": nonce}
            result = cast("dict[str, Any]", self._dispatch(call))
            self._state.remember_nonce(channel_id, str(nonce), int(result["id"]))
            return {**result, "nonce": nonce}
        return self._dispatch(call)

    def _stored(self, channel_id: int, message_id: int | None) -> Message | None:
        return None if message_id is None else self._state.messages.get(channel_id, {}).get(message_id)

    def _check(self, body: dict[str, Any], uploads: list[Upload], stored: Message | None) -> None:
        kept = [] if stored is None else stored.attachments
        if "attachments" in body:
            wanted = {str(item.get("id")) for item in body["attachments"] or ()}
            kept = [item for item in kept if item["id"] in wanted]
        refusals.check_message(
            body, uploads, kept=[item["filename"] for item in kept], previous_flags=stored.flags if stored else 0
        )


def _descriptions(call: _Call) -> list[str | None]:
    """Alt texts travel apart from the files: `attachments[].id` is the index of the file."""
    body = call.body.get("data") if isinstance(call.body.get("data"), dict) else call.body
    listed = cast("dict[str, Any]", body).get("attachments") or ()
    by_index = {str(item.get("id")): item.get("description") for item in listed}
    return [by_index.get(str(index)) for index in range(len(call.uploads))]
