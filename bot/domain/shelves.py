"""What /models and /loras show: which files, in which order, on which page. Pure; the cards are drawn elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from bot.domain.model_ranking import Candidate, rank
from gpu_worker.protocol.messages import ModelKind

__all__ = ["PAGE", "Page", "Shelf", "Shelved", "base_of", "bases", "kinds", "page_of", "trained_words"]

PAGE = 8
"""Files on a card: with a picture each has three of the 40 components."""
PAGES_MAX = 1000
"""A page's number has three digits in an address."""
_FAMILIES = {"sd1": "SD 1.5", "sd2": "SD 2", "sdxl": "SDXL", "sdxl_refiner": "SDXL Refiner"}


class Shelved(Protocol):
    """What a shelf needs to know of a model file."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> ModelKind: ...
    @property
    def name(self) -> str: ...
    @property
    def alias(self) -> str | None: ...
    @property
    def title(self) -> str | None: ...
    @property
    def base(self) -> str | None: ...
    @property
    def family(self) -> str | None: ...
    @property
    def trigger_words(self) -> tuple[str, ...]: ...
    @property
    def note(self) -> str | None: ...
    @property
    def times_used(self) -> int: ...


File = TypeVar("File", bound=Shelved)


class Shelf(BaseModel):
    """What somebody looks at. `kind` None shows all kinds; `fixed` is for /loras, which keeps to one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ModelKind | None = None
    fixed: bool = False
    search: str = ""
    base: str | None = None
    page: int = 0
    opened: str | None = None
    """Id of the file whose details are shown."""


@dataclass(frozen=True)
class Page:
    files: Sequence[Any]
    number: int
    """From 0, within what there is."""
    pages: int
    total: int


def base_of(file: Shelved) -> str | None:
    """The base model as people call it."""
    return file.base or (_FAMILIES.get(file.family, file.family) if file.family else None)


def bases(files: Iterable[Shelved]) -> list[str]:
    """Those there are, the most frequent first."""
    counted: dict[str, int] = {}
    for file in files:
        base = base_of(file)
        if base:
            counted[base] = counted.get(base, 0) + 1
    return sorted(counted, key=lambda base: (-counted[base], base))


def kinds(files: Iterable[Shelved]) -> dict[ModelKind, int]:
    counted: dict[ModelKind, int] = {}
    for file in files:
        counted[file.kind] = counted.get(file.kind, 0) + 1
    return counted


def page_of(
    shelf: Shelf,
    files: Sequence[File],
    favourites: frozenset[str] = frozenset(),
    history: Mapping[tuple[ModelKind, str], int] | None = None,
) -> Page:
    """`files` are those that this person may see. A page beyond the last is the last."""
    mine = history or {}
    found = [
        file
        for file in files
        if (shelf.kind is None or file.kind == shelf.kind) and (shelf.base is None or base_of(file) == shelf.base)
    ]
    candidates = [
        Candidate(
            name=file.name,
            words=" ".join(filter(None, (file.title, file.alias, base_of(file), file.note, *file.trigger_words))),
            favourite=file.id in favourites,
            own_uses=mine.get((file.kind, file.name), 0),
            all_uses=file.times_used,
        )
        for file in found
    ]
    places: dict[int, File] = {id(candidate): file for candidate, file in zip(candidates, found, strict=True)}
    ordered = [places[id(candidate)] for candidate in rank(shelf.search, candidates, len(candidates))]
    pages = min(PAGES_MAX, max(1, -(-len(ordered) // PAGE)))
    number = min(max(0, shelf.page), pages - 1)
    return Page(ordered[number * PAGE : (number + 1) * PAGE], number, pages, len(ordered))


def trained_words(file: Shelved, limit_chars: int = 400) -> tuple[str, ...]:
    """As many of its trigger words as a prompt takes without being filled by them."""
    kept: list[str] = []
    for word in file.trigger_words:
        word = " ".join(word.split()).strip(" ,")
        if word and sum(map(len, kept)) + len(word) <= limit_chars:
            kept.append(word)
    return tuple(dict.fromkeys(kept))
