"""Captions of a data set's pictures, written by a tagger (behaviours §25.1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gpu_worker.protocol.specs.base import ImageRef, Share, Wire
from gpu_worker.protocol.specs.training import TRAIN_IMAGES_MAX

__all__ = ["CAPTION_TAGS_MAX", "Caption", "CaptionPicture", "ExistingCaption"]

CAPTION_TAGS_MAX = 150
LISTED_MAX = 200

ExistingCaption = Literal["ignore", "overwrite", "append", "prepend"]
TagName = Annotated[str, Field(min_length=1, max_length=200)]


class CaptionPicture(Wire):
    id: str = Field(min_length=1, max_length=40)
    """What the bot calls it; the answer names it by this."""
    image: ImageRef


class Caption(Wire):
    """Tags for many pictures, a caption each. A picture that cannot be read does not keep the others from theirs."""

    kind: Literal["caption"] = "caption"
    pictures: tuple[CaptionPicture, ...] = Field(min_length=1, max_length=TRAIN_IMAGES_MAX)
    tagger: str
    """Name as in the worker's model list."""
    threshold: Share = 0.35
    character: Share = 0.35
    """Probabilities from which a tag counts, of characters and of everything else. Ratings are never told."""
    additional_tags: tuple[TagName, ...] = Field(default=(), max_length=LISTED_MAX)
    """Of every caption, as certain as can be."""
    exclude_tags: tuple[TagName, ...] = Field(default=(), max_length=LISTED_MAX)
    """As the tagger's table writes them."""
    replace_underscore: bool = True
    """But for faces (`gpu_worker.language.training.tagged.KAOMOJI`)."""
    escape: bool = False
    """Brackets and backslashes, as a prompt needs them."""
    alphabetical: bool = False
    """In place of the surest first."""
    max_tags: int = Field(default=CAPTION_TAGS_MAX, ge=1, le=CAPTION_TAGS_MAX)
    """The surest ones."""
    dataset: str = ""
    """Whose captions they become; the worker has no use for it."""
    existing: ExistingCaption = "ignore"
    """What becomes of a caption that is there already; for the bot, too."""
