"""sd-scripts' parameters as a command line says them: `--max_train_epochs 5 --shuffle_caption`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_worker.language.training.config import TEXT_KEYS
from gpu_worker.language.training.config_errors import ConfigError

__all__ = ["read_words"]

Value = str | int | float | bool | list[str]

_WHOLE = re.compile(r"[+-]?\d{1,25}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_LISTS = ("network_args", "optimizer_args")


def read_words(words: Sequence[str]) -> dict[str, Value]:
    """As the configuration file would have them, unchecked; `--key=value` is `--key value`, and a key alone is true.
    Raises ConfigError for a word that belongs to no key."""
    found: dict[str, Value] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise ConfigError(word[:60], "belongs to no option", "Write options as --name value.")
        key, equals, value = word[2:].partition("=")
        # sd-scripts' own names have underscores.
        key = key.replace("-", "_")
        if key in _LISTS:
            found[key] = [value] if equals else _taken(rest)
        elif equals:
            found[key] = _value(key, value)
        elif rest and not rest[0].startswith("--"):
            found[key] = _value(key, rest.pop(0))
        else:
            found[key] = True
    return found


def _taken(rest: list[str]) -> list[str]:
    taken: list[str] = []
    while rest and not rest[0].startswith("--"):
        taken.append(rest.pop(0))
    return taken


def _value(key: str, text: str) -> Value:
    if key in TEXT_KEYS:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
