"""The one question at the first start of somebody who sits at a terminal and has no model yet. Nothing is fetched
unasked, and the answer is remembered; launch.py looks for it before it starts this."""

from __future__ import annotations

import asyncio
import contextlib
import os

from bot import exit_codes
from bot.catalogue import CatalogueError, operators_catalogue
from bot.models_cli.console import Console
from bot.models_cli.install import install
from bot.models_cli.listing import offer_line, sum_of
from bot.models_cli.there import look
from bot.settings import Settings

__all__ = ["ANSWER_FILE", "START_SET", "offer"]

ANSWER_FILE = "models-offered"
"""In the data folder; launch.py knows the name, too."""
START_SET = "start"


def offer(console: Console, settings: Settings) -> int:
    """Never a reason not to start: everything but Ctrl-C ends with OK."""
    answered = settings.data / ANSWER_FILE
    if answered.exists() or not console.interactive() or os.environ.get("CI"):
        return exit_codes.OK
    there = look(settings)
    if there.has_checkpoint():
        _remember(settings, "models were there")
        return exit_codes.OK
    try:
        entries = operators_catalogue(settings.data).sets.get(START_SET, ())
    except CatalogueError:
        return exit_codes.OK  # `models list` says what is wrong with it; the demo draws meanwhile
    entries = tuple(entry for entry in entries if entry.installable)
    if not entries:
        return exit_codes.OK
    say = console.say
    console.tell("\n" + say("models_cli.offer.sentence"))
    for entry in entries:
        console.tell(offer_line(console, entry, there))
    agreed = console.agreed(say("models_cli.offer.question", size=sum_of(console, entries)))
    if agreed is None:
        return exit_codes.OK
    _remember(settings, "yes" if agreed else "no")
    if not agreed:
        console.tell(say("models_cli.offer.later") + "\n")
        return exit_codes.OK
    if asyncio.run(install(console, settings, entries, yes=True)) != exit_codes.OK:
        console.tell(say("models_cli.offer.unfinished"))
    console.tell()
    return exit_codes.OK


def _remember(settings: Settings, answer: str) -> None:
    # An unwritable folder is the database's sentence to say.
    with contextlib.suppress(OSError):
        settings.data.mkdir(parents=True, exist_ok=True)
        (settings.data / ANSWER_FILE).write_text(f"{answer}\n", encoding="utf-8")
