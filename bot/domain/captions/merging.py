"""What a tagger wrote beside what stands there (behaviours §25.1), and what became of a whole job of it."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.language.training.tag_editor import read_tags, remove_duplicates, write_tags
from gpu_worker.protocol.specs import ExistingCaption

__all__ = ["Outcome", "merged"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a job that captioned a data set: pictures by what became of their captions."""

    written: int = 0
    kept: int = 0
    """As they were: there was a caption, or nothing that the tagger was sure of."""
    unread: tuple[str, ...] = ()
    """Names of pictures that could not be read."""
    gone: int = 0
    """Taken out of the data set meanwhile."""
    refused: int = 0
    """Without the tags, or without the whole caption, that the rules refuse here."""
    dataset: str | None = None
    """Its name; None where it was deleted meanwhile."""


def merged(before: str | None, found: str, existing: ExistingCaption) -> str | None:
    """The caption afterwards; an empty one is none. What would stand there twice stands there once."""
    if not before or existing == "overwrite":
        return found or before
    if existing == "ignore" or not found:
        return before
    old, new = read_tags(before), read_tags(found)
    return write_tags(remove_duplicates((*old, *new) if existing == "append" else (*new, *old)))
