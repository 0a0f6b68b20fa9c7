"""Every sentence a user reads, by key, in English and Spanish.

Texts live in `<language>/<topic>.toml`; a key is the dotted path inside the file, without the topic. A key that
counts has the forms `.one` and `.other`, chosen by the value `n`. A test keeps the languages equal in keys and values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["LANGUAGES", "Texts", "language_of", "load_language", "texts_for"]

LANGUAGES = ("en", "es")
_HERE = Path(__file__).parent


def language_of(locale: str | None) -> str:
    """`es-ES`, `es-419` → `es`; everything else we have no texts for → `en`."""
    prefix = (locale or "").split("-")[0].lower()
    return prefix if prefix in LANGUAGES else "en"


def _leaves(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from _leaves(value, here)  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield here, str(value)


@cache
def load_language(language: str) -> Mapping[str, str]:
    """All texts of one language; raises ValueError where two topics define the same key."""
    found: dict[str, str] = {}
    for file in sorted((_HERE / language).glob("*.toml")):
        for key, text in _leaves(tomllib.loads(file.read_text(encoding="utf-8"))):
            if key in found:
                raise ValueError(f"{file.name}: the key {key} exists twice in {language}")
            found[key] = text
    return MappingProxyType(found)


class Texts:
    """The texts of one language. Calling it with a key and values gives the sentence."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = load_language(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Raises KeyError for an unknown key or a missing value: both are bugs that a test finds."""
        if key not in self._texts and "n" in values:
            key = f"{key}.one" if values["n"] == 1 else f"{key}.other"
        return self._texts[key].format_map(values)

    def has(self, key: str) -> bool:
        return key in self._texts


@cache
def texts_for(locale: str | None) -> Texts:
    return Texts(language_of(locale))
