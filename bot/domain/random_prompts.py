"""Random prompts from lists that ship: a subject, what it does, where, in which light, in which manner."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import MappingProxyType

__all__ = ["THEMES", "random_prompt", "themes"]

_FILE = Path(__file__).with_name("random_prompts.toml")
_MANNER_ODDS = 0.85


@dataclass(frozen=True)
class Theme:
    """Parts of a prompt; `manners` are those that suit it."""

    subjects: tuple[str, ...]
    places: tuple[str, ...]
    lights: tuple[str, ...]
    manners: tuple[str, ...]


@cache
def themes() -> Mapping[str, Theme]:
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    common = table.pop("common")
    found = {
        key: Theme(
            subjects=tuple(theme["subjects"]),
            places=tuple(theme["places"]),
            lights=tuple(theme.get("lights", common["lights"])),
            manners=tuple(theme.get("manners", common["manners"])),
        )
        for key, theme in table.items()
    }
    return MappingProxyType(found)


THEMES = (
    "animals",
    "fantasy",
    "science-fiction",
    "landscape",
    "city",
    "portrait",
    "food",
    "things",
    "cosy",
    "abstract",
)
"""In the order of the list that people choose from; each has a name of its own in bot/i18n."""


def random_prompt(theme: str | None, rng: Random, *, about: str | None = None) -> str:
    """A theme of THEMES, or any. `about` stands in the place of the subject: anything that somebody wants it to be of,
    a wildcard for example."""
    chosen = themes()[theme or rng.choice(THEMES)]
    parts = [about or rng.choice(chosen.subjects)]
    place = rng.choice(chosen.places)
    parts[0] = f"{parts[0]} {place}" if place else parts[0]
    parts.append(rng.choice(chosen.lights))
    if rng.random() < _MANNER_ODDS:
        parts.append(rng.choice(chosen.manners))
    return ", ".join(part for part in parts if part)
