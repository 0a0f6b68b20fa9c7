"""PINCEL_METRICS: whether its address is free, what a running bot says there, and who else can read it."""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings, is_loopback, split_address

__all__ = ["check_metrics"]

ANSWER_LIMIT_S = 10
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked for by the operator
"""Where this machine asks what listens on all of its addresses."""


def check_metrics(say: Texts, settings: Settings, *, bot_runs: bool) -> Iterator[Check]:
    """Nothing where nothing is offered."""
    place = split_address(settings.metrics)
    if place is None:
        return
    if not is_loopback(place[0]):
        yield finding(say, "metrics", State.WARN, "open", address=settings.metrics)
    yield _asked(say, settings.metrics, place) if bot_runs else _bound(say, settings.metrics, place)


def _asked(say: Texts, address: str, place: tuple[str, int]) -> Check:
    host = EVERYWHERE.get(place[0], place[0])
    url = f"http://[{host}]:{place[1]}/readyz" if ":" in host else f"http://{host}:{place[1]}/readyz"
    try:
        said = _get(url)
        reasons = {name: check["reason"] for name, check in said["checks"].items() if not check["ok"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return finding(say, "metrics", State.WARN, "silent", address=address)
    if reasons:
        told = ", ".join(f"{name} ({reason})" for name, reason in reasons.items())
        return finding(say, "metrics", State.WARN, "unready", address=address, reasons=told)
    return finding(say, "metrics", State.OK, "ready", address=address)


def _get(url: str) -> Any:
    # The bot's own address: no proxy is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_LIMIT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return json.load(error)


def _bound(say: Texts, address: str, place: tuple[str, int]) -> Check:
    try:
        family, kind, protocol, _, there = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(there)
    except OSError as error:
        return finding(say, "metrics", State.FAIL, "taken", address=address, reason=error.strerror or str(error))
    return finding(say, "metrics", State.OK, "good", address=address)
