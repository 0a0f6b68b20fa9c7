"""Puts the parts together behind one port."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from simcord._clock import Clock

from bot import exit_codes
from bot.i18n import texts_for
from bot.playground.cdn import DiskCdn
from bot.playground.clock import WallClock
from bot.playground.gateway import Gateway
from bot.playground.guard import Guard
from bot.playground.hub import Hub
from bot.playground.interactions import Desk
from bot.playground.page_api import PageApi
from bot.playground.records import Records
from bot.playground.redirect import Endpoints
from bot.playground.refusals import REQUEST_LIMIT_BYTES
from bot.playground.rest import Rest
from bot.playground.startup import startup_error
from bot.playground.storing import Storing
from bot.playground.swatch import swatch_png
from bot.playground.world import World, open_world

__all__ = ["DEFAULT_LIMIT_BYTES", "Options", "Playground", "serve"]

DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024


_PAGE = Path(__file__).parent / "page"
_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "video/mp4", "video/webm"})
"""Shown in place; everything else is a download, so that an uploaded page or drawing never runs on our origin."""
_SWEEP_EVERY_S = 3600


@dataclass(frozen=True)
class Options:
    """`password` must be given where `host` is not loopback; `port` 0 takes any free one."""

    folder: Path
    port: int = 0
    host: str = "127.0.0.1"
    password: str | None = None
    limit_bytes: int = DEFAULT_LIMIT_BYTES


@dataclass
class Playground:
    """A running playground. `world` and `gateway` are here for in-process tests."""

    endpoints: Endpoints
    world: World
    gateway: Gateway


def _security_headers(response: web.StreamResponse, host: str) -> None:
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self';"
        f" connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _doorkeeper(guard: Guard) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not guard.good_host(request) or not guard.good_origin(request):
            return web.Response(status=403, text="This address is not the playground's own.\n")
        path = request.path
        if path.startswith(("/api/", "/gateway")):
            # The bot is a program on this machine; a browser (which would send Origin) has no business here.
            if not guard.local_peer(request) or "Origin" in request.headers:
                return web.json_response({"code": 50001, "message": "Missing Access"}, status=403)
        elif path.startswith("/page/") and not guard.entered(request):
            text = texts_for(request.headers.get("X-Locale"))("playground.error.key")
            return web.json_response({"error": {"key": "error.key", "option": None, "text": text}}, status=401)
        response = await handler(request)
        if not response.prepared:
            _security_headers(response, request.headers["Host"])
        return response

    return keep


class _Site:
    """The page's files, the door to it, and the CDN."""

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
        import mimetypes

        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {
            "Content-Type": kind if kind in _INLINE else "application/octet-stream",
            "Content-Disposition": "inline" if kind in _INLINE and "download" not in request.query else "attachment",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=86400, immutable",
        }
        return web.FileResponse(path, headers=headers)


@contextlib.asynccontextmanager
async def serve(options: Options, clock: Clock | None = None) -> AsyncIterator[Playground]:
    """Runs a playground until the block ends; raises StartupError with an exit code where it cannot start."""
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        (options.folder / "attachments").mkdir(exist_ok=True)
    except OSError as error:
        raise startup_error("folder", exit_codes.DATABASE, folder=options.folder) from error
    records = await asyncio.to_thread(Records, options.folder / "playground.db")
    world = await asyncio.to_thread(open_world, records, clock or WallClock())
    cdn = DiskCdn(options.folder / "attachments", world.cdn_secret, lambda: world.discord.clock.now().timestamp())
    world.discord.cdn = cdn
    storing = Storing(world, records, cdn)
    guard = Guard(options.host, options.password)
    hub = Hub(world.discord, cdn)
    desk = Desk(world.discord, options.limit_bytes)
    gateway = Gateway(world, cdn, lambda: pages.bot_changed())
    pages = PageApi(world, cdn, storing, gateway, hub, desk, options.limit_bytes)
    rest = Rest(world, cdn, storing, options.limit_bytes, desk.answered)
    app = web.Application(middlewares=[_doorkeeper(guard)], client_max_size=REQUEST_LIMIT_BYTES + (1 << 20))
    app.add_routes([*_Site(guard, cdn).routes(), *pages.routes(), web.get("/gateway", gateway.handle)])
    app.router.add_route("*", "/api/v10/{path:.*}", rest.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
    await runner.setup()
    try:
        guard.port = await _bind(runner, options)
        base = f"127.0.0.1:{guard.port}"
        cdn.base = f"http://{base}"
        gateway.url = rest.gateway_url = f"ws://{base}/gateway"
        endpoints = Endpoints(
            page=f"http://{base}/?key={guard.key}",
            api=f"http://{base}/api/v10",
            gateway=gateway.url,
            token=world.token,
        )
        sweeper = asyncio.create_task(_sweep(world, cdn), name="playground-sweeper")
        try:
            yield Playground(endpoints, world, gateway)
        finally:
            sweeper.cancel()
    finally:
        gateway.drop_sockets()
        await runner.cleanup()
        await asyncio.to_thread(records.close)


async def _bind(runner: web.AppRunner, options: Options) -> int:
    """Listens on the wanted host and, where that leaves it out, on loopback too; returns the port."""
    hosts = [options.host]
    if options.host not in ("127.0.0.1", "localhost", "0.0.0.0", "::"):  # noqa: S104
        hosts.append("127.0.0.1")
    port = options.port
    try:
        for host in hosts:
            site = web.TCPSite(runner, host, port)
            await site.start()
            port = int(runner.addresses[0][1])
    except OSError as error:
        raise startup_error("port", exit_codes.PORT_TAKEN, host=options.host, port=options.port) from error
    return port


async def _sweep(world: World, cdn: DiskCdn) -> None:
    while True:
        await asyncio.to_thread(cdn.sweep, world.discord.referenced_attachments())
        await asyncio.sleep(_SWEEP_EVERY_S)
