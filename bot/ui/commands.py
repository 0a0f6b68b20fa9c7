"""Names and descriptions of commands by text key, and fuzzy autocomplete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from discord import app_commands
from rapidfuzz import fuzz, process, utils

from bot.i18n import load_language

__all__ = ["CHOICES_LIMIT", "NAME_LIMIT", "choices", "keyed", "localised_options"]

CHOICES_LIMIT = 25
NAME_LIMIT = 100

F = TypeVar("F", bound=Callable[..., Any])


def keyed(key: str) -> app_commands.locale_str:
    """The English text, translated by its key. Raises KeyError for an unknown key: at import, so a test sees it."""
    return app_commands.locale_str(load_language("en")[key], key=key)


def localised_options(command: str, *options: str) -> Callable[[F], F]:
    """Gives every option its localised name and description, `option.<command>.<option>.name|description`."""

    def decorate(function: F) -> F:
        for option in options:
            base = f"option.{command}.{option}"
            function = app_commands.describe(**{option: keyed(f"{base}.description")})(function)
            function = app_commands.rename(**{option: keyed(f"{base}.name")})(function)
        return function

    return decorate


def choices(typed: str, names: Sequence[str], *, marked: Sequence[str] = ()) -> list[app_commands.Choice[str]]:
    """At most 25 rows, best match first; without anything typed `marked` come first. Instant: no I/O."""
    typed = typed.strip()
    if not typed:
        ordered = [*marked, *(name for name in names if name not in marked)]
    else:
        found = process.extract(typed, names, scorer=fuzz.WRatio, processor=utils.default_process, limit=CHOICES_LIMIT)
        wanted = typed.casefold()
        # What literally contains the typed text goes before what merely resembles it.
        ranked = sorted(found, key=lambda hit: (wanted not in hit[0].casefold(), -hit[1]))
        ordered = [name for name, score, _ in ranked if score >= 45 or wanted in name.casefold()]
    return [app_commands.Choice(name=name[:NAME_LIMIT], value=name[:NAME_LIMIT]) for name in ordered[:CHOICES_LIMIT]]
