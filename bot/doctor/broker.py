"""The broker of workers on other machines: its program, its port, what they would dial."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from bot.addresses import BROKER_PORT, Listener, listeners
from bot.broker.program import VERSION_MIN, find_program, version_of
from bot.broker.setting_up import addresses_of
from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings

__all__ = ["check_broker"]

_VERSION_SAFE = (2, 11)
"""From then on a machine's receipts can give no orders; docs/fleet.md#the-broker."""
_WAIT_S = 5


def check_broker(say: Texts, settings: Settings, *, bot_runs: bool) -> Iterator[Check]:
    """Nothing where there is none."""
    url = settings.nats_url.get_secret_value()
    if settings.broker:
        yield from _own(say, settings, bot_runs=bot_runs)
    elif url:
        yield _elsewhere(say, url)


def _own(say: Texts, settings: Settings, *, bot_runs: bool) -> Iterator[Check]:
    program = find_program()
    if program is None:
        yield finding(say, "broker", State.FAIL, "missing")
        return
    version = version_of(program)
    if version is None or version < VERSION_MIN:
        yield finding(say, "broker", State.FAIL, "useless", program=program, minimum=_dotted(VERSION_MIN))
        return
    for place in listeners(settings.broker):
        reason = None if bot_runs else _taken(place)
        if reason is not None:
            yield finding(say, "broker", State.FAIL, "taken", address=place.place, reason=reason)
            return
    if version < _VERSION_SAFE:
        yield finding(say, "broker", State.WARN, "old", version=_dotted(version), better=_dotted(_VERSION_SAFE))
    dialled = addresses_of(settings)
    if not dialled:
        yield finding(say, "broker", State.WARN, "nowhere", address=settings.broker)
        return
    yield finding(say, "broker", State.OK, "good", version=_dotted(version), addresses=", ".join(dialled))


def _elsewhere(say: Texts, url: str) -> Check:
    parts = urlsplit(url)
    port = parts.port or {"ws": 80, "wss": 443}.get(parts.scheme, BROKER_PORT)
    address = f"{parts.hostname}:{port}"
    try:
        socket.create_connection((parts.hostname or "", port), _WAIT_S).close()
    except OSError as error:
        return finding(say, "broker", State.FAIL, "away", address=address, reason=error.strerror or str(error))
    return finding(say, "broker", State.OK, "answers", address=address)


def _taken(place: Listener) -> str | None:
    """Why it cannot be had."""
    try:
        family, kind, protocol, _, there = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(there)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
