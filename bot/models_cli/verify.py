"""`models verify`: asks the sources for what the catalogue does not know; writes it beside the operator's catalogue.

Only empty fields are filled. A hash that a source now gives and that differs from the known one is reported, never
taken over: that is what the known one is for.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from pydantic import ValidationError

from bot import exit_codes
from bot.catalogue import Catalogue, CatalogueError, Entry, verified_file
from bot.catalogue.reader import URLS_MAX, FoundRow, read_rows
from bot.downloads.sources import Source
from bot.errors import StartupError, UserFacingError
from bot.library.paths import safe_stem
from bot.models_cli.console import Console, sentence, size
from bot.models_cli.network import Network, open_network
from bot.settings import Settings

__all__ = ["verify"]

_NAME_CHARS = 100
_HEAD = """\
# What `python3 launch.py models verify` found out; it writes this file anew each time. Your own entries and changes
# belong into catalogue.toml beside it.
"""


async def verify(console: Console, settings: Settings, catalogue: Catalogue, names: Sequence[str]) -> int:
    """Raises UnknownNameError, StartupError. UNEXPECTED where a source failed or has another file."""
    say = console.say
    chosen = catalogue.find(names) if names else tuple(entry for entry in catalogue.entries if entry.unverified)
    if not chosen:
        console.tell(say("models_cli.verify.nothing"))
        return exit_codes.OK
    rows = _rows_so_far(console, verified_file(settings.data))
    failed, changed = 0, False
    async with open_network(settings) as network:
        for entry in chosen:
            console.replace_line(say("models_cli.verify.asking", host=urlsplit(entry.address).hostname, key=entry.key))
            row, told, bad = await _ask(console, network, entry)
            console.end_line()
            console.tell(told)
            failed += bad
            if row is not None and rows.get(entry.key) != row:
                rows[entry.key] = row
                changed = True
                # After each, so that what was found out survives whatever comes.
                _write(console, verified_file(settings.data), rows)
    if changed:
        console.tell(say("models_cli.verify.written", file=verified_file(settings.data)))
    return exit_codes.UNEXPECTED if failed else exit_codes.OK


async def _ask(console: Console, network: Network, entry: Entry) -> tuple[FoundRow | None, str, bool]:
    """A row worth keeping, what to tell, and whether it went wrong."""
    say = console.say
    try:
        found = await network.resolve(entry.address)
    except UserFacingError as error:
        return None, say("models_cli.verify.failed", key=entry.key, reason=sentence(say, error)), True
    if found.sha256 is None:
        return None, say("models_cli.verify.no_hash", key=entry.key), False
    if entry.sha256 not in (None, found.sha256):
        values = {"found": found.sha256[:10], "known": str(entry.sha256)[:10], "page": entry.page or entry.address}
        return None, say("models_cli.verify.differs", key=entry.key, **values), True
    try:
        row = _row(entry, found)
    except ValidationError:
        # An address that is not https, a hash that is none: nothing to rely on later.
        return None, say("models_cli.verify.no_hash", key=entry.key), False
    told = say("models_cli.verify.filled", key=entry.key, size=size(found.size_bytes), hash=found.sha256[:10])
    return row, told, False


def _row(entry: Entry, found: Source) -> FoundRow:
    return FoundRow(
        key=entry.key,
        asked=entry.address,
        urls=[] if entry.urls else list(found.urls)[:URLS_MAX],
        name="" if entry.name or not found.filename else safe_stem(PurePath(found.filename).stem)[:_NAME_CHARS],
        sha256=found.sha256 or "",
        size_bytes=found.size_bytes or 0,
    )


def _rows_so_far(console: Console, file: Path) -> dict[str, FoundRow]:
    try:
        return {row.key: row for row, _ in read_rows(file, "found", FoundRow)}
    except CatalogueError as error:
        if error.reason != "missing":
            console.tell(console.say("models_cli.verify.unreadable", file=file))
        return {}


def _write(console: Console, file: Path, rows: dict[str, FoundRow]) -> None:
    """The whole file at once; a crash leaves the old one."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as opened:
            opened.write(_HEAD + "".join(map(_as_toml, rows.values())))
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        sentence, _, fix = console.say("models_cli.verify.unwritable", file=file, reason=error.strerror).partition(". ")
        raise StartupError(f"{sentence}.", fix, exit_codes.UNEXPECTED) from error


def _as_toml(row: FoundRow) -> str:
    """Strings of JSON without its surrogates are strings of TOML."""
    values = {
        name: json.dumps(value, ensure_ascii=False) if not isinstance(value, int) else str(value)
        for name, value in row.model_dump().items()
    }
    return "\n[[found]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
