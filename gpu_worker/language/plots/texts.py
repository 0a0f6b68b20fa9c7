"""Prompt S/R and prompt order (behaviours §14.3 and §14.4)."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["in_order", "is_in", "search_and_replace"]


def is_in(searched: str, prompt: str, negative_prompt: str) -> bool:
    """Whether S/R finds its first value: case counts, and so does every sign."""
    return searched in prompt or searched in negative_prompt


def search_and_replace(searched: str, value: str, prompt: str, negative_prompt: str) -> tuple[str, str]:
    """Both texts with every `searched` replaced, inside of words and tags, too.

    Raises LookupError where neither holds it.
    """
    if not is_in(searched, prompt, negative_prompt):
        raise LookupError(searched)
    return prompt.replace(searched, value), negative_prompt.replace(searched, value)


def in_order(order: Sequence[str], prompt: str) -> str:
    """The prompt with the first occurrence of each text of `order` cut out, and the texts put into those places in
    their order. Raises LookupError for one that it lacks."""
    places: list[tuple[int, str]] = []
    for text in order:
        at = prompt.find(text)
        if at < 0:
            raise LookupError(text)
        places.append((at, text))
    places.sort(key=lambda place: place[0])
    parts: list[str] = []
    rest = prompt
    for _, text in places:
        before, _, rest = rest.partition(text)
        parts.append(before)
    return "".join(part for pair in zip(parts, order, strict=True) for part in pair) + rest
