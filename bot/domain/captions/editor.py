"""Where somebody is in the captions of a data set: what they look at, and which tags they have chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from bot.domain.training.datasets import Picture
from gpu_worker.language.training.tag_editor import Tags, read_tags, tag_counts

__all__ = [
    "CHOSEN_MAX", "FILTER_TAGS_MAX", "PAGE_PICTURES", "PAGE_TAGS", "CaptionEditor", "Found", "found_in", "tags_of",
]  # fmt: skip

PAGE_PICTURES = 8
PAGE_TAGS = 25
CHOSEN_MAX = 100
FILTER_TAGS_MAX = 50


class CaptionEditor(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    page: int = 0
    cloud: bool = False
    """Tags are shown in place of pictures."""
    tag_page: int = 0
    open: str = ""
    """The picture that is shown alone."""
    all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    """A filter: pictures with all of these tags and none of those."""
    search: str = ""
    """A part of the caption, or of the picture's name."""
    bare: bool = False
    """Pictures without a caption alone."""
    chosen: tuple[str, ...] = ()

    @property
    def filtered(self) -> bool:
        return bool(self.all_of or self.none_of or self.search or self.bare)

    def unfiltered(self) -> CaptionEditor:
        return self.model_copy(
            update={"all_of": (), "none_of": (), "search": "", "bare": False, "page": 0, "tag_page": 0}
        )

    def narrowed(self, *, with_chosen: bool) -> CaptionEditor:
        """The chosen tags become part of the filter."""
        field = "all_of" if with_chosen else "none_of"
        before = self.all_of if with_chosen else self.none_of
        tags = tuple(dict.fromkeys((*before, *self.chosen)))[:FILTER_TAGS_MAX]
        return self.model_copy(update={field: tags, "chosen": (), "page": 0, "tag_page": 0})

    def marked(self, listed: Collection[str], marked: Sequence[str]) -> CaptionEditor:
        """After a list of some tags was answered: those not in the list stay as they were."""
        kept = [tag for tag in self.chosen if tag not in listed]
        return self.model_copy(update={"chosen": tuple(dict.fromkeys((*kept, *marked)))[:CHOSEN_MAX]})


@dataclass(frozen=True, slots=True)
class Found:
    """What a filter leaves, in the data set's order."""

    pictures: tuple[Picture, ...]
    counts: tuple[tuple[str, int], ...]
    """Tags and in how many of these pictures they are, the most frequent first."""

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.pictures) // PAGE_PICTURES))

    @property
    def tag_pages(self) -> int:
        return max(1, -(-len(self.counts) // PAGE_TAGS))

    def page(self, editor: CaptionEditor) -> tuple[Picture, ...]:
        first = min(editor.page, self.pages - 1) * PAGE_PICTURES
        return self.pictures[first : first + PAGE_PICTURES]

    def tags(self, editor: CaptionEditor) -> tuple[tuple[str, int], ...]:
        first = min(editor.tag_page, self.tag_pages - 1) * PAGE_TAGS
        return self.counts[first : first + PAGE_TAGS]


def tags_of(picture: Picture) -> Tags:
    return read_tags(picture.caption or "")


def found_in(pictures: Iterable[Picture], editor: CaptionEditor) -> Found:
    """Of all that can be seen of a data set, what the editor's filter leaves."""
    wanted, unwanted = _plain(editor.all_of), _plain(editor.none_of)
    search = " ".join(editor.search.casefold().split())
    kept: list[Picture] = []
    for picture in pictures:
        if editor.bare and picture.caption:
            continue
        if search and search not in (picture.caption or "").casefold() and search not in picture.name.casefold():
            continue
        if wanted or unwanted:
            there = _plain(tags_of(picture))
            if not wanted <= there or unwanted & there:
                continue
        kept.append(picture)
    counts = tag_counts(map(tags_of, kept))
    return Found(tuple(kept), tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0]))))


def _plain(tags: Iterable[str]) -> set[str]:
    """Case and underscores make no other tag of it for whoever looks for one."""
    return {tag.casefold().replace("_", " ") for tag in tags}
