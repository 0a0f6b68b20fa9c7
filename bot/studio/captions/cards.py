"""What the tag editor shows: a page of pictures with their captions, the tags as a cloud, or one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import discord

from bot.domain.captions.editor import CaptionEditor, Found, tags_of
from bot.domain.captions.tokens import TOKENS_MAX, about_tokens
from bot.domain.mentions import neutral, spoken
from bot.domain.notes import Note
from bot.domain.training.datasets import Dataset, Folder, Picture
from bot.i18n import Texts
from bot.storage.datasets import Change
from bot.studio.captions.cloud import CLOUD_NAME
from bot.studio.datasets.tiles import tile_name
from bot.studio.notes import joined, told
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.forms import NAME_LIMIT
from bot.ui.selects import Row, select_row

__all__ = ["TAGGED", "Shown", "Step", "Work", "change_name", "editor_button", "editor_page", "picture_page"]

BLUE = 0x5865F2
CAPTION_CHARS = 150
ALONE_CHARS = 2600
ADVICE_CHARS = 800
CHOSEN_CHARS = 300
TAGGED = "tagged:"
"""Of a change that a tagger made, before the id of its job."""


class Step(IntEnum):
    """What a button of the editor does; never reused."""

    FILTER = 1
    UNFILTER = 2
    TAGS = 3
    PICTURES = 4
    UNDO = 5
    TAGGER = 6
    CAPTION = 7
    NEXT = 8
    BEFORE = 9
    MORE_TAGS = 10
    TAGS_BEFORE = 11
    CHOOSE_NONE = 12


class Work(IntEnum):
    """What is done to the captions of all pictures that are shown, or a form that asks how; never reused. The numbers
    are those of `captionsform`, too."""

    TRIGGER = 1
    FRONT = 2
    END = 3
    REMOVE = 4
    REPLACE = 5
    COMMON = 6
    SEARCH = 7
    SORT = 8
    DOUBLES = 9
    SHORTEN = 10
    WITH = 11
    WITHOUT = 12
    FILTER = 13
    """A form alone, as the two below."""
    TAGGER = 14
    CAPTION = 15


OF_CHOSEN = (Work.REMOVE, Work.REPLACE, Work.WITH, Work.WITHOUT)
"""Which need chosen tags."""
LISTED = (
    Work.TRIGGER, Work.FRONT, Work.END, Work.REMOVE, Work.REPLACE, Work.COMMON, Work.SEARCH, Work.SORT, Work.DOUBLES,
    Work.SHORTEN, Work.WITH, Work.WITHOUT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a page of the editor needs to know."""

    id: str
    editor: CaptionEditor
    dataset: Dataset
    folders: Sequence[Folder]
    pictures: Sequence[Picture]
    """Of the whole data set."""
    found: Found
    changes: Sequence[Change]
    """That can be undone, the newest first."""
    advice: Sequence[Note]

    @property
    def open(self) -> Picture | None:
        return next((one for one in self.pictures if one.id == self.editor.open), None)


def change_name(what: str, texts: Texts) -> str:
    """A change in words; `what` is as `Datasets.set_captions` was told it."""
    key = TAGGED.rstrip(":") if what.startswith(TAGGED) else what
    try:
        return texts(f"tag_editor.change.{key}")
    except KeyError:
        return texts("tag_editor.change.other")


async def editor_button(dataset: Dataset, pictures: int, texts: Texts) -> Sequence[AddressButton]:
    """For the card of a data set that has pictures."""
    return [button(Verb.TAG_EDITOR, dataset.id, texts("tag_editor.open"), emoji="🏷️")] if pictures else []


def editor_page(shown: Shown, texts: Texts, notes: Sequence[str]) -> discord.ui.LayoutView:
    """Its attachments are the cloud, or the tiles of the page's pictures."""
    editor, found = shown.editor, shown.found
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(_head(shown, texts, notes)))
    page = found.page(editor)
    if editor.cloud and found.counts:
        box.add_item(_gallery([(CLOUD_NAME, texts("tag_editor.cloud"))]))
    elif page and not editor.cloud:
        box.add_item(_gallery([(tile_name(n), _alt(one, texts)) for n, one in enumerate(page, 1)]))
        box.add_item(discord.ui.TextDisplay("\n".join(_lines(page, texts))))
        rows: list[Row] = [(one.id, f"{n}. {one.name}", one.caption or "") for n, one in enumerate(page, start=1)]
        box.add_item(select_row(Verb.CAPTIONS_OPEN, shown.id, texts("tag_editor.pick"), rows))
    tags = [(tag, tag, texts("tag_editor.in", n=n)) for tag, n in found.tags(editor) if len(tag) <= NAME_LIMIT]
    if tags:
        marked = [tag for tag, _, _ in tags if tag in editor.chosen]
        placeholder = texts("tag_editor.choose", page=min(editor.tag_page, found.tag_pages - 1) + 1, of=found.tag_pages)
        box.add_item(select_row(Verb.CAPTIONS_TAGS, shown.id, placeholder, tags, marked, at_most=len(tags)))
    if found.pictures:
        works = [work for work in LISTED if editor.chosen or work not in OF_CHOSEN]
        listed = [(str(int(w)), texts(f"tag_editor.work.{w.name.lower()}"), _hint(w, texts)) for w in works]
        placeholder = texts("tag_editor.work_on", n=len(found.pictures))
        box.add_item(select_row(Verb.CAPTIONS_WORK, shown.id, placeholder, listed))
    for row in _buttons(shown, texts):
        actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
        box.add_item(actions)
    view.add_item(box)
    return view


def picture_page(
    shown: Shown, picture: Picture, texts: Texts, notes: Sequence[str], *, in_sight: bool
) -> discord.ui.LayoutView:
    """One picture alone, the attachment `tile_name(1)`, where that could be read."""
    view, box = _card()
    folder = next((one for one in shown.folders if one.id == picture.folder_id), None)
    head = f"### {texts('tag_editor.alone', name=spoken(picture.name), dataset=spoken(shown.dataset.name))}"
    box.add_item(discord.ui.TextDisplay("\n".join([head, *([joined(notes, 600, "-# ")] if notes else [])])))
    if in_sight:
        box.add_item(_gallery([(tile_name(1), _alt(picture, texts))]))
    else:
        box.add_item(discord.ui.TextDisplay(texts("tag_editor.unreadable")))
    if picture.caption:
        text = neutral(picture.caption, ALONE_CHARS)
        facts = texts("tag_editor.facts", tags=len(tags_of(picture)), tokens=about_tokens(picture.caption))
        if about_tokens(picture.caption) > TOKENS_MAX:
            facts += " · " + texts("tag_editor.too_long", most=TOKENS_MAX)
    else:
        text = f"*{texts('tag_editor.no_caption')}*"
        facts = texts("tag_editor.class_tokens", words=spoken(folder.class_tokens) if folder else "")
    size = texts("looked.size", width=picture.width, height=picture.height)
    where = f" · {spoken(folder.name)}" if folder is not None else ""
    box.add_item(discord.ui.TextDisplay(f"{text}\n-# {facts}\n-# {size}{where}"))
    row = [
        button(Verb.CAPTIONS_DO, shown.id, texts("tag_editor.earlier"), n=Step.BEFORE, emoji="◀️"),
        button(Verb.CAPTIONS_DO, shown.id, texts("tag_editor.later"), n=Step.NEXT, emoji="▶️"),
        button(
            Verb.CAPTIONS_DO, shown.id, texts("tag_editor.edit"), n=Step.CAPTION, emoji="✏️",
            style=discord.ButtonStyle.primary,
        ),
        button(Verb.CAPTIONS, shown.id, texts("tag_editor.all"), emoji="🏷️"),
    ]  # fmt: skip
    actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
    box.add_item(actions)
    if shown.changes:
        undo: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(in_layout(_undo(shown, texts)))
        box.add_item(undo)
    view.add_item(box)
    return view


# --- parts ------------------------------------------------------------------------------------------------------------


def _card() -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per editor: its parts are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=BLUE)


def _gallery(items: Sequence[tuple[str, str]]) -> discord.ui.MediaGallery[discord.ui.LayoutView]:
    return discord.ui.MediaGallery(
        *(discord.MediaGalleryItem(f"attachment://{name}", description=alt[:1000]) for name, alt in items)
    )


def _alt(picture: Picture, texts: Texts) -> str:
    return picture.caption or texts("tag_editor.no_caption")


def _head(shown: Shown, texts: Texts, notes: Sequence[str]) -> str:
    editor, found = shown.editor, shown.found
    lines = [f"### {texts('tag_editor.title', dataset=spoken(shown.dataset.name))}"]
    counted = texts("tag_editor.counted", n=len(found.pictures), all=len(shown.pictures), tags=len(found.counts))
    lines.append(counted)
    if editor.filtered:
        lines.append(f"🔎 {_filter(editor, texts)}")
    if editor.chosen:
        lines.append("✅ " + texts("tag_editor.chosen", tags=neutral(", ".join(editor.chosen), CHOSEN_CHARS)))
    if notes:
        lines.append(joined(notes, 400))
    if not shown.pictures:
        lines.append(texts("tag_editor.empty"))
    elif not found.pictures:
        lines.append(texts("tag_editor.nothing"))
    if shown.advice and not editor.filtered:
        lines.append(joined(told(shown.advice, texts), ADVICE_CHARS, "-# 💡 "))
    return "\n".join(lines)


def _filter(editor: CaptionEditor, texts: Texts) -> str:
    parts: list[str] = []
    if editor.all_of:
        parts.append(texts("tag_editor.with", tags=neutral(", ".join(editor.all_of), 150)))
    if editor.none_of:
        parts.append(texts("tag_editor.without", tags=neutral(", ".join(editor.none_of), 150)))
    if editor.search:
        parts.append(f"“{neutral(editor.search, 80)}”")
    if editor.bare:
        parts.append(texts("tag_editor.bare"))
    return " · ".join(parts)


def _lines(page: Sequence[Picture], texts: Texts) -> list[str]:
    return [
        f"`{number}` {neutral(' '.join(one.caption.split()), CAPTION_CHARS)}"
        if one.caption
        else f"`{number}` *{texts('tag_editor.no_caption')}*"
        for number, one in enumerate(page, start=1)
    ]


def _hint(work: Work, texts: Texts) -> str:
    return texts(f"tag_editor.hint.{work.name.lower()}")


def _undo(shown: Shown, texts: Texts) -> AddressButton:
    name = change_name(shown.changes[0].what, texts)
    return button(Verb.CAPTIONS_DO, shown.id, texts("tag_editor.undo_one", what=name)[:80], n=Step.UNDO, emoji="↩️")


def _buttons(shown: Shown, texts: Texts) -> list[list[AddressButton]]:
    editor, found, id_ = shown.editor, shown.found, shown.id

    def step(key: str, n: Step, emoji: str) -> AddressButton:
        return button(Verb.CAPTIONS_DO, id_, texts(f"tag_editor.{key}"), n=n, emoji=emoji)

    looking = [step("filter", Step.FILTER, "🔎")]
    if editor.filtered:
        looking.append(step("unfilter", Step.UNFILTER, "🧹"))
    if editor.cloud:
        at, pages = min(editor.tag_page, found.tag_pages - 1), found.tag_pages
        back, on = step("tags_before", Step.TAGS_BEFORE, "◀️"), step("more_tags", Step.MORE_TAGS, "▶️")
    else:
        at, pages = min(editor.page, found.pages - 1), found.pages
        back = button(Verb.CAPTIONS, id_, texts("tag_editor.back"), n=max(0, at - 1), emoji="◀️")
        on = button(Verb.CAPTIONS, id_, texts("tag_editor.more"), n=min(999, at + 1), emoji="▶️")
    if at:
        looking.append(back)
    if at + 1 < pages:
        looking.append(on)
    changing = [
        step("pictures", Step.PICTURES, "🖼️") if editor.cloud else step("tags", Step.TAGS, "☁️"),
        step("tagger", Step.TAGGER, "🤖"),
    ]
    if editor.chosen:
        changing.append(step("choose_none", Step.CHOOSE_NONE, "⬜"))
    if shown.changes:
        changing.append(_undo(shown, texts))
    return [looking, changing]
