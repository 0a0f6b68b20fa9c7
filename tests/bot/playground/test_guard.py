"""Who is let in: Host, Origin, key, password, peers; and what the page may load."""

import aiohttp
import pytest

from bot import exit_codes
from bot.playground import __main__ as entry
from bot.playground.person import Person
from bot.playground.server import Options, serve


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as found:
        yield found


def base(playground):
    return playground.endpoints.page.split("/?")[0]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:{port}", "127.0.0.1:1", "192.168.0.7:{port}", ""]
)
async def test_foreign_hosts_are_refused(playground, session, host):
    url = playground.endpoints.page
    port = base(playground).rsplit(":", 1)[1]
    async with session.get(url, headers={"Host": host.format(port=port)}) as answer:
        assert answer.status in (400, 403)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost:{port}"],
)
async def test_foreign_origins_are_refused(playground, session, origin):
    async with session.get(playground.endpoints.page):
        pass
    port = base(playground).rsplit(":", 1)[1]
    headers = {"Origin": origin.format(port=port)}
    async with session.put(f"{base(playground)}/page/locale", json={}, headers=headers) as answer:
        assert answer.status == 403
    async with session.get(f"{base(playground)}/page/live", headers=headers) as answer:
        assert answer.status == 403


async def test_own_names_are_let_in(playground, session):
    port = base(playground).rsplit(":", 1)[1]
    for name in ("localhost", "127.0.0.1"):
        headers = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}"}
        async with session.get(playground.endpoints.page, headers=headers) as answer:
            assert answer.status == 200


async def test_the_key_opens_and_nothing_else_does(playground, session):
    async with session.get(f"{base(playground)}/page/boot") as answer:
        assert answer.status == 401
    async with session.get(f"{base(playground)}/?key=wrong") as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
        assert "terminal" in await answer.text()
    async with session.post(f"{base(playground)}/login", json={"password": ""}) as answer:
        assert answer.status == 404
    async with session.get(playground.endpoints.page) as answer:
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
    async with session.get(f"{base(playground)}/page/boot") as answer:
        assert answer.status == 200


async def test_the_bots_side_is_closed_to_browsers(playground, session):
    headers = {"Authorization": f"Bot {playground.endpoints.token}"}
    async with session.get(f"{playground.endpoints.api}/users/@me", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
    async with session.get(
        f"{playground.endpoints.api}/users/@me", headers=headers | {"Origin": base(playground)}
    ) as answer:
        assert answer.status == 403
    async with session.get(f"{playground.endpoints.api}/users/@me") as answer:
        assert answer.status == 401


async def test_headers_forbid_what_the_page_does_not_need(playground, session):
    async with session.get(playground.endpoints.page) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_uploads_never_run_on_the_pages_origin(playground, member, session):
    await member.say(
        "general", "x", {"a": ("page.html", b"<script>1</script>"), "b": ("i.svg", b"<svg/>"), "c": ("p.png", b"p")}
    )
    html, svg, png = [(item["url"], item["filename"]) for item in (await member.messages("general"))[0].attachments]
    for (url, _), disposition in ((html, "attachment"), (svg, "attachment"), (png, "inline")):
        async with session.get(base(playground) + url) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Disposition"] == disposition
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "html" not in answer.headers["Content-Type"]
            assert "svg" not in answer.headers["Content-Type"]


async def test_attachment_addresses_are_signed_and_expire(playground, member, session, clock):
    await member.say("general", "x", {"a": ("a.png", b"p")})
    url = base(playground) + (await member.messages("general"))[0].attachments[0]["url"]
    for bad in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.split("?")[0], url.replace("ex=", "ex=f")):
        async with session.get(bad) as answer:
            assert answer.status == 404
    clock.advance(3 * 24 * 3600)
    async with session.get(url) as answer:
        assert answer.status == 404
    assert await member.download((await member.messages("general"))[0].attachments[0]["url"]) == b"p"


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/%2e%2e/server.py", "/static/app.py", "/cdn/attachments/1/../2", "/nothing"],
)
async def test_no_other_files(playground, session, path):
    async with session.get(base(playground) + path) as answer:
        assert answer.status == 404


async def test_an_opened_playground_asks_for_its_password(tmp_path, session):
    async with serve(Options(tmp_path, host="0.0.0.0", password="correct horse")) as running:
        address = base(running)
        port = address.rsplit(":", 1)[1]
        async with session.get(f"{address}/", headers={"Host": f"192.168.0.7:{port}"}) as answer:
            assert "password" in await answer.text()
        async with session.get(f"{address}/", headers={"Host": f"evil.example:{port}"}) as answer:
            assert answer.status == 403
        async with session.get(f"{address}/page/boot") as answer:
            assert answer.status == 401
        async with session.post(f"{address}/login", json={"password": "wrong"}) as answer:
            assert answer.status == 403
        async with session.post(f"{address}/login", json={"password": "correct horse"}) as answer:
            assert answer.status == 200
        async with session.get(f"{address}/page/boot") as answer:
            assert answer.status == 200
        async with await Person.enter(running.endpoints.page) as member:
            await member.say("general", "the key works on this machine")


async def test_guessing_the_password_is_slow(tmp_path, session):
    async with serve(Options(tmp_path, host="0.0.0.0", password="correct horse")) as running:
        statuses = []
        for number in range(6):
            async with session.post(f"{base(running)}/login", json={"password": str(number)}) as answer:
                statuses.append(answer.status)
        async with session.post(f"{base(running)}/login", json={"password": "correct horse"}) as answer:
            statuses.append(answer.status)
        assert statuses == [403] * 5 + [429, 429]


def test_listening_needs_a_password(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("PINCEL_PLAYGROUND_PASSWORD", raising=False)
    assert entry.main(["--data", str(tmp_path), "--listen", "0.0.0.0"]) == exit_codes.USAGE
    said = capsys.readouterr().err.strip()
    assert "PINCEL_PASSWORD" in said
    assert "\n" not in said
