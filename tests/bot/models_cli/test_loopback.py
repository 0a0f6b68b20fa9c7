"""`models verify` and `models install` through the real client, against servers on loopback that stand in for Civitai
and Hugging Face, and for the places where they keep their files."""

import asyncio
import contextlib
import hashlib
import io
from dataclasses import replace

import pytest
from aiohttp import web as server

from bot import exit_codes
from bot.catalogue import operators_catalogue
from bot.downloads.fetch import FetchLimits
from bot.downloads.web import Tokens, Web, WebRules
from bot.i18n import texts_for
from bot.models_cli import install as installing
from bot.models_cli import verify as verifying
from bot.models_cli.console import Console
from bot.models_cli.install import install, parts_folder
from bot.models_cli.network import Network
from bot.models_cli.verify import verify

from .conftest import EMBEDDING, LORA

EN = texts_for("en")
LIMITS = FetchLimits(size_bytes=50_000_000, time_s=60, spare_bytes=0, tries=3, wait_s=0.01)
HF_FILE = "/some/repo/resolve/main/easy.safetensors"
OPERATORS = f"""
[[model]]
key = "of-huggingface"
title = "Easy"
kind = "embedding"
urls = ["https://huggingface.co{HF_FILE}"]
[[model]]
key = "of-civitai"
title = "Line"
kind = "lora"
page = "https://civitai.com/models/13910/some-words"
[[model]]
key = "gone"
title = "Gone"
kind = "lora"
page = "https://civitai.com/models/404/gone"
"""


class Anywhere:
    def allows(self, address):
        return True


class Hosts:
    """Keeps what it is asked; `broken_after` ends the connection of a file once, after so many bytes, and `stalls` goes
    silent instead."""

    def __init__(self):
        self.stalls, self.silent = False, asyncio.Event()
        self.asked, self.broken_after, self.civitai, self.huggingface = [], None, "", ""

    async def answer(self, request):
        self.asked.append((request.method, request.path))
        if request.path == HF_FILE:
            headers = {
                "Location": f"{self.civitai}/store/easy", "X-Linked-Size": str(len(EMBEDDING)),
                "X-Linked-Etag": f'"{hashlib.sha256(EMBEDDING).hexdigest()}"',
            }  # fmt: skip
            return server.Response(status=302, headers=headers)
        if request.path == "/api/v1/models/13910":
            file = {
                "id": 1, "name": "Thick Line.safetensors", "type": "Model", "sizeKB": len(LORA) / 1024, "primary": True,
                "downloadUrl": "https://civitai.com/api/download/models/77",
                "hashes": {"SHA256": hashlib.sha256(LORA).hexdigest().upper()},
            }  # fmt: skip
            versions = [{"id": 77, "name": "v1", "baseModel": "SD 1.5", "files": [file]}]
            return server.json_response({"id": 13910, "name": "Line", "type": "LORA", "modelVersions": versions})
        if request.path == "/store/easy":
            return await self._file(request, EMBEDDING)
        if request.path == "/api/download/models/77":
            return await self._file(request, LORA)
        return server.json_response({"error": "no such model"}, status=404)

    async def _file(self, request, data):
        self.asked[-1] += (request.headers.get("Range"),)
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers = {"ETag": '"one"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response = server.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(data) - start
        await response.prepare(request)
        if self.broken_after is not None and not start:
            await response.write(data[: self.broken_after])
            self.broken_after = None
            if self.stalls:
                self.silent.set()
                await asyncio.sleep(60)
            request.transport.close()
        elif self.stalls:  # whoever comes again waits as well, until the test ends the silence
            await asyncio.sleep(60)
        else:
            await response.write(data[start:])
        return response


class Loopback(Network):
    """The catalogue names public hosts; here they are on loopback."""

    def __init__(self, web, hosts):
        super().__init__(web, LIMITS)
        self.places = {"https://civitai.com": hosts.civitai, "https://huggingface.co": hosts.huggingface}

    def _here(self, address):
        for public, here in self.places.items():
            address = address.replace(public, here)
        return address

    async def resolve(self, address):
        found = await super().resolve(self._here(address))
        urls = found.urls
        for public, here in self.places.items():
            urls = tuple(url.replace(here, public) for url in urls)
        return replace(found, urls=urls)

    async def fetch(self, entry, folder, on_progress):
        return await super().fetch(replace(entry, urls=tuple(map(self._here, entry.urls))), folder, on_progress)


@pytest.fixture
async def hosts(monkeypatch):
    made = Hosts()
    app = server.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = server.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    for _ in range(2):
        await server.TCPSite(runner, "127.0.0.1", 0).start()
    made.civitai, made.huggingface = (f"http://127.0.0.1:{port}" for _, port in runner.addresses)

    @contextlib.asynccontextmanager
    async def opened(settings):
        rules = WebRules(Anywhere(), allow_http=True, civitai=made.civitai, huggingface=made.huggingface, stall_s=2)
        async with Web(rules, Tokens()) as web:
            yield Loopback(web, made)

    monkeypatch.setattr(installing, "open_network", opened)
    monkeypatch.setattr(verifying, "open_network", opened)
    yield made
    await runner.cleanup()


@pytest.fixture
def operator(settings):
    """A data folder with a catalogue of its own, and a console."""
    made = settings()
    made.data.mkdir()
    (made.data / "catalogue.toml").write_text(OPERATORS, encoding="utf-8")
    return made, Console(EN, io.StringIO())


async def test_verified_by_both_hosts_then_installed(hosts, operator):
    made, console = operator
    names = ["of-huggingface", "of-civitai"]
    assert not any(entry.installable for entry in operators_catalogue(made.data).find(names))
    assert await verify(console, made, operators_catalogue(made.data), names) == exit_codes.OK
    entries = operators_catalogue(made.data).find(names)
    assert [(e.sha256, e.size_bytes) for e in entries] == [
        (hashlib.sha256(data).hexdigest(), len(data)) for data in (EMBEDDING, LORA)
    ]
    assert await install(console, made, entries, yes=True) == exit_codes.OK
    assert (made.models_dir / "embeddings" / "easy.safetensors").read_bytes() == EMBEDDING
    assert (made.models_dir / "loras" / "Thick Line.safetensors").read_bytes() == LORA


async def test_page_that_is_gone_is_told_and_the_others_are_kept(hosts, operator):
    made, console = operator
    result = await verify(console, made, operators_catalogue(made.data), ["gone", "of-huggingface"])
    assert result == exit_codes.UNEXPECTED
    assert "gone: " in console.out.getvalue()
    assert operators_catalogue(made.data).get("of-huggingface").installable


async def test_broken_connection_is_gone_on_with(hosts, operator):
    made, console = operator
    await verify(console, made, operators_catalogue(made.data), ["of-huggingface"])
    hosts.broken_after = 5000
    wanted = operators_catalogue(made.data).find(["of-huggingface"])
    assert await install(console, made, wanted, yes=True) == exit_codes.OK
    assert (made.models_dir / "embeddings" / "easy.safetensors").read_bytes() == EMBEDDING


async def test_interrupted_install_shows_nothing_and_goes_on_where_it_was(hosts, operator):
    made, console = operator
    await verify(console, made, operators_catalogue(made.data), ["of-huggingface"])
    wanted = operators_catalogue(made.data).find(["of-huggingface"])
    hosts.broken_after, hosts.stalls = 5000, True
    interrupted = asyncio.create_task(install(console, made, wanted, yes=True))
    await asyncio.wait_for(hosts.silent.wait(), 20)
    part = parts_folder(made, wanted[0]) / ".part"
    while not part.exists() or part.stat().st_size < 5000:
        await asyncio.sleep(0.01)
    interrupted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await interrupted
    hosts.stalls = False
    assert not made.models_dir.exists() or list(made.models_dir.rglob("*.safetensors")) == []
    assert await install(console, made, wanted, yes=True) == exit_codes.OK
    assert (made.models_dir / "embeddings" / "easy.safetensors").read_bytes() == EMBEDDING
    assert hosts.asked[-1] == ("GET", "/store/easy", "bytes=5000-")


async def test_another_file_than_the_known_one_never_becomes_visible(hosts, operator):
    made, console = operator
    (entry,) = operators_catalogue(made.data).find(["of-huggingface"])
    entry = replace(entry, sha256="ab" * 32)
    assert await install(console, made, [entry], yes=True) == exit_codes.UNEXPECTED
    assert list(made.models_dir.rglob("*.safetensors")) == []
    assert "✗ Easy" in console.out.getvalue()


async def test_private_address_is_refused_by_the_shipped_rules(hosts, operator, monkeypatch):
    made, console = operator
    monkeypatch.undo()
    monkeypatch.setenv("PINCEL_DATA", str(made.data))
    (entry,) = operators_catalogue(made.data).find(["of-huggingface"])
    entry = replace(entry, urls=(f"{hosts.civitai}/store/easy",), sha256=hashlib.sha256(EMBEDDING).hexdigest())
    assert await install(console, made, [entry], yes=True) == exit_codes.UNEXPECTED
    assert hosts.asked == []
    assert list(made.models_dir.rglob("*.safetensors")) == []
    assert not any(parts_folder(made, entry).glob("*.safetensors"))
