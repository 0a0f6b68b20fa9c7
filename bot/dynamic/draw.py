"""What the library draws from a template. Blocks, and may take any time or memory: only for a process of its own.

Its Jinja2 templates are never used: they are not sandboxed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from dynamicprompts.enums import SamplingMethod
from dynamicprompts.sampling_context import SamplingContext
from dynamicprompts.wildcards import WildcardManager
from dynamicprompts.wildcards.collection.list import ListWildcardCollection
from dynamicprompts.wildcards.item import WildcardItem

from bot.domain.template_syntax import guarded, unguarded

__all__ = ["Values", "combinations", "manager_of", "random_texts"]

Values = Mapping[str, Sequence[tuple[str, float]]]
"""Wildcard → its values with their weights."""


def manager_of(values: Values) -> WildcardManager:
    collections = {
        name: ListWildcardCollection(
            [guarded(text) if weight == 1 else WildcardItem(guarded(text), weight) for text, weight in entries]
        )
        for name, entries in values.items()
    }
    return WildcardManager(root_map={"": [collections]}) if collections else WildcardManager()  # pyright: ignore[reportArgumentType]


def random_texts(template: str, seeds: Sequence[int], manager: WildcardManager) -> list[str]:
    """One text for each seed, as A1111's extension draws them: the generator is seeded anew for each picture."""
    if not template:
        return [""] * len(seeds)
    rand = Random()
    context = SamplingContext(SamplingMethod.RANDOM, manager, rand=rand)
    texts = iter(context.sample_prompts(guarded(template), len(seeds)))
    found: list[str] = []
    for seed in seeds:
        rand.seed(seed)
        found.append(unguarded(str(next(texts, ""))))
    return found


def combinations(template: str, manager: WildcardManager) -> Iterator[str]:
    """Every text, each once; endless where a wildcard is missing."""
    if not template:
        yield ""
        return
    seen: set[str] = set()
    context = SamplingContext(SamplingMethod.COMBINATORIAL, manager)
    for result in context.sample_prompts(guarded(template)):
        text = unguarded(str(result))
        if text not in seen:
            seen.add(text)
            yield text
