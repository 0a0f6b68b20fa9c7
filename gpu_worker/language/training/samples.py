"""Lines of a sample prompts' file: `a cat --n bad --w 512 --h 512 --d 1 --s 28 --l 7.5` (behaviours §24.5)."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

__all__ = ["SampleLine", "read_sample_line", "read_sample_lines"]

_STEPS_MAX = 1000
_DIGITS_MAX = 25
"""Python refuses to read numbers of thousands of digits, and nobody means one of more than this."""
_NUMBER = rf"([\d.]{{1,{_DIGITS_MAX}}})"
_WHOLE = rf"(\d{{1,{_DIGITS_MAX}}})"
_OPTIONS = {
    "width": re.compile(f"w {_WHOLE}", re.IGNORECASE),
    "height": re.compile(f"h {_WHOLE}", re.IGNORECASE),
    "seed": re.compile(f"d {_WHOLE}", re.IGNORECASE),
    "sample_steps": re.compile(f"s {_WHOLE}", re.IGNORECASE),
    "scale": re.compile(f"l {_NUMBER}", re.IGNORECASE),
    "guidance_scale": re.compile(f"g {_NUMBER}", re.IGNORECASE),
    "negative_prompt": re.compile("n (.+)", re.IGNORECASE),
    "sample_sampler": re.compile("ss (.+)", re.IGNORECASE),
}
_FLOATS = ("scale", "guidance_scale")
_TEXTS = ("negative_prompt", "sample_sampler")


@dataclass(frozen=True)
class SampleLine:
    """What is None was not said."""

    prompt: str
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    sample_steps: int | None = None
    scale: float | None = None
    guidance_scale: float | None = None
    sample_sampler: str | None = None


def read_sample_line(line: str) -> SampleLine:
    """What it cannot read it passes over, as sd-scripts does. Never raises."""
    parts = line.split(" --")
    said: dict[str, int | float | str] = {}
    for part in parts:
        for name, pattern in _OPTIONS.items():
            if (match := pattern.match(part)) is None:
                continue
            with contextlib.suppress(ValueError):  # 1.2.3 is no number
                said[name] = _value(name, match[1])
            break
    return SampleLine(parts[0], **said)  # pyright: ignore[reportArgumentType] (names and types are the table's)


def read_sample_lines(text: str) -> tuple[SampleLine, ...]:
    """Empty lines and those that begin with `#` are passed over."""
    lines = [line.strip() for line in text.splitlines()]
    return tuple(read_sample_line(line) for line in lines if line and not line.startswith("#"))


def _value(name: str, text: str) -> int | float | str:
    if name in _TEXTS:
        return text
    if name in _FLOATS:
        return float(text)
    return max(1, min(_STEPS_MAX, int(text))) if name == "sample_steps" else int(text)
