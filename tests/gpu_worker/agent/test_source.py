"""Files from where they were published: a real web server, and whatever it may do to us."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gpu_worker.agent.source import SourceRules
from gpu_worker.agent.stock import StockError
from tests.gpu_worker.agent.test_stock import MB, Bot, Told, assign, content, lora, make, ref


class Anywhere:
    def allows(self, address: str) -> bool:
        return True


class Site:
    """A host with one file, that can misbehave."""

    def __init__(self, data: bytes) -> None:
        self.data, self.hits, self.ranges = data, 0, list[str]()
        self.status, self.most, self.to = 200, len(data), ""
        self.encoding = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.hits += 1
        if self.to and not request.path.endswith("there"):
            raise web.HTTPFound(self.to)
        if self.status != 200:
            return web.Response(status=self.status)
        wanted = request.headers.get("Range", "")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        headers = {"Content-Length": str(len(self.data) - start)}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        if self.encoding:
            headers["Content-Encoding"] = self.encoding
        response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
        await response.prepare(request)
        await response.write(self.data[start : start + self.most])
        if self.most < len(self.data) - start and request.transport is not None:
            request.transport.close()
        return response

    @asynccontextmanager
    async def open(self, host: str = "127.0.0.1") -> AsyncGenerator[str]:
        app = web.Application()
        app.router.add_get("/{any:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, host, 0).start()
        try:
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


OPEN = SourceRules(Anywhere(), tls=False)


async def fetched(tmp_path, site: Site, data: bytes, *, rules: SourceRules = OPEN, source: str = "", mode="source"):
    bot = Bot(data)
    async with site.open() as root:
        stock = make(tmp_path, bot, rules, models_from=mode)
        assert await stock.ready(assign(ref("mine", data, source=source or f"{root}/file")), Told())
    assert lora(tmp_path, "mine").read_bytes() == data
    return bot


async def test_a_file_comes_from_where_it_was_published_and_costs_the_bot_nothing(tmp_path):
    data = content(3 * MB)
    site = Site(data)
    assert not (await fetched(tmp_path, site, data)).asked
    assert site.hits == 1


@pytest.mark.parametrize("status", [404, 401, 500])
async def test_what_is_not_there_any_more_comes_from_the_bot(tmp_path, status):
    data = content(MB)
    site = Site(data)
    site.status = status
    assert len((await fetched(tmp_path, site, data)).asked) == 2
    assert site.hits == 1


async def test_a_source_that_breaks_off_is_completed_by_the_bot(tmp_path):
    data = content(4 * MB)
    site = Site(data)
    site.most = 2 * MB
    asked = (await fetched(tmp_path, site, data)).asked
    assert 0 < len(asked) < 8


async def test_a_source_is_gone_on_with_where_it_broke_off(tmp_path):
    data = content(4 * MB)
    wanted = ref("mine", data)
    parts = tmp_path / "fetched" / ".parts"
    parts.mkdir(parents=True)
    (parts / f"{wanted.sha256}.part").write_bytes(data[: MB + 3])
    site = Site(data)
    assert not (await fetched(tmp_path, site, data)).asked
    assert site.ranges == [f"bytes={MB + 3}-"]


async def test_other_bytes_at_the_source_come_from_the_bot_instead(tmp_path):
    data = content(2 * MB)
    assert (await fetched(tmp_path, Site(content(2 * MB, 1)), data)).asked


async def test_a_page_in_place_of_the_file_is_left_at_its_first_line(tmp_path):
    data = content(2 * MB)
    assert (await fetched(tmp_path, Site(b"<html>log in</html>"), data)).asked


async def test_what_comes_packed_is_not_unpacked(tmp_path):
    data = content(MB)
    site = Site(data)
    site.encoding = "gzip"
    assert (await fetched(tmp_path, site, data)).asked


async def test_private_addresses_are_refused_before_anything_is_sent(tmp_path):
    data = content(MB)
    site = Site(data)
    assert (await fetched(tmp_path, site, data, rules=SourceRules(tls=False))).asked
    assert site.hits == 0


async def test_a_redirect_to_a_private_address_is_not_followed(tmp_path):
    class LoopbackOne:
        """One address is public here, and no other."""

        def allows(self, address: str) -> bool:
            return address == "127.0.0.1"

    data = content(MB)
    inner = Site(data)
    async with inner.open("127.0.0.2") as hidden:
        site = Site(data)
        site.to = f"{hidden}/there"
        bot = await fetched(tmp_path, site, data, rules=SourceRules(LoopbackOne(), tls=False))
    assert bot.asked
    assert site.hits == 1
    assert inner.hits == 0


@pytest.mark.parametrize(
    "address", ["ftp://example.org/f", "http://example.org/f", "https://u:p@example.org/f", "x", ""]
)
async def test_only_https_without_a_password_is_asked(tmp_path, address):
    data = content(MB)
    assert (await fetched(tmp_path, Site(data), data, rules=SourceRules(Anywhere()), source=address or "?")).asked


async def test_small_files_and_those_of_a_machine_that_may_not_come_from_the_bot(tmp_path):
    data = content(MB)
    site = Site(data)
    assert (await fetched(tmp_path / "a", site, data, mode="auto")).asked
    assert site.hits == 0
    assert (await fetched(tmp_path / "b", site, data, mode="bot")).asked
    assert site.hits == 0


async def test_where_neither_has_the_right_bytes_nothing_is_kept(tmp_path):
    data, other = content(MB), content(MB, 1)
    wanted = ref("mine", data)
    site = Site(other)
    bot = Bot()
    bot.files[wanted.sha256] = other
    async with site.open() as root:
        stock = make(tmp_path, bot, OPEN, models_from="source")
        with pytest.raises(StockError):
            await stock.ready(assign(ref("mine", data, source=f"{root}/f")), Told())
    assert hashlib.sha256(other).hexdigest() != wanted.sha256
    assert not lora(tmp_path, "mine").exists()
