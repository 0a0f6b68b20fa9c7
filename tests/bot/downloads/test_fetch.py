"""Fetching from servers that misbehave."""

import asyncio
import dataclasses
import gzip
import json
import os
import signal
import subprocess
import sys
from collections import namedtuple

import pytest
from aiohttp import web as server

from bot.downloads import receive
from bot.downloads.fetch import fetch
from bot.downloads.sources import Source
from bot.settings import CHECKOUT

from .conftest import DATA, LIMITS, SHA256, fetched, gives, raw_host, refused, says


async def test_a_file_comes_whole_with_progress(web, host, tmp_path):
    host.routes["/model.safetensors"] = gives()
    seen = []
    path = await fetched(web, tmp_path / "d", host.url("/model.safetensors"), on_progress=seen.append)
    assert (path.name, path.read_bytes()) == ("model.safetensors", DATA)
    assert (seen[-1].received_bytes, seen[-1].total_bytes) == (len(DATA), len(DATA))
    assert seen[-1].rate_bytes_s > 0
    assert host.asked[0].headers["Accept-Encoding"] == "identity"
    again = await fetched(web, tmp_path / "d", host.url("/model.safetensors"))
    assert (again, len(host.asked)) == (path, 1)


async def test_a_broken_connection_is_gone_on_with(web, host, tmp_path):
    host.routes["/m"] = gives(fail_after=300_000)
    patient = dataclasses.replace(LIMITS, tries=20)
    path = await fetched(web, tmp_path / "d", host.url("/m"), limits=patient)
    assert path.read_bytes() == DATA
    starts = [request.headers.get("Range") for request in host.asked]
    assert starts[0] is None
    assert None not in starts[1:]
    assert len(starts) >= 4
    assert {request.headers.get("If-Range") for request in host.asked[1:]} == {'"one"'}


async def test_a_cancelled_fetch_keeps_what_came(web, host, tmp_path):
    async def slowly(request):
        if "Range" in request.headers:
            return await gives()(request)
        response = server.StreamResponse(headers={"ETag": '"one"'})
        response.content_length = len(DATA)
        await response.prepare(request)
        await response.write(DATA[:500_000])
        here.set()
        await asyncio.sleep(60)
        return response

    here = asyncio.Event()
    host.routes["/m"] = slowly
    task = asyncio.create_task(fetched(web, tmp_path / "d", host.url("/m")))
    await here.wait()
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert json.loads((tmp_path / "d" / ".part.json").read_text())["synced"] == 500_000
    path = await fetched(web, tmp_path / "d", host.url("/m"))
    assert path.read_bytes() == DATA
    assert host.asked[-1].headers["Range"] == "bytes=500000-"


async def test_only_what_is_surely_on_the_disk_counts(web, host, tmp_path):
    host.routes["/m"] = gives(fail_after=400_000)
    impatient = dataclasses.replace(LIMITS, tries=1)
    host.routes["/m2"] = says(status=500)
    assert await refused(fetched(web, tmp_path / "d", host.url("/m2"), limits=impatient)) == "download_busy"
    host.routes["/m"] = gives(fail_after=400_000)
    folder = tmp_path / "d"
    (folder / ".part").write_bytes(DATA[:100_000] + bytes(50_000))
    note = {"url": host.url("/m"), "validator": '"one"', "total": len(DATA), "synced": 100_000}
    (folder / ".part.json").write_text(json.dumps(note))
    path = await fetched(web, folder, host.url("/m"))
    assert path.read_bytes() == DATA
    assert next(r for r in host.asked if r.path == "/m").headers["Range"] == "bytes=100000-"


async def test_a_file_that_changes_meanwhile_comes_anew(web, host, tmp_path):
    new = DATA[::-1]

    async def changing(request):
        first = host.count("/m") == 1
        return await (gives(fail_after=300_000) if first else gives(new, etag='"two"'))(request)

    host.routes["/m"] = changing
    path = await fetched(web, tmp_path / "d", host.url("/m"))
    assert path.read_bytes() == new


async def test_a_file_that_never_stays_the_same_is_given_up(web, host, tmp_path):
    async def changing(request):
        if "Range" not in request.headers:
            return await gives(fail_after=300_000)(request)
        start = int(request.headers["Range"][6:-1])
        sent = {"ETag": '"one"', "Content-Range": f"bytes {start}-{len(DATA)}/{len(DATA) + 1}"}
        return server.Response(status=206, body=DATA[start:] + b"x", headers=sent)

    host.routes["/m"] = changing
    patient = dataclasses.replace(LIMITS, tries=99)
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"), limits=patient)) == "download_changes"
    assert not (tmp_path / "d" / "m").exists()


async def test_a_server_that_ignores_if_range_is_seen_through(web, host, tmp_path):
    async def lying(request):
        if host.count("/m") == 1:
            return await gives(fail_after=300_000)(request)
        if "Range" in request.headers:
            start = int(request.headers["Range"][6:-1])
            sent = {"ETag": '"two"', "Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"}
            return server.Response(status=206, body=DATA[::-1][start:], headers=sent)
        return await gives(DATA[::-1], etag='"two"')(request)

    host.routes["/m"] = lying
    assert (await fetched(web, tmp_path / "d", host.url("/m"))).read_bytes() == DATA[::-1]


async def test_without_ranges_it_begins_anew(web, host, tmp_path):
    async def once_short(request):
        short = host.count("/m") == 1
        return await gives(ranges=False, fail_after=300_000 if short else None)(request)

    host.routes["/m"] = once_short
    assert (await fetched(web, tmp_path / "d", host.url("/m"))).read_bytes() == DATA


async def test_without_anything_that_tells_versions_apart_it_begins_anew(web, host, tmp_path):
    async def once_short(request):
        return await gives(etag=None, fail_after=300_000 if host.count("/m") == 1 else None)(request)

    host.routes["/m"] = once_short
    assert (await fetched(web, tmp_path / "d", host.url("/m"))).read_bytes() == DATA
    assert "Range" not in host.asked[1].headers


async def test_with_a_hash_mirrors_share_the_work(web, host, other, tmp_path):
    host.routes["/m"] = gives(etag='"a"', fail_after=300_000)
    other.routes["/m"] = gives(etag='"b"', fail_after=300_000)
    patient = dataclasses.replace(LIMITS, tries=20)
    path = await fetched(web, tmp_path / "d", host.url("/m"), other.url("/m"), sha256=SHA256, limits=patient)
    assert path.read_bytes() == DATA
    assert len(host.asked) >= 2
    assert int(other.asked[0].headers["Range"][6:-1]) > 0
    assert "If-Range" not in other.asked[0].headers


async def test_a_mirror_takes_over_for_good(web, host, other, tmp_path):
    host.routes["/m"] = says(status=404)
    other.routes["/m"] = gives()
    assert (await fetched(web, tmp_path / "d", host.url("/m"), other.url("/m"))).read_bytes() == DATA


async def test_a_wrong_hash(web, host, other, tmp_path):
    host.routes["/m"] = gives(DATA[::-1])
    url = host.url("/m")
    assert await refused(fetched(web, tmp_path / "d", url, sha256=SHA256)) == "download_hash"
    assert [path.name for path in (tmp_path / "d").iterdir() if not path.name.startswith(".part")] == []
    other.routes["/m"] = gives()
    assert (await fetched(web, tmp_path / "d", url, other.url("/m"), sha256=SHA256)).read_bytes() == DATA


async def test_pieces_of_two_files_are_told_by_the_hash(web, host, tmp_path):
    """The first connection brings another file's start, of the same length and with nothing that tells it apart."""

    async def mixed(request):
        first = host.count("/m") == 1
        return await gives(DATA[::-1] if first else DATA, etag=None, fail_after=300_000 if first else None)(request)

    host.routes["/m"] = mixed
    assert (await fetched(web, tmp_path / "d", host.url("/m"), sha256=SHA256)).read_bytes() == DATA
    assert [r.headers.get("Range") is None for r in host.asked] == [True, False, True]


async def test_a_length_too_long(web, tmp_path):
    async def talk(number, head, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 100)
        await writer.drain()

    async with raw_host(talk) as origin:
        assert await refused(fetched(web, tmp_path / "d", f"{origin}/m")) == "download_broken"


async def test_a_partial_answer_with_more_than_it_says(web, tmp_path):
    async def talk(number, head, writer):
        if number == 1:
            writer.write(b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 1000\r\n\r\n' + b"x" * 500)
        elif "range: bytes=500-" in head.lower():
            writer.write(b'HTTP/1.1 206 OK\r\nETag: "a"\r\nContent-Range: bytes 500-999/1000\r\n\r\n' + b"x" * 900)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        await writer.drain()

    async with raw_host(talk) as origin:
        assert (await fetched(web, tmp_path / "d", f"{origin}/m")).read_bytes() == b"abc"


async def test_rubbish_instead_of_http(web, tmp_path):
    async def talk(number, head, writer):
        writer.write(b"\x00\x01 SSH-2.0 nothing here\r\n\r\n" * 50)
        await writer.drain()

    async with raw_host(talk) as origin:
        assert await refused(fetched(web, tmp_path / "d", f"{origin}/m")) == "download_broken"


async def test_headers_without_end(web, tmp_path):
    async def talk(number, head, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for count in range(100_000):
            writer.write(b"X-%d: " % count + b"y" * 500 + b"\r\n")
            await writer.drain()

    async with raw_host(talk) as origin:
        assert await refused(fetched(web, tmp_path / "d", f"{origin}/m")) == "download_broken"


async def test_a_server_that_stalls(web, host, tmp_path):
    async def stalls(request):
        response = server.StreamResponse(headers={"ETag": '"one"'})
        response.content_length = len(DATA)
        await response.prepare(request)
        await asyncio.sleep(60)

    host.routes["/m"] = stalls
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"))) == "download_silent"
    assert len(host.asked) == LIMITS.tries


async def test_a_server_that_crawls(web, host, tmp_path, monkeypatch):
    monkeypatch.setattr(receive, "CRAWL_WINDOWS", 0.5)

    async def crawls(request):
        response = server.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.1)

    host.routes["/m"] = crawls
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"))) == "download_silent"


async def test_the_time_limit_counts_over_interruptions(web, host, tmp_path):
    async def crawls(request):
        response = server.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.05)

    host.routes["/m"] = crawls
    url, hurried = host.url("/m"), dataclasses.replace(LIMITS, time_s=0.8)
    task = asyncio.create_task(fetched(web, tmp_path / "d", url))
    while not host.asked:
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await refused(fetched(web, tmp_path / "d", url, limits=hurried)) == "download_time"
    assert len(host.asked) == 1
    assert await refused(fetched(web, tmp_path / "d", url, limits=hurried)) == "download_time"
    assert len(host.asked) == 2


async def test_a_body_without_end_stops_at_the_limit(web, host, tmp_path):
    async def endless(request):
        response = server.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(100_000))

    host.routes["/m"] = endless
    small = dataclasses.replace(LIMITS, size_bytes=3_000_000)
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"), limits=small)) == "download_too_big"
    assert (tmp_path / "d" / ".part").stat().st_size <= 3_000_000


async def test_a_declared_size_over_the_limit_is_not_begun(web, host, tmp_path):
    host.routes["/m"] = gives()
    small = dataclasses.replace(LIMITS, size_bytes=1000)
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"), limits=small)) == "download_too_big"
    assert (tmp_path / "d" / ".part").stat().st_size == 0
    assert await refused(fetched(web, tmp_path / "e", host.url("/m"), limits=small, size_bytes=2000)) == (
        "download_too_big"
    )
    assert len(host.asked) == 1


async def test_the_disk_is_looked_at_first(web, host, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(receive.shutil, "disk_usage", lambda _: usage(10**9, 0, 500_000))
    host.routes["/m"] = gives()
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"))) == "download_no_room"
    assert (tmp_path / "d" / ".part").stat().st_size == 0


async def test_packed_bodies_are_not_unpacked(web, host, tmp_path):
    bomb = gzip.compress(bytes(20_000_000))

    async def packed(request):
        return server.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    host.routes["/m"] = packed
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"))) == "download_packed"


@pytest.mark.parametrize(
    "page", [says("<html>Sign in", Content_Type="text/html"), says("\ufeff  <!DOCTYPE html><p>", Content_Type="x/y"),
             says('{"error": "Unauthorized"}', Content_Type="application/octet-stream")]
)  # fmt: skip
async def test_a_page_instead_of_the_file(web, host, tmp_path, page):
    host.routes["/m.safetensors"] = page
    assert await refused(fetched(web, tmp_path / "d", host.url("/m.safetensors"))) == "download_page"
    assert (tmp_path / "d" / ".part").stat().st_size == 0


@pytest.mark.parametrize(
    ("status", "key", "times"),
    [(401, "download_login", 1), (403, "download_login", 1), (404, "download_missing", 1), (410, "download_missing", 1),
     (400, "download_refused", 1), (503, "download_busy", 3), (500, "download_busy", 3), (204, "download_refused", 1)],
)  # fmt: skip
async def test_refusals_of_a_server(web, host, tmp_path, status, key, times):
    host.routes["/m"] = says(status=status)
    assert await refused(fetched(web, tmp_path / "d", host.url("/m"))) == key
    assert len(host.asked) == times


async def test_a_busy_host_is_left_alone_for_as_long_as_it_asks(web, host, tmp_path):
    async def busy(request):
        if host.count("/m") == 1:
            return server.Response(status=429, headers={"Retry-After": "1"})
        return await gives()(request)

    host.routes["/m"] = busy
    host.routes["/n"] = gives()
    task = asyncio.create_task(fetched(web, tmp_path / "d", host.url("/m")))
    while not host.asked:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    impatient = dataclasses.replace(LIMITS, tries=1)
    assert await refused(fetched(web, tmp_path / "e", host.url("/n"), limits=impatient)) == "download_busy"
    assert host.count("/n") == 0
    assert (await task).read_bytes() == DATA


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="../../../etc/passwd.safetensors"', "passwd.safetensors"),
        ('attachment; filename="C:\\\\Windows\\\\x.safetensors"', "x.safetensors"),
        ('attachment; filename="CON.safetensors"', "_CON.safetensors"),
        ('attachment; filename="lpt1.a.safetensors"', "_lpt1.a.safetensors"),
        ("attachment; filename*=UTF-8''%2e%2e%2f%00a%0ab.safetensors", "_a_b.safetensors"),
        ("attachment; filename=..", "model"),
        ('attachment; filename=".part.json"', "part.json"),
        ("attachment; filename*=utf-8''%E2%80%AEsrotnesetfas.x.safetensors", "_srotnesetfas.x.safetensors"),
        ("attachment; filename=" + "a" * 400 + ".safetensors", "a" * 120 + ".safetensors"),
        ('attachment; filename="x.safetensors."', "x.safetensors"),
        ('attachment; filename="run.exe"', "run.exe"),
    ],
)
async def test_bad_names(web, host, tmp_path, header, name):
    host.routes["/m"] = gives(headers={"Content-Disposition": header})
    path = await fetched(web, tmp_path / "d", host.url("/m"))
    assert path.parent == tmp_path / "d"
    assert path.name == name


async def test_a_crash_between_the_last_byte_and_the_name(web, host, tmp_path):
    """The note is there, the name is not yet."""
    host.routes["/m.safetensors"] = gives()
    folder = tmp_path / "d"
    path = await fetched(web, folder, host.url("/m.safetensors"))
    path.rename(folder / ".part")
    assert await fetched(web, folder, host.url("/m.safetensors")) == path
    assert len(host.asked) == 1


@pytest.mark.slow
async def test_kill_9_in_the_middle(web, host, tmp_path):
    """A process of its own dies; what it had synced is not asked for again."""
    sent = 0

    async def drips(request):
        nonlocal sent
        if "Range" in request.headers:
            return await gives()(request)
        response = server.StreamResponse(headers={"ETag": '"one"'})
        response.content_length = len(DATA)
        await response.prepare(request)
        for at in range(0, 600_000, 20_000):
            await response.write(DATA[at : at + 20_000])
            sent = at + 20_000
            await asyncio.sleep(0.02)
        await asyncio.sleep(60)
        return response

    host.routes["/m"] = drips
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from pathlib import Path
from bot.downloads import receive
from bot.downloads.fetch import FetchLimits, fetch
from bot.downloads.sources import Source
from bot.downloads.web import Tokens, Web, WebRules
receive.SYNC_BYTES, receive.WRITE_EVERY_S = 100_000, 0.05
class Anywhere:
    def allows(self, address): return True
async def main():
    async with Web(WebRules(addresses=Anywhere(), allow_http=True), Tokens()) as web:
        source = Source(urls=({host.url("/m")!r},))
        await fetch(source, Path({str(tmp_path / "d")!r}), FetchLimits(spare_bytes=0), web=web)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script])  # noqa: ASYNC220
    try:
        while sent < 600_000:
            assert process.poll() is None
            await asyncio.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [".part", ".part.json"]
    path = await fetched(web, tmp_path / "d", host.url("/m"))
    assert path.read_bytes() == DATA
    start = int(host.asked[-1].headers["Range"][6:-1])
    assert 100_000 <= start <= 600_000


async def test_the_hash_is_right_after_an_interruption_too(web, host, tmp_path):
    host.routes["/m"] = gives(fail_after=300_000)
    source = Source(urls=(host.url("/m"),), sha256=SHA256)
    assert (await fetch(source, tmp_path / "d", LIMITS, web=web)).read_bytes() == DATA
