"""Servers on loopback that behave as they are told, a web that may go there, and a bot's data folder."""

import asyncio
import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from aiohttp import web as server
from pydantic import SecretStr
from safetensors.torch import save_file

from bot.downloads import Downloads
from bot.downloads.fetch import FetchLimits, fetch
from bot.downloads.manager import DownloadRules
from bot.downloads.sources import Source
from bot.downloads.web import Tokens, Web, WebRules
from bot.errors import UserFacingError
from bot.library import Library
from bot.storage.database import Database, open_database

DATA = bytes(range(256)) * 4096
"""A mebibyte."""
SHA256 = hashlib.sha256(DATA).hexdigest()
LIMITS = FetchLimits(size_bytes=50_000_000, time_s=60, spare_bytes=0, tries=3, wait_s=0.01)


class Anywhere:
    def allows(self, address):
        return True


@dataclass
class Host:
    """`routes` are called with the request; `asked` remembers all of them."""

    routes: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    origin: str = ""

    def url(self, path):
        return self.origin + path

    def count(self, path):
        return sum(request.path == path for request in self.asked)

    async def _answer(self, request):
        self.asked.append(request)
        handler = self.routes.get(request.path)
        if handler is None:
            raise server.HTTPNotFound
        return await handler(request)


@contextlib.asynccontextmanager
async def running_host():
    host = Host()
    app = server.Application()
    app.router.add_route("*", "/{path:.*}", host._answer)
    runner = server.AppRunner(app, shutdown_timeout=0.2, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = server.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield host
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def raw_host(talk):
    """Every connection is given to `talk(number, request head, writer)`, below HTTP."""
    number = 0

    async def connected(reader, writer):
        nonlocal number
        number += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await talk(number, head.decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def host():
    async with running_host() as running:
        yield running


@pytest.fixture
async def other():
    async with running_host() as running:
        yield running


@pytest.fixture
async def web():
    async with Web(WebRules(addresses=Anywhere(), allow_http=True, stall_s=0.5), Tokens()) as opened:
        yield opened


def gives(data=DATA, *, etag='"one"', ranges=True, headers=None, fail_after=None):
    """A well-behaved file, but that its connection ends after so many bytes of each answer."""

    async def answer(request):
        start = 0
        wanted = request.headers.get("Range")
        same = request.headers.get("If-Range") in (None, etag)
        sent = {"ETag": etag, **(headers or {})} if etag else dict(headers or {})
        if ranges and wanted and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                return server.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
            sent["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response = server.StreamResponse(status=206 if "Content-Range" in sent else 200, headers=sent)
        response.content_length = len(data) - start
        await response.prepare(request)
        end = len(data) if fail_after is None else min(start + fail_after, len(data))
        await response.write(data[start:end])
        if end < len(data):
            await asyncio.sleep(0.1)  # what the client has not read yet when a connection ends is lost to it
            request.transport.close()
        return response

    return answer


def redirects(to, status=302):
    async def answer(request):
        return server.Response(status=status, headers={"Location": to})

    return answer


def says(text="", status=200, **headers):
    async def answer(request):
        return server.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def fetched(web, folder, *urls, sha256=None, limits=LIMITS, on_progress=lambda _: None, **source):
    return await fetch(Source(urls=urls, sha256=sha256, **source), folder, limits, on_progress, web=web)


async def refused(awaitable):
    with pytest.raises(UserFacingError) as caught:
        await awaitable
    return caught.value.key


def lora(path, seed=0):
    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"lora_unet_x.lora_down.weight": torch.rand(64, 64)}, path)
    return path.read_bytes()


@dataclass
class Place:
    data: Path
    database: Database
    rules: WebRules
    limits: DownloadRules = field(default_factory=lambda: DownloadRules(LIMITS, 2, ask_wait_s=0.01))
    seen: list = field(default_factory=list)

    async def opened(self) -> Downloads:
        self.library = Library(self.database, models_dir=self.data / "models", demo_dir=self.data / "no-demo")
        await self.library.load()
        web = Web(self.rules, Tokens(SecretStr("civitai-secret"), SecretStr("hf-secret")))
        downloads = Downloads(self.database, self.library, web, data=self.data, rules=self.limits)
        downloads.subscribe(self.seen.append)
        await downloads.start()
        return downloads

    async def ended(self, downloads, download):
        async with asyncio.timeout(60):
            while download.id in downloads._running:
                await asyncio.sleep(0.02)
        return await downloads.get(download.id)

    async def done(self, downloads, wish):
        return await self.ended(downloads, await downloads.add(wish))

    def left(self):
        folder = self.data / "downloads" / "wished"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def quarantined(self):
        folder = self.data / "quarantine"
        return [json.loads(path.read_text())["reason"] for path in folder.glob("*.json")] if folder.is_dir() else []


@pytest.fixture
async def place(tmp_path, host, other):
    data = tmp_path / "data"
    database = await open_database(data / "pincel.sqlite")
    rules = WebRules(addresses=Anywhere(), allow_http=True, stall_s=1, civitai=other.origin)
    made = Place(data, database, rules)
    yield made
    await made.database.close()


@contextlib.asynccontextmanager
async def running(place):
    downloads = await place.opened()
    try:
        yield downloads
    finally:
        await downloads.stop()


def slowly(data, first, *, etag='"one"'):
    """The first `first` bytes, and the rest only to who asks for it."""

    async def answer(request):
        if "Range" in request.headers:
            return await gives(data, etag=etag)(request)
        response = server.StreamResponse(headers={"ETag": etag})
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:first])
        await asyncio.sleep(60)
        return response

    return answer
