"""Where requests go, and what is told to whom."""

import asyncio
import logging
import socket

import pytest
from aiohttp import web as server
from aiohttp.abc import AbstractResolver
from pydantic import SecretStr

from bot.downloads.fetch import fetch
from bot.downloads.sources import Source
from bot.downloads.web import Tokens, Web, WebRules
from bot.errors import UserFacingError

from .conftest import DATA, LIMITS, Anywhere, fetched, gives, redirects, refused, says

SECRET = "s3cr3t-key-of-civitai"
OTHER_SECRET = "hf_s3cr3t"


class Names(AbstractResolver):
    """Answers a name's addresses in turn, the last for ever."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): list(addresses) for name, addresses in names.items()}
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        addresses = self.names.get(host)
        if not addresses:
            raise OSError("no such name")
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self):
        pass


class Only:
    def __init__(self, *allowed):
        self.allowed = allowed
        self.judged = []

    def allows(self, address):
        self.judged.append(address)
        return address in self.allowed


def port_of(host):
    return int(host.origin.rpartition(":")[2])


async def test_the_default_policy_refuses_loopback(host, tmp_path):
    host.routes["/m"] = gives()
    async with Web(WebRules(allow_http=True), Tokens()) as web:
        for name in (
            "127.0.0.1",
            "localhost",
            "[::ffff:127.0.0.1]",
            "[::1]",
            "0.0.0.0",
            "2130706433",
            "127.1",
            "0x7f.1",
        ):
            url = f"http://{name}:{port_of(host)}/m"
            assert await refused(fetched(web, tmp_path / "d", url)) == "download_address", name
    assert host.asked == []


async def test_http_only_where_it_is_allowed(host, tmp_path):
    async with Web(WebRules(addresses=Anywhere()), Tokens()) as web:
        assert await refused(fetched(web, tmp_path / "d", host.url("/m"))) == "download_scheme"
    assert host.asked == []


async def test_each_hop_is_judged(host, tmp_path):
    """A public address, then ones inside."""
    inside = f"http://10.0.0.7:{port_of(host)}/m"
    names = Names(files_example=["127.0.0.1"], inside_example=["192.168.0.9"])
    rules = WebRules(addresses=Only("127.0.0.1"), allow_http=True, resolver=names)
    async with Web(rules, Tokens()) as web:
        start = f"http://files.example:{port_of(host)}/m"
        for target in (inside, "http://169.254.169.254/latest/meta-data/", f"http://inside.example:{port_of(host)}/m",
                       "http://[fd00:ec2::254]/", "//10.0.0.7/m"):  # fmt: skip
            host.routes["/m"] = redirects(target)
            assert await refused(fetched(web, tmp_path / "d", start)) == "download_address", target
        for target, key in (
            ("file:///etc/passwd", "download_bad_answer"), ("http://u:p@files.example/", "download_with_password"),
            ("ftp://files.example/x", "download_scheme"), ("http://files.example:25/x", "download_address"),
            ("", "download_bad_answer"), ("http://[::1", "download_bad_answer"),
        ):  # fmt: skip
            host.routes["/m"] = redirects(target)
            assert await refused(fetched(web, tmp_path / "d", start)) == key, target
    assert {request.path for request in host.asked} == {"/m"}


async def test_a_redirect_down_to_http_is_refused_where_http_is_not_allowed():
    web = Web(WebRules(addresses=Anywhere()), Tokens())
    target = web._target(web._parsed("https://a.example/x"), "http://a.example/y")
    with pytest.raises(UserFacingError, match="download_scheme"):
        web._check(target)


async def test_a_name_that_turns_inward_gains_nothing(host, tmp_path):
    """DNS rebinding: public while it would be checked, private while it is used; every connection is judged by the
    very address that it goes to."""
    host.routes["/m"] = gives(fail_after=300_000)
    names = Names(evil_example=["127.0.0.1", "10.0.0.1"])
    policy = Only("127.0.0.1")
    async with Web(WebRules(addresses=policy, allow_http=True, resolver=names), Tokens()) as web:
        assert (
            await refused(fetched(web, tmp_path / "d", f"http://evil.example:{port_of(host)}/m")) == "download_address"
        )
    assert names.asked == ["evil.example"] * 2
    assert len(host.asked) == 1
    assert "10.0.0.1" in policy.judged


async def test_the_socket_itself_is_judged(host, tmp_path):
    """A resolver that nobody guards would change nothing."""

    class Once:
        def __init__(self):
            self.calls = 0

        def allows(self, address):
            self.calls += 1
            return self.calls == 1  # while resolving, and never again

    names = Names(evil_example=["127.0.0.1"])
    async with Web(WebRules(addresses=Once(), allow_http=True, resolver=names), Tokens()) as web:
        assert (
            await refused(fetched(web, tmp_path / "d", f"http://evil.example:{port_of(host)}/m")) == "download_address"
        )
    assert host.asked == []


async def test_redirects_lead_to_the_file(web, host, other, tmp_path):
    host.routes["/a"] = redirects("/b?x=%2F%3D&y=1")
    host.routes["/b"] = redirects(other.url("/deep/m.safetensors?sig=a%2Fb"), 307)
    other.routes["/deep/m.safetensors"] = gives()
    assert (await fetched(web, tmp_path / "d", host.url("/a"))).read_bytes() == DATA
    assert host.asked[1].rel_url.raw_query_string == "x=%2F%3D&y=1"
    assert other.asked[0].raw_path == "/deep/m.safetensors?sig=a%2Fb"


async def test_redirects_in_a_circle_end(web, host, tmp_path):
    host.routes["/a"] = redirects("/b")
    host.routes["/b"] = redirects("/a")
    assert await refused(fetched(web, tmp_path / "d", host.url("/a"))) == "download_redirects"
    assert len(host.asked) == 11


async def test_an_unknown_host(tmp_path):
    rules = WebRules(addresses=Anywhere(), allow_http=True, resolver=Names())
    async with Web(rules, Tokens()) as web:
        assert await refused(fetched(web, tmp_path / "d", "http://nowhere.example/m")) == "download_host"


@pytest.mark.parametrize(
    ("address", "key", "as_target"),
    [
        ("http://a.example:99999/x", "download_link", "download_bad_answer"),
        ("http://a.example:port/x", "download_link", "download_bad_answer"),
        ("http://xn--zzzz\u00df.example/x", "download_link", "download_bad_answer"),
        ("http://[::zz/x", "download_link", "download_bad_answer"),
        (f"http://{'a' * 70}.example/x", "download_host", "download_host"),
        ("http://a..example/x", "download_host", "download_host"),
        ("", "download_link", "download_bad_answer"),
    ],
)
async def test_addresses_that_nobody_can_have(web, host, address, key, as_target):
    assert await refused(web.read(address)) == key
    host.routes["/m"] = redirects(address)
    assert await refused(web.read(host.url("/m"))) == as_target


async def test_a_certificate_that_nobody_signed(host, tmp_path):
    async with Web(WebRules(addresses=Anywhere(), stall_s=1), Tokens()) as web:
        url = host.url("/m").replace("http:", "https:")
        assert await refused(fetched(web, tmp_path / "d", url)) in ("download_certificate", "download_broken")


@pytest.fixture
async def known(host, other):
    """Civitai is `host`, Hugging Face is `other`."""
    rules = WebRules(addresses=Anywhere(), allow_http=True, stall_s=2, civitai=host.origin, huggingface=other.origin)
    tokens = Tokens(SecretStr(SECRET), SecretStr(OTHER_SECRET))
    async with Web(rules, tokens) as web:
        yield web


def sent_tokens(*hosts):
    return [request.headers.get("Authorization") for host in hosts for request in host.asked]


async def test_a_token_goes_to_its_own_host_alone(known, host, other, tmp_path):
    host.routes["/m"] = redirects("/signed")
    host.routes["/signed"] = redirects(other.url("/cdn"))
    other.routes["/cdn"] = gives()
    await fetched(known, tmp_path / "d", host.url("/m"))
    assert sent_tokens(host) == [f"Bearer {SECRET}"] * 2
    assert sent_tokens(other) == [None]


async def test_a_chain_that_comes_back_gets_no_token(known, host, other, tmp_path):
    localhost = other.origin.replace("127.0.0.1", "localhost")
    host.routes["/m"] = redirects(f"{localhost}/out")
    other.routes["/out"] = redirects(host.url("/back"))
    host.routes["/back"] = gives()
    await fetched(known, tmp_path / "d", host.url("/m"))
    assert sent_tokens(host) == [f"Bearer {SECRET}", None]


async def test_a_stranger_who_leads_to_a_known_host_gets_no_token_sent(known, host, other, tmp_path):
    stranger = other.origin.replace("127.0.0.1", "localhost")
    other.routes["/x"] = redirects(host.url("/m"))
    host.routes["/m"] = gives()
    await fetched(known, tmp_path / "d", f"{stranger}/x")
    assert sent_tokens(host, other) == [None, None]


async def test_tokens_and_signatures_are_in_no_log_and_no_sentence(known, host, other, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    host.routes["/m"] = redirects(other.url("/cdn?Signature=SIGNED"))
    other.routes["/cdn"] = says(status=500)
    source = Source(urls=(host.url("/m"), host.url("/n?key=QUERY")))
    with pytest.raises(UserFacingError) as caught:
        await fetch(source, tmp_path / "d", LIMITS, web=known)
    told = caplog.text + repr(caught.value) + str(caught.value.values) + repr(known) + repr(known.rules)
    assert "127.0.0.1" in told
    for secret in (SECRET, OTHER_SECRET, "SIGNED", "QUERY"):
        assert secret not in told
    assert SECRET not in (tmp_path / "d" / ".part.json").read_text()
    assert SECRET not in repr(Tokens(SecretStr(SECRET)))


async def test_who_asks_for_a_sign_in_is_named(known, host, other, tmp_path):
    host.routes["/m"] = redirects("/login?back=x")
    host.routes["/login"] = says("<html>", Content_Type="text/html")
    other.routes["/m"] = says(status=401)
    assert await refused(fetched(known, tmp_path / "d", host.url("/m"))) == "download_login_civitai"
    assert await refused(fetched(known, tmp_path / "e", other.url("/m"))) == "download_login_huggingface"


async def test_small_answers_are_bounded(web, host):
    async def endless(request):
        response = server.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(100_000))

    host.routes["/endless"] = endless
    host.routes["/broken"] = says("{]")
    host.routes["/deep"] = says("[" * 100_000)
    for path in host.routes:
        assert await refused(web.json(host.url(path))) == "download_bad_answer", path


async def test_no_cookie_comes_back(web, host, tmp_path):
    host.routes["/a"] = says(status=302, Location="/b", Set_Cookie="id=1")
    host.routes["/b"] = gives()
    await fetched(web, tmp_path / "d", host.url("/a"))
    assert "Cookie" not in host.asked[1].headers


async def test_one_host_is_asked_a_few_things_at_a_time(web, host, tmp_path):
    most = now = 0

    async def slow(request):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
        return await gives()(request)

    host.routes["/m"] = slow
    await asyncio.gather(*(fetched(web, tmp_path / str(n), host.url("/m")) for n in range(9)))
    assert most == 4
