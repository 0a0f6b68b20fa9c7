"""File names from A1111's patterns, such as `[seed]-[prompt_spaces]` (behaviours §22.5)."""

from __future__ import annotations

import contextlib
import hashlib
import re
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["PictureFacts", "file_name_part", "name_from_pattern", "next_sequence_number"]

_PATTERN = re.compile(r"\[([^\[\]]+)\]")
_FORBIDDEN = str.maketrans(dict.fromkeys('#<>:"/\\|?*\n\r\t', "_"))
_BETWEEN_WORDS = re.compile(rf"[\s{re.escape(string.punctuation)}]+")
_LONGEST_PART = 128
_WORDS = 8
_HASH_DIGITS = 8


@dataclass(frozen=True)
class PictureFacts:
    """What a name can tell of one picture of a job."""

    seed: int
    prompt: str
    when: datetime
    negative_prompt: str = ""
    batch_seeds: Sequence[int] = ()
    batch_size: int = 1
    batch_count: int = 1
    batch_index: int = 0
    """Place in the batch, from 0."""
    iteration: int = 0
    """Which batch, from 0."""
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    sampler: str = ""
    model_name: str = ""
    model_hash: str = ""
    vae_name: str = "NoneType"
    clip_skip: int = 1
    denoising_strength: float | None = None
    styles: Sequence[str] = ()
    style_prompts: Sequence[str] = ()
    user: str = ""
    job_timestamp: str = ""
    pixels: bytes = b""
    """Raw RGB, for `[image_hash]`."""


class _SkipError(Exception):
    """Nothing, and the literal text before the pattern goes with it."""


def name_from_pattern(pattern: str, facts: PictureFacts) -> str:
    """Patterns are read in any case; unknown ones stay (their `<…>` goes). Never raises."""
    out: list[str] = []
    end = 0
    for piece in _PATTERN.finditer(pattern):
        literal = pattern[end : piece.start()]
        end = piece.end()
        name, arguments = _call(piece[1])
        try:
            made = _value(name.lower(), arguments, facts)
        except _SkipError:
            continue
        out.append(literal + (f"[{name}]" if made is None else made))
    return "".join(out) + pattern[end:]


def file_name_part(text: str, replace_spaces: bool = True) -> str:
    """At most 128 characters that every file system takes; no space in front, no space or dot at the end."""
    text = (text.replace(" ", "_") if replace_spaces else text).translate(_FORBIDDEN)
    return text.lstrip(" ")[:_LONGEST_PART].rstrip(" .")


def next_sequence_number(names: Iterable[str], prefix: str = "") -> int:
    """One more than the highest number in front of these file names (`00007-1.png`), or behind `prefix-`."""
    start = f"{prefix}-" if prefix else ""
    highest = -1
    for name in names:
        if name.startswith(start):
            number = PurePath(name[len(start) :]).stem.split("-")[0]
            if number.isdecimal() and len(number) < 19:
                highest = max(highest, int(number))
    return highest + 1


def _call(pattern: str) -> tuple[str, list[str]]:
    arguments: list[str] = []
    while pattern.endswith(">"):
        rest, opener, argument = pattern[:-1].rpartition("<")
        if not opener or ">" in argument:
            break
        pattern = rest
        arguments.insert(0, argument)
    return pattern, arguments


def _value(name: str, arguments: list[str], facts: PictureFacts) -> str | None:
    if name in ("datetime", "hasprompt", "image_hash") or name.endswith("prompt_hash"):
        return _called(name, arguments, facts)
    makers: dict[str, Callable[[], object]] = {
        "seed": lambda: facts.seed,
        "seed_first": lambda: facts.seed if facts.batch_size == 1 else (*facts.batch_seeds, facts.seed)[0],
        "seed_last": lambda: _unless(facts.batch_size == 1, (facts.seed, *facts.batch_seeds)[-1]),
        "steps": lambda: facts.steps,
        "cfg": lambda: facts.cfg_scale,
        "width": lambda: facts.width,
        "height": lambda: facts.height,
        "styles": lambda: file_name_part(", ".join(s for s in facts.styles if s != "None") or "None", False),
        "sampler": lambda: file_name_part(facts.sampler, False),
        "model_hash": lambda: facts.model_hash,
        "model_name": lambda: file_name_part(facts.model_name, False),
        "date": lambda: facts.when.strftime("%Y-%m-%d"),
        "job_timestamp": lambda: facts.job_timestamp or facts.when.strftime("%Y%m%d%H%M%S"),
        "prompt": lambda: file_name_part(facts.prompt),
        "prompt_no_styles": lambda: _without_styles(facts),
        "prompt_spaces": lambda: file_name_part(facts.prompt, False),
        "prompt_words": lambda: _words(facts.prompt),
        "batch_number": lambda: _unless(facts.batch_size == 1, facts.batch_index + 1),
        "batch_size": lambda: facts.batch_size,
        "generation_number": lambda: _unless(
            facts.batch_size == facts.batch_count == 1, facts.iteration * facts.batch_size + facts.batch_index + 1
        ),
        "clip_skip": lambda: facts.clip_skip,
        "denoising": lambda: _unless(not facts.denoising_strength, facts.denoising_strength),
        "user": lambda: facts.user,
        "vae_filename": lambda: file_name_part(facts.vae_name, False),
        "none": lambda: "",
    }
    # Arguments that a pattern does not take make it fail, and then it stays.
    return str(makers[name]()) if name in makers and not arguments else None


def _called(name: str, arguments: list[str], facts: PictureFacts) -> str | None:
    if name == "datetime":
        return _time(facts.when, *arguments) if len(arguments) <= 2 else None
    if name == "hasprompt":
        return _has_prompt(facts.prompt, arguments)
    texts = {
        "prompt_hash": facts.prompt.encode("utf-8", "replace"),
        "negative_prompt_hash": facts.negative_prompt.encode("utf-8", "replace"),
        "full_prompt_hash": f"{facts.prompt} {facts.negative_prompt}".encode("utf-8", "replace"),
        "image_hash": facts.pixels,
    }
    digits = arguments[0] if arguments and arguments[0] else str(_HASH_DIGITS)
    if name not in texts or not digits.isdecimal() or len(digits) > 9:
        return None
    return hashlib.sha256(texts[name]).hexdigest()[: int(digits)]


def _unless(absent: bool, value: object) -> object:
    if absent:
        raise _SkipError
    return value


def _words(prompt: str) -> str:
    words = [word for word in _BETWEEN_WORDS.split(prompt) if word] or ["empty"]
    return file_name_part(" ".join(words[:_WORDS]), False)


def _without_styles(facts: PictureFacts) -> str:
    text = facts.prompt
    for style in filter(None, facts.style_prompts):
        for part in filter(None, style.split("{prompt}")):
            text = text.replace(part, "").replace(", ,", ",").strip().strip(",")
        text = text.replace(style, "").strip().strip(",").strip()
    return file_name_part(text, False)


def _has_prompt(prompt: str, arguments: list[str]) -> str:
    found = ""
    for wanted, _, otherwise in (argument.partition("|") for argument in arguments if argument):
        found += wanted.lower() if wanted.lower() in prompt.lower() else otherwise.split("|")[0]
    return file_name_part(found)


def _time(when: datetime, form: str = "", zone: str = "") -> str:
    """An unknown zone is as good as none, as in A1111."""
    with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
        when = when.astimezone(ZoneInfo(zone)) if zone else when
    text = ""
    with contextlib.suppress(ValueError):
        text = when.strftime(form)
    return file_name_part(text or when.strftime("%Y%m%d%H%M%S"), False)
