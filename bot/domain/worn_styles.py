"""Styles put on and taken off a prompt that has been drawn already: their texts stand in it, in the order of putting
on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.domain.styles import Style, apply_style, extract_style, holds_style

__all__ = ["with_styles", "worn"]

_TAGS_BEHIND = re.compile(r"(?:\s*<\w+:[^<>]+>)+\s*\Z")


def worn(prompt: str, negative_prompt: str, styles: Iterable[Style]) -> list[Style]:
    """Those that could be taken off now, one after the other. LoRAs added behind a style do not hide it."""
    bare = _split(prompt)[0]
    found: list[Style] = []
    left = list(styles)
    while outer := next((style for style in left if holds_style(style, bare, negative_prompt)), None):
        left.remove(outer)
        found.append(outer)
        bare, negative_prompt = _without(outer, bare, negative_prompt)
    return found


def with_styles(
    prompt: str, negative_prompt: str, on: Sequence[Style], wanted: Sequence[Style]
) -> tuple[str, str, list[Style]]:
    """Both texts wearing exactly `wanted`, and those of them that are new. `on` is what `worn` found, in its order:
    what lies below one that stays is reached by taking that off and putting it on again."""
    bare, tags = _split(prompt)
    new = [style for style in wanted if style not in on]
    back: list[Style] = []
    leaving = [style for style in on if style not in wanted]
    for style in on:
        if not leaving:
            break
        bare, negative_prompt = _without(style, bare, negative_prompt)
        if style in leaving:
            leaving.remove(style)
        else:
            back.append(style)
    for style in [*reversed(back), *new]:
        bare, negative_prompt = apply_style(style.prompt, bare), apply_style(style.negative_prompt, negative_prompt)
    return f"{bare}{tags}", negative_prompt, new


def _without(style: Style, prompt: str, negative_prompt: str) -> tuple[str, str]:
    return extract_style(style.prompt, prompt)[1], extract_style(style.negative_prompt, negative_prompt)[1]


def _split(prompt: str) -> tuple[str, str]:
    behind = _TAGS_BEHIND.search(prompt)
    return (prompt[: behind.start()], prompt[behind.start() :]) if behind else (prompt, "")
