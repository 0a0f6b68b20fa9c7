"""Discord's rules for command definitions, checked when a bot syncs.

Source: Discord's API documentation, interactions/application-commands (naming, localisation, 8,000 characters) and the
change log of 3 March 2026 (15 context-menu commands of each kind).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, cast

from simcord.backend import errors
from simcord.backend.errors import BackendError

__all__ = ["LOCALES", "check_commands"]

LOCALES = frozenset(
    [
        "id",
        "da",
        "de",
        "en-GB",
        "en-US",
        "es-ES",
        "es-419",
        "fr",
        "hr",
        "it",
        "lt",
        "hu",
        "nl",
        "no",
        "pl",
        "pt-BR",
        "ro",
        "fi",
        "sv-SE",
        "vi",
        "tr",
        "cs",
        "el",
        "bg",
        "ru",
        "uk",
        "hi",
        "th",
        "zh-CN",
        "ja",
        "zh-TW",
        "ko",
    ]
)
_CHAT_INPUT, _USER, _MESSAGE = 1, 2, 3
_LIMITS = {_CHAT_INPUT: 100, _USER: 15, _MESSAGE: 15}
_SUBCOMMAND, _GROUP = 1, 2
_STRING, _INTEGER, _NUMBER = 3, 4, 10
_TOTAL_LENGTH = 8000


def _refuse(path: str, why: str) -> BackendError:
    return errors.invalid_form_body(f"{path}: {why}")


def _length(value: object, low: int, high: int, path: str) -> str:
    if not isinstance(value, str) or not low <= len(value) <= high:
        raise _refuse(path, f"Must be between {low} and {high} in length.")
    return value


def _name(value: object, path: str) -> str:
    """A slash command's or option's name: 1–32 lower-case letters, digits, '-', '_' and apostrophe."""
    name = _length(value, 1, 32, path)
    if not re.fullmatch(r"[-_'\w]+", name.translate({ord(c): "a" for c in name if unicodedata.category(c)[0] == "M"})):
        raise _refuse(path, "Command name is invalid")
    if name != name.lower():
        raise _refuse(path, "Command name must be lower case")
    return name


def _localised(item: Mapping[str, Any], key: str, path: str, check: Any) -> int:
    """Checks a text with its translations; the longest one counts towards the command's total."""
    longest = len(check(item.get(key), f"{path}.{key}"))
    translations = cast("Mapping[str, Any]", item.get(f"{key}_localizations") or {})
    for locale, text in translations.items():
        if locale not in LOCALES:
            raise _refuse(f"{path}.{key}_localizations", f"{locale} is not a locale")
        longest = max(longest, len(check(text, f"{path}.{key}_localizations.{locale}")))
    return longest


def _description(value: object, path: str) -> str:
    return _length(value, 1, 100, path)


def _menu_name(value: object, path: str) -> str:
    return _length(value, 1, 32, path)


def _choice_name(value: object, path: str) -> str:
    return _length(value, 1, 100, path)


def _choices(option: Mapping[str, Any], path: str) -> int:
    choices = cast("Sequence[Mapping[str, Any]]", option.get("choices") or ())
    if choices and option.get("autocomplete"):
        raise _refuse(path, "An option has either choices or autocomplete")
    if (choices or option.get("autocomplete")) and option.get("type") not in (_STRING, _INTEGER, _NUMBER):
        raise _refuse(path, "Only string, integer and number options have choices or autocomplete")
    if len(choices) > 25:
        raise _refuse(f"{path}.choices", "Must be 25 or fewer in length.")
    if len({str(choice.get("name")) for choice in choices}) < len(choices):
        raise _refuse(f"{path}.choices", "Choice names must be unique")
    total = 0
    for index, choice in enumerate(choices):
        total += _localised(choice, "name", f"{path}.choices[{index}]", _choice_name)
        value = choice.get("value")
        if isinstance(value, str):
            total += len(_length(value, 1, 100, f"{path}.choices[{index}].value"))
        elif option.get("type") == _STRING:
            raise _refuse(f"{path}.choices[{index}].value", "Must be a string")
    return total


def _options(options: Sequence[Mapping[str, Any]], path: str, depth: int) -> int:
    if len(options) > 25:
        raise _refuse(f"{path}.options", "Must be 25 or fewer in length.")
    names = [option.get("name") for option in options]
    if len(set(names)) < len(names):
        raise _refuse(f"{path}.options", "Option names must be unique")
    kinds = {option.get("type") in (_SUBCOMMAND, _GROUP) for option in options}
    if len(kinds) > 1:
        raise _refuse(f"{path}.options", "Sub-command and value options cannot be mixed")
    total, optional_seen = 0, False
    for index, option in enumerate(options):
        here, kind = f"{path}.options[{index}]", option.get("type")
        if kind not in range(1, 12):
            raise _refuse(f"{here}.type", "Unknown option type")
        total += _localised(option, "name", here, _name) + _localised(option, "description", here, _description)
        if kind in (_SUBCOMMAND, _GROUP):
            if depth >= (2 if kind == _SUBCOMMAND else 1):
                raise _refuse(here, "Sub-commands nest at most two deep")
            total += _options(option.get("options") or (), here, 2 if kind == _SUBCOMMAND else 1)
            continue
        if option.get("required") and optional_seen:
            raise _refuse(here, "Required options must be placed before non-required options")
        optional_seen |= not option.get("required")
        for bound in ("min_length", "max_length"):
            if option.get(bound) is not None and not 0 <= int(option[bound]) <= 6000:
                raise _refuse(f"{here}.{bound}", "Must be between 0 and 6000")
        total += _choices(option, here)
    return total


def check_commands(payloads: object) -> None:
    """One scope's whole set of commands, as `PUT …/commands` receives it."""
    if not isinstance(payloads, list):
        raise _refuse("commands", "Must be an array")
    commands = cast("list[Mapping[str, Any]]", payloads)
    for kind, limit in _LIMITS.items():
        if sum(command.get("type", _CHAT_INPUT) == kind for command in commands) > limit:
            raise BackendError(400, 30032, f"Maximum number of application commands reached ({limit})")
    seen: set[tuple[Any, Any]] = set()
    for index, command in enumerate(commands):
        path, kind = f"[{index}]", command.get("type", _CHAT_INPUT)
        if (command.get("name"), kind) in seen:
            raise _refuse(f"{path}.name", "Application command names must be unique")
        seen.add((command.get("name"), kind))
        if kind == _CHAT_INPUT:
            total = _localised(command, "name", path, _name) + _localised(command, "description", path, _description)
            total += _options(command.get("options") or (), path, 0)
            if total > _TOTAL_LENGTH:
                raise _refuse(path, f"Command exceeds maximum size ({_TOTAL_LENGTH})")
        elif kind in (_USER, _MESSAGE):
            _localised(command, "name", path, _menu_name)
            if command.get("description") or command.get("options"):
                raise _refuse(path, "Context menu commands cannot have a description or options")
        else:
            raise _refuse(f"{path}.type", "Unknown command type")
