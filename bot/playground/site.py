"""The page's files, the door to them, and the CDN."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from aiohttp import web

from bot.playground.cdn import DiskCdn
from bot.playground.guard import Guard
from bot.playground.swatch import swatch_png

__all__ = ["Site"]

_PAGE = Path(__file__).parent / "page"
_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "video/mp4", "video/webm"})
"""Shown in place; everything else is a download, so that an uploaded page or drawing never runs on our origin."""


class Site:
    def __init__(self, guard: Guard, cdn: DiskCdn) -> None:
        self._guard = guard
        self._cdn = cdn

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._index),
            web.post("/login", self._login),
            web.get("/static/{name}", self._static),
            web.get("/cdn/embed/avatars/{index}", self._avatar),
            web.get("/cdn/attachments/{channel}/{id}/{name}", self._attachment),
        ]

    def _file(self, name: str, status: int = 200) -> web.Response:
        kind = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        body = (_PAGE / name).read_bytes()
        return web.Response(status=status, body=body, content_type=kind[name.rsplit(".")[-1]], charset="utf-8")

    async def _index(self, request: web.Request) -> web.Response:
        if self._guard.good_key(request):
            # No redirect: a Strict cookie would not travel along one that began on another site.
            response = self._file("index.html")
            self._guard.let_in(response)
            return response
        if self._guard.entered(request):
            return self._file("index.html")
        return self._file("login.html") if self._guard.password is not None else self._file("old.html", 403)

    async def _login(self, request: web.Request) -> web.Response:
        if self._guard.password is None:
            raise web.HTTPNotFound
        try:
            given = str((await request.json())["password"])
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest from None
        right = self._guard.try_password(request, given)
        if right is None:
            return web.json_response({"error": "slow"}, status=429, headers={"Retry-After": "60"})
        if not right:
            return web.json_response({"error": "wrong"}, status=403)
        response = web.json_response({})
        self._guard.let_in(response)
        return response

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not re.fullmatch(r"[a-z]+\.(?:js|css|svg)", name) or not (_PAGE / name).is_file():
            raise web.HTTPNotFound
        return self._file(name)

    async def _avatar(self, request: web.Request) -> web.Response:
        index = re.match(r"\d+", request.match_info["index"])
        return web.Response(body=swatch_png(int(index[0]) if index else 0), content_type="image/png")

    async def _attachment(self, request: web.Request) -> web.StreamResponse:
        raw = request.rel_url.raw_path.removeprefix("/cdn")
        expires, signature = request.query.get("ex", ""), request.query.get("hm", "")
        found = self._cdn.locate(raw)
        if not re.fullmatch(r"[0-9a-f]{1,12}", expires) or not self._cdn.allows(raw, expires, signature):
            raise web.HTTPNotFound(text="This content is no longer available.")
        if found is None or not found[0].is_file():
            raise web.HTTPNotFound(text="This content is no longer available.")
        path, name = found
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {
            "Content-Type": kind if kind in _INLINE else "application/octet-stream",
            "Content-Disposition": "inline" if kind in _INLINE and "download" not in request.query else "attachment",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=86400, immutable",
        }
        return web.FileResponse(path, headers=headers)
