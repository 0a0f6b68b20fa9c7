from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import replace

import pytest

from bot.broker.certificates import new_authority
from bot.broker.seeds import new_seed
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import INVITE_CHARS_MAX, Invite, InviteError, is_invite, read_invite

CA = new_authority().certificate_pem.decode()
URLS = ("tls://[2001:db8::1]:4222", "wss://pincel.example.org:443/broker")
INVITE = Invite("garage", Access(URLS, new_seed(), CA, "pincel-broker"), "pincel")


def reason_of(text: str) -> str:
    with pytest.raises(InviteError) as caught:
        read_invite(text)
    return caught.value.reason


def test_invite_is_one_short_string_and_comes_back_whole():
    assert read_invite(INVITE.text) == INVITE
    assert INVITE.text.startswith("pincel1-")
    assert len(INVITE.text) < INVITE_CHARS_MAX
    assert len(replace(INVITE, machine="x" * 32).text) < 1000


def test_invite_may_be_pasted_as_people_paste():
    text = INVITE.text
    for pasted in (f"```\n{text}\n```", f"'{text}'", f'"{text}" ', f"{text[:70]}\n  {text[70:]}", f"`{text}`\r\n"):
        assert is_invite(pasted)
        assert read_invite(pasted) == INVITE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "none"),
        ("nats://10.0.0.5:4222", "none"),
        ("/home/me/invite.txt", "none"),
        ("pincel1-", "none"),
        ("pincel1-" + "A" * 100_000, "none"),
        (INVITE.text.replace("pincel1-", "pincel2-"), "version"),
        (INVITE.text[:-1], "damaged"),
        (INVITE.text[:60], "damaged"),
        (INVITE.text[:50] + ("B" if INVITE.text[50] == "A" else "A") + INVITE.text[51:], "damaged"),
        ("pincel1-AAAA", "damaged"),
    ],
    ids=itertools.count(),  # a key is another in each process that collects the tests
)
def test_what_is_no_whole_invite_is_refused_with_its_reason(text, reason):
    assert reason_of(text) == reason


def forged(**changes: object) -> str:
    """With a check that is right: whoever writes one by hand can do that, too."""
    import msgpack

    said = {"m": "garage", "u": list(URLS), "k": INVITE.access.seed, "c": [], "n": "", "p": "pincel", **changes}
    body = msgpack.packb(said)
    return "pincel1-" + base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:6] + body).decode().rstrip("=")


@pytest.mark.parametrize(
    "changes",
    [
        {"m": "a.b"}, {"m": "../x"}, {"u": []}, {"u": ["file:///etc/passwd"]}, {"u": ["nats://user:word@x"]},
        {"u": ["nats://x"] * 9}, {"k": "SAAA"}, {"k": "-----BEGIN"}, {"n": "a b"}, {"p": "pincel.>"}, {"c": "text"},
    ],
)  # fmt: skip
def test_invite_with_what_no_bot_writes_is_damaged(changes):
    assert read_invite(forged()).machine == "garage"
    assert reason_of(forged(**changes)) == "damaged"


def test_fields_of_later_versions_are_left_alone():
    assert read_invite(forged(z=[1, 2])).machine == "garage"


def test_too_many_certificates_for_one_message_are_told():
    with pytest.raises(ValueError, match="characters"):
        _ = replace(INVITE, access=replace(INVITE.access, ca_pem=CA * 5)).text


def test_secrets_do_not_show():
    access = Access(("nats://me:hunter2@10.0.0.5",), INVITE.access.seed)
    shown = f"{INVITE!r} {access!r} {access.place}"
    assert "hunter2" not in shown
    assert INVITE.access.seed not in shown
    assert access.place == "10.0.0.5:4222"
    assert INVITE.access.place == "2001:db8::1:4222, pincel.example.org:443"


def test_each_protocol_has_its_turn_and_a_web_socket_is_known_by_its_address():
    bare, web = INVITE.access.by_protocol()
    assert (bare.urls, bare.server_name) == (URLS[:1], "pincel-broker")
    assert (web.urls, web.server_name) == (URLS[1:], "")


@pytest.mark.parametrize(
    ("access", "asks"),
    [
        (Access.plain("nats://x"), False), (Access.plain("ws://x"), False), (Access.plain("tls://x"), True),
        (Access.plain("wss://x"), True), (Access(("nats://x",), ca_pem=CA), True),
    ],
)  # fmt: skip
def test_tls_is_asked_for_by_address_or_certificate(access, asks):
    assert access.asks_for_tls is asks
    assert (access.context() is not None) is asks
