"""`python -m bot.playground --data DIR --port N`: runs the playground until it is told to stop or its parent is gone.

When it is ready it prints one line of JSON with the fields of `redirect.Endpoints`. Exit codes: 0 stopped, 2 wrong
arguments, 71 the folder or its database cannot be used, 74 the port is taken (bot/exit_codes.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import ipaddress
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from bot import exit_codes
from bot.errors import StartupError
from bot.playground.server import DEFAULT_LIMIT_BYTES, Options, serve
from bot.playground.startup import startup_error


def _arguments(argv: list[str] | None) -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(prog="python -m bot.playground", description="A local Discord with a web page.")
    parser.add_argument("--data", type=Path, required=True, help="folder for its messages and pictures")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--listen", metavar="HOST", help="open the page to the network; needs a password")
    parser.add_argument(
        "--password", help="for --listen; the variable PINCEL_PLAYGROUND_PASSWORD keeps it off the screen"
    )
    parser.add_argument("--attachment-limit", type=int, default=DEFAULT_LIMIT_BYTES, metavar="BYTES")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input is closed")
    found = parser.parse_args(argv)
    host = found.listen or "127.0.0.1"
    password = found.password or os.environ.get("PINCEL_PLAYGROUND_PASSWORD") or None
    if not _loopback(host) and password is None:
        raise startup_error("no_password", exit_codes.USAGE, host=host)
    # A password only ever guards a page that others can reach; this machine's owner holds the key.
    options = Options(found.data, found.port, host, None if _loopback(host) else password, found.attachment_limit)
    return options, found.watch_stdin


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """A thread, because Windows has no other way to wait for a pipe; the parent's death closes it."""

    def wait() -> None:
        # os.read, not the buffered reader: that one's lock would hang the interpreter's exit.
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="playground-stdin", daemon=True).start()


async def _run(options: Options, watch_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(getattr(signal, name), stop.set)
    if watch_stdin:
        # Ctrl-C reaches the whole group; the bot still needs us for its last edits, and closes the pipe after them.
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    async with serve(options) as playground:
        print(json.dumps(dataclasses.asdict(playground.endpoints)), flush=True)  # noqa: T201
        if watch_stdin:
            _watch_stdin(loop, stop)
        await stop.wait()


def main(argv: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.WARNING, format="playground: %(message)s")
    try:
        options, watch_stdin = _arguments(argv)
        asyncio.run(_run(options, watch_stdin))
    except StartupError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
