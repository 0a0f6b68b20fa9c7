"""Every sentence a user reads, by key, in every language that has a folder here.

Texts live in `<language>/<topic>.toml`, or all of a language in one `<language>.toml`; a key is the dotted path inside
the file, without the topic. A key that counts has one text for each form that the language knows (`.one` and `.other`
in English), chosen by the value `n`. Tests keep the languages equal in keys and values. What one lacks is said in
English.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bot.errors import UserFacingError
from bot.i18n.plurals import plural_form

__all__ = [
    "ENGLISH",
    "LANGUAGES",
    "Texts",
    "language_of",
    "languages_in",
    "load_language",
    "read_language",
    "texts_for",
]

ENGLISH = "en"
"""What every other language is measured by, and what is said where nobody knows better."""
_HERE = Path(__file__).parent


def languages_in(folder: Path) -> tuple[str, ...]:
    """Names as Discord's locales or their first part: `es`, `pt-BR`. English comes first."""
    found = {item.stem for item in folder.iterdir() if _is_language(item)}
    return (ENGLISH, *sorted(found - {ENGLISH}))


def _is_language(item: Path) -> bool:
    named = re.fullmatch(r"[a-z]{2,3}(-[A-Z0-9]{2,3})?", item.stem) is not None
    return named and (item.suffix == ".toml" or (item.is_dir() and any(item.glob("*.toml"))))


LANGUAGES = languages_in(_HERE)


def language_of(locale: str | None, languages: Sequence[str] = LANGUAGES) -> str:
    """`es-ES`, `es-419` → `es`, and `pt-BR` → `pt-BR`, else `pt`; everything that we have no texts for → `en`."""
    wanted = (locale or "").lower()
    by_name = {language.lower(): language for language in languages}
    return by_name.get(wanted) or by_name.get(wanted.split("-")[0]) or ENGLISH


def _leaves(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from _leaves(value, here)  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield here, str(value)


def read_language(folder: Path, language: str) -> Mapping[str, str]:
    """All texts of one language, as they are written there; raises ValueError where the same key stands twice."""
    found: dict[str, str] = {}
    for file in (*sorted((folder / language).glob("*.toml")), *sorted(folder.glob(f"{language}.toml"))):
        for key, text in _leaves(tomllib.loads(file.read_text(encoding="utf-8"))):
            if key in found:
                raise ValueError(f"{file.name}: the key {key} exists twice in {language}")
            found[key] = text
    return MappingProxyType(found)


@cache
def load_language(language: str) -> Mapping[str, str]:
    """As `read_language` of ours."""
    return read_language(_HERE, language)


class Texts:
    """The texts of one language. Calling it with a key and values gives the sentence."""

    def __init__(self, language: str, own: Mapping[str, str] | None = None) -> None:
        """`own` in place of what lies in our folder."""
        self.language = language
        self._own = load_language(language) if own is None else own
        self._english = load_language(ENGLISH)

    def __call__(self, key: str, /, **values: object) -> str:
        """A value that is a refusal is said as its own sentence. Raises KeyError for an unknown key or a missing value:
        both are bugs that a test finds."""
        values = {name: self._said(value) for name, value in values.items()}
        text = self._found(key, self._own, self.language, values)
        if text is None:
            text = self._found(key, self._english, ENGLISH, values)
        if text is None:
            raise KeyError(key)
        return text.format_map(values)

    def _said(self, value: object) -> object:
        return self(f"error.{value.key}", **value.values) if isinstance(value, UserFacingError) else value

    def has(self, key: str) -> bool:
        return key in self._own or key in self._english

    @staticmethod
    def _found(key: str, texts: Mapping[str, str], language: str, values: Mapping[str, object]) -> str | None:
        if key not in texts and "n" in values:
            key = f"{key}.{plural_form(language, values['n'])}"
        return texts.get(key)


@cache
def texts_for(locale: str | None) -> Texts:
    return Texts(language_of(locale))
