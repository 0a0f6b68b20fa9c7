"""Inline flags at the end of a prompt: `a red apple --ar 16:9 --seed 7 --no leaves, stem`.

Only known flags at the end are taken. An unknown `--word` (with at most one value) stays in the prompt, without hiding
the known flags around it; a known flag with further text behind it stays, too. Both are told. Phones turn `--` into a
dash, so a dash straight before a known name counts as `--`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.parameters import Parameters
from bot.errors import UserFacingError

__all__ = ["FLAGS", "Flagged", "read_flags"]

FLAGS = ("ar", "seed", "steps", "cfg", "count", "no")
_START = re.compile(
    rf"(?<!\S)(?:(?:--|[—–―])(?P<known>{'|'.join(FLAGS)})|--(?P<unknown>[a-z][a-z-]{{0,30}}))(?=[\s=]|$)", re.IGNORECASE
)
_EXPECTED = {
    "ar": re.compile(r"[1-9]\d?:[1-9]\d?"),
    "seed": re.compile(r"-?\d{1,20}"),
    "steps": re.compile(r"\d{1,6}"),
    "cfg": re.compile(r"\d{1,4}(?:[.,]\d{1,4})?"),
    "count": re.compile(r"\d{1,6}"),
}
_EXAMPLES = {
    "ar": "--ar 16:9",
    "seed": "--seed 42",
    "steps": "--steps 30",
    "cfg": "--cfg 7",
    "count": "--count 2",
    "no": "--no text",
}


@dataclass(frozen=True)
class Flagged:
    prompt: str
    parameters: Parameters
    negative: str = ""
    ignored: tuple[str, ...] = ()
    """Flags left in the prompt as text: unknown ones, and known ones that were not at the end."""


def read_flags(prompt: str) -> Flagged:
    """Takes the flags off the end of `prompt`.

    Raises UserFacingError: `flag_value` (a known flag without a readable value), `flag_twice`.
    """
    starts = list(_START.finditer(prompt))
    kept: list[str] = []
    ignored: list[str] = []
    values: dict[str, str] = {}
    end = len(prompt)
    for start in reversed(starts):
        raw = prompt[start.end() : end]
        value = raw.removeprefix("=").strip()
        name = (start["known"] or start["unknown"]).lower()
        if start["known"] is None:
            if len(value.split()) > 1:
                break
            kept.append(prompt[start.start() : end].strip())
            ignored.append(f"--{name}")
        elif not _is_value(name, value):
            break
        elif name in values:
            raise UserFacingError("flag_twice", flag=f"--{name}")
        else:
            values[name] = value
        end = start.start()
    ignored += [
        f"--{(start['known'] or start['unknown']).lower()}" for start in reversed(starts) if start.start() < end
    ]
    text = " ".join(part for part in (prompt[:end].strip(), *reversed(kept)) if part)
    return Flagged(text, _parameters(values), values.get("no", ""), tuple(reversed(ignored)))


def _is_value(name: str, value: str) -> bool:
    """Whether this is a flag with its value; False where it is a flag's name in running text."""
    if name == "no":
        if not value:
            raise UserFacingError("flag_value", flag="--no", example=_EXAMPLES["no"])
        return True
    first, *more = value.split() or [""]
    readable = _EXPECTED[name].fullmatch(first) is not None
    if not readable and not more:
        raise UserFacingError("flag_value", flag=f"--{name}", example=_EXAMPLES[name])
    return readable and not more


def _parameters(values: dict[str, str]) -> Parameters:
    def whole(name: str) -> int | None:
        return int(values[name]) if name in values else None

    return Parameters(
        aspect=values.get("ar"),
        seed=whole("seed"),
        steps=whole("steps"),
        cfg_scale=float(values["cfg"].replace(",", ".")) if "cfg" in values else None,
        count=whole("count"),
    )
