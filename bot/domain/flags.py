"""Inline flags at the end of a prompt: `a red apple --ar 16:9 --seed 7 --hires 2 --no leaves, stem`.

Only known flags at the end are taken. An unknown `--word` (with at most one value) stays in the prompt, without hiding
the known flags around it; a known flag with further text behind it stays, too. Both are told. Phones turn `--` into a
dash, so a dash straight before a known name counts as `--`. Case does not matter, nor whether a name is written with
`-` or `_`; a value may stand in quotes, and one that may hold spaces goes on until the next flag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.domain import values
from bot.domain.parameters import Parameters
from bot.domain.wishes import WISHES, Wish
from bot.errors import UserFacingError

__all__ = ["FLAGS", "Flag", "Flagged", "read_flags", "read_value"]

_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "'": "'", "‘": "’"}
"""Opening and closing; phones make curly ones of straight ones."""
NEGATIVE = "no"


@dataclass(frozen=True)
class Flag:
    """`read` gives the wishes in a value, by field of `Parameters`, or raises ValueError."""

    names: tuple[str, ...]
    read: Callable[[str], Mapping[str, Any]]
    example: str
    bare: str | None = None
    options: tuple[str, ...] = ()
    spaced: bool = False


@dataclass(frozen=True)
class Flagged:
    prompt: str
    parameters: Parameters
    negative: str = ""
    ignored: tuple[str, ...] = ()
    """Flags left in the prompt as text: unknown ones, and known ones that were not at the end."""


def _size(text: str) -> Mapping[str, Any]:
    width, height = values.size(text)
    return {"width": width, "height": height}


def _hires(text: str) -> Mapping[str, Any]:
    """A factor (`2`, `1.5x`), a size in pixels, or `off`."""
    if text.casefold() in ("off", "no"):
        return {"hires_scale": 0.0}
    try:
        return {"hires_size": values.size(text)}
    except ValueError:
        return {"hires_scale": values.decimal(text.casefold().strip("x×"))}


def _variation(text: str) -> Mapping[str, Any]:
    """A strength, or `seed:strength`."""
    if text.casefold() in ("off", "no"):
        return {"variation_strength": 0.0}
    seed, colon, strength = text.rpartition(":")
    wishes: dict[str, Any] = {"variation_strength": values.decimal(strength)}
    return wishes | {"variation_seed": values.whole(seed)} if colon else wishes


def _refiner(text: str) -> Mapping[str, Any]:
    """A checkpoint, perhaps with the share of the steps after which it takes over: `name@0.8`."""
    name, at, share = text.rpartition("@")
    return {"refiner": values.name(name), "refiner_at": values.decimal(share)} if at else {"refiner": values.name(text)}


def _one(wish: Wish, text: str) -> Mapping[str, Any]:
    return {wish.field: wish.read(text)}


def _flags() -> Iterator[Flag]:
    yield Flag((NEGATIVE, "negative", "negative-prompt"), lambda _: {}, "text", spaced=True)
    yield Flag(("size",), _size, "512x768")
    yield Flag(("hires", "hr", "enable-hr"), _hires, "2", bare="2")
    yield Flag(("variation", "var"), _variation, "7:0.2")
    combine = partial(values.switch, words=("on", "off"))
    yield Flag(("combinatorial", "combinations"), lambda text: {"combinatorial": combine(text)}, "on", bare="on")
    for wish in WISHES:
        read = _refiner if wish.field == "refiner" else partial(_one, wish)
        yield Flag(wish.flags, read, wish.example, wish.bare, wish.options, wish.spaced)


FLAGS: tuple[Flag, ...] = tuple(_flags())
_BY_NAME = {name: flag for flag in FLAGS for name in flag.names}
_NAMES = "|".join(re.escape(name).replace(r"\-", "[-_]") for name in sorted(_BY_NAME, key=len, reverse=True))
_START = re.compile(
    rf"(?<!\S)(?:(?:--|[—–―])(?P<known>{_NAMES})|--(?P<unknown>[a-z][a-z_-]{{0,30}}))(?=[\s=]|$)",
    re.IGNORECASE,
)


def read_flags(prompt: str) -> Flagged:
    """Takes the flags off the end of `prompt`.

    Raises UserFacingError: `flag_value` (a known flag without a readable value), `flag_choice`, `flag_twice`.
    """
    starts = list(_starts(prompt))
    kept: list[str] = []
    ignored: list[str] = []
    wishes: dict[str, Any] = {}
    negative: str | None = None
    end = len(prompt)
    for start in reversed(starts):
        value = prompt[start.end() : end].removeprefix("=").strip()
        shown = f"--{(start['known'] or start['unknown']).lower()}"
        if start["known"] is None:
            if len(value.split()) > 1:
                break
            kept.append(prompt[start.start() : end].strip())
            ignored.append(shown)
        else:
            flag = _BY_NAME[start["known"].lower().replace("_", "-")]
            found = _value(flag, shown, value)
            if found is None:
                break
            if wishes.keys() & found or (flag.names[0] == NEGATIVE and negative is not None):
                raise UserFacingError("flag_twice", flag=f"--{flag.names[0]}")
            wishes |= found
            negative = _unquoted(value) if flag.names[0] == NEGATIVE else negative
        end = start.start()
    ignored += [
        f"--{(start['known'] or start['unknown']).lower()}" for start in reversed(starts) if start.start() < end
    ]
    text = " ".join(part for part in (prompt[:end].strip(), *reversed(kept)) if part)
    return Flagged(text, Parameters(**wishes), negative or "", tuple(reversed(ignored)))


def read_value(name: str, text: str) -> Parameters:
    """What the flag `name` takes, given elsewhere. Raises UserFacingError (`flag_value`)."""
    flag = _BY_NAME[name]
    try:
        return Parameters(**flag.read(text.strip()))
    except ValueError as error:
        raise UserFacingError("flag_value", flag=name, example=flag.example) from error


def _starts(prompt: str) -> Iterator[re.Match[str]]:
    """What may begin a flag; what stands in the quotes of a known one's value does not."""
    at = 0
    while found := _START.search(prompt, at):
        yield found
        at = found.end()
        if found["known"]:
            value = re.compile(r"[\s=]*").match(prompt, at)
            opened = value.end() if value else at
            closes = prompt.find(_QUOTES.get(prompt[opened : opened + 1], "\0"), opened + 1)
            at = closes + 1 if closes > 0 else at


def _value(flag: Flag, shown: str, raw: str) -> Mapping[str, Any] | None:
    """The wishes in `raw`; None where this is a flag's name in running text."""
    quoted = _unquoted(raw) != raw
    text = _unquoted(raw)
    if not raw and flag.bare is not None:
        return flag.read(flag.bare)
    spaced = flag.spaced or quoted
    try:
        if not text and not quoted:
            raise ValueError(raw)
        return flag.read(text.rstrip(",").strip() if flag.spaced and not quoted else text)
    except ValueError as error:
        if len(raw.split()) > 1 and not spaced:
            return None
        if flag.options:
            raise UserFacingError("flag_choice", flag=shown, options=", ".join(flag.options)) from error
        raise UserFacingError("flag_value", flag=shown, example=f"{shown} {flag.example}".strip()) from error


def _unquoted(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    inside = text[1:-1]
    return inside.strip() if closing and len(text) > 1 and text[-1] == closing and closing not in inside else text
