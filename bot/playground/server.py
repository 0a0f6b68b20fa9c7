"""Puts the parts together behind one port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
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
from bot.playground.site import Site
from bot.playground.startup import startup_error
from bot.playground.storing import Storing
from bot.playground.world import World, open_world

__all__ = ["DEFAULT_LIMIT_BYTES", "Options", "Playground", "serve"]

DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024


_SWEEP_EVERY_S = 3600


@dataclass(frozen=True)
class Options:
    """`password` must be given where `host` is not loopback; `port` 0 takes any free one."""

    folder: Path
    port: int = 0
    host: str = "127.0.0.1"
    password: str | None = None
    limit_bytes: int = DEFAULT_LIMIT_BYTES
    middlewares: tuple[Middleware, ...] = ()
    """Behind the doorkeeper: a test's own, which answer some requests with trouble."""


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


def _doorkeeper(guard: Guard) -> Middleware:
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


@contextlib.asynccontextmanager
async def serve(options: Options, clock: Clock | None = None) -> AsyncGenerator[Playground]:
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
    app = web.Application(
        middlewares=[_doorkeeper(guard), *options.middlewares], client_max_size=REQUEST_LIMIT_BYTES + (1 << 20)
    )
    app.add_routes([*Site(guard, cdn).routes(), *pages.routes(), web.get("/gateway", gateway.handle)])
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
