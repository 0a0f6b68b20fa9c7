"""The cards of /models and /loras: a page of files, and one file's details.

Limits (PLATFORM.md): 40 components and 4000 characters of text in all; a file with a picture counts for three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import discord

from bot.domain.amounts import size_text
from bot.domain.mentions import neutral, spoken
from bot.domain.next_picture import USABLE_KINDS, NextPicture
from bot.domain.shelves import Page, Shelf, base_of, trained_words
from bot.i18n import Texts
from bot.library import LibraryFile
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row
from gpu_worker.protocol.messages import ModelKind, Prediction

__all__ = ["ALL", "Shown", "details_card", "facts_of", "name_line", "page_card", "wish_line"]

ALL = "-"
"""The row of a list that takes a filter away; Discord knows no empty value."""
BLUE = 0x5865F2
WORDS_CHARS = 120
NAME_CHARS = 100
NOTE_CHARS = 700
WISH_CHARS = 400
WORDS_BLOCK_CHARS = 900
METADATA_CHARS = 600
METADATA_ROWS = 8

Box = discord.ui.Container[discord.ui.LayoutView]
Item = discord.ui.Item[discord.ui.LayoutView]


@dataclass(frozen=True)
class Shown:
    """What one person may see of the library. `previews` are attachment names by file id; `disabled` are ids."""

    shelf_id: str
    shelf: Shelf
    wish: NextPicture
    favourites: frozenset[str]
    disabled: frozenset[str]
    previews: dict[str, str]
    admin: bool


def page_card(
    shown: Shown, page: Page, kinds: dict[ModelKind, int], bases: Sequence[str], texts: Texts
) -> discord.ui.LayoutView:
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(_head(shown, page, texts)))
    for file in page.files:
        line = _line(file, shown, texts)
        preview = shown.previews.get(file.id)
        if preview is None:
            box.add_item(discord.ui.TextDisplay(line))
        else:
            picture: discord.ui.Thumbnail[discord.ui.LayoutView] = discord.ui.Thumbnail(f"attachment://{preview}")
            section: discord.ui.Section[discord.ui.LayoutView] = discord.ui.Section(line, accessory=picture)
            box.add_item(section)
    id_, shelf = shown.shelf_id, shown.shelf
    if page.files:
        rows = [(file.id, file.name, _hint(file, texts)) for file in page.files]
        box.add_item(select_row(Verb.SHELF_OPEN, id_, texts("shelf.open"), rows))
    if not shelf.fixed and len(kinds) > 1:
        total = sum(kinds.values())
        kind_rows: list[Row] = [(ALL, texts("shelf.all_kinds"), texts("shelf.count", n=total))]
        kind_rows += [(kind, texts(f"kind.{kind}"), texts("shelf.count", n=count)) for kind, count in kinds.items()]
        box.add_item(select_row(Verb.SHELF_KIND, id_, texts("shelf.kind"), kind_rows, shelf.kind or ALL))
    if bases:
        base_rows: list[Row] = [(ALL, texts("shelf.all_bases"), ""), *((base, base, "") for base in bases)]
        box.add_item(select_row(Verb.SHELF_BASE, id_, texts("shelf.base"), base_rows, shelf.base or ALL))
    box.add_item(_row(*_page_buttons(shown, page, texts)))
    view.add_item(box)
    return view


def _page_buttons(shown: Shown, page: Page, texts: Texts) -> list[AddressButton]:
    id_ = shown.shelf_id
    found: list[AddressButton] = []
    if page.number > 0:
        found.append(button(Verb.SHELF, id_, texts("shelf.previous"), n=page.number - 1, emoji="◀️"))
    if page.number + 1 < page.pages:
        found.append(button(Verb.SHELF, id_, texts("shelf.next"), n=page.number + 1, emoji="▶️"))
    found.append(button(Verb.SHELF_SEARCH, id_, texts("shelf.search"), emoji="🔎"))
    if not shown.wish.empty:
        found.append(button(Verb.SHELF_USE, id_, texts("shelf.forget"), n=3))
    if shown.admin:
        found.append(button(Verb.SHELF_REFRESH, id_, texts("shelf.refresh"), emoji="🔄"))
    return found


def _head(shown: Shown, page: Page, texts: Texts) -> str:
    shelf = shown.shelf
    title = texts("shelf.title_loras" if shelf.fixed else "shelf.title")
    lines = [f"### {title}"]
    count = texts("shelf.found", n=page.total)
    if page.pages > 1:
        count += " · " + texts("shelf.page", number=page.number + 1, pages=page.pages)
    if shelf.search:
        count += " · " + texts("shelf.searched", text=spoken(shelf.search))
    lines.append(f"-# {count}")
    if not page.total:
        lines.append(texts("shelf.none_match" if shelf.search or shelf.kind or shelf.base else "shelf.none"))
    if not shown.wish.empty:
        lines.append(wish_line(shown.wish, texts))
    return "\n".join(lines)


def wish_line(wish: NextPicture, texts: Texts) -> str:
    """What is chosen for the next picture."""
    names = [name for name in (wish.checkpoint, wish.vae, wish.upscaler, *wish.loras) if name]
    words = ", ".join(wish.words)
    chosen = ", ".join(spoken(name) for name in names) + (f" + {neutral(words, 200)}" if words else "")
    chosen = chosen.removeprefix(" + ")
    return "🖌️ " + texts("shelf.chosen", names=chosen if len(chosen) <= WISH_CHARS else chosen[:WISH_CHARS] + "…")


def name_line(file: LibraryFile, *, favourite: bool) -> str:
    star = "⭐ " if favourite else ""
    return f"{star}**{neutral(file.name, NAME_CHARS)}**"


def _line(file: LibraryFile, shown: Shown, texts: Texts) -> str:
    parts = [] if shown.shelf.fixed else [texts(f"kind.{file.kind}")]
    base = base_of(file)
    if base:
        parts.append(neutral(base, 40) + (" " + texts("shelf.guessed") if file.guessed else ""))
    if file.problem:
        parts.append("⚠️ " + texts("shelf.unusable"))
    elif file.id in shown.disabled:
        parts.append("🚫 " + texts("shelf.disabled"))
    if file.times_used:
        parts.append(texts("shelf.used", n=file.times_used))
    words = trained_words(file)
    lines = [f"{name_line(file, favourite=file.id in shown.favourites)}\n-# {' · '.join(parts)}"]
    if words:
        lines.append(f"-# {neutral(', '.join(words), WORDS_CHARS)}")
    return "\n".join(lines)


def _hint(file: LibraryFile, texts: Texts) -> str:
    return " · ".join(filter(None, (texts(f"kind.{file.kind}"), base_of(file))))


# --- one file ---------------------------------------------------------------------------------------------------------


def details_card(
    file: LibraryFile, shown: Shown, texts: Texts, measured: Prediction | None = None
) -> discord.ui.LayoutView:
    view, box = _card()
    head = name_line(file, favourite=file.id in shown.favourites)
    box.add_item(discord.ui.TextDisplay("### " + head + "\n" + facts_of(file, texts, measured)))
    preview = shown.previews.get(file.id)
    if preview is not None:
        alt = texts("shelf.preview_of", name=file.name)[:1000]
        box.add_item(discord.ui.MediaGallery(discord.MediaGalleryItem(f"attachment://{preview}", description=alt)))
    if file.id in shown.disabled:
        box.add_item(discord.ui.TextDisplay("🚫 " + texts("shelf.disabled_long")))
    if not shown.wish.empty:
        box.add_item(discord.ui.TextDisplay(wish_line(shown.wish, texts)))
    buttons = [button(Verb.SHELF, shown.shelf_id, texts("shelf.back"), emoji="↩️")]
    if file.kind in USABLE_KINDS and file.problem is None and file.id not in shown.disabled:
        primary = discord.ButtonStyle.primary
        buttons.append(button(Verb.SHELF_USE, shown.shelf_id, texts("shelf.use"), n=1, style=primary, emoji="🖌️"))
        if trained_words(file):
            buttons.append(button(Verb.SHELF_USE, shown.shelf_id, texts("shelf.use_words"), n=2))
    if not shown.wish.empty:
        buttons.append(button(Verb.SHELF_USE, shown.shelf_id, texts("shelf.forget"), n=3))
    box.add_item(_row(*buttons))
    view.add_item(box)
    return view


def facts_of(file: LibraryFile, texts: Texts, measured: Prediction | None = None, *, full: bool = False) -> str:
    """Everything worth knowing, a line each; `measured` is what a worker found out, `full` adds what only admins need.
    At most about 3200 characters."""
    base = base_of(file)
    rows: list[tuple[str, str]] = [("kind", texts(f"kind.{file.kind}"))]
    if file.title and file.title != file.name:
        rows.append(("title", neutral(file.title, 200)))
    if base:
        rows.append(("base", neutral(base, 100) + (" " + texts("shelf.guessed") if file.guessed else "")))
    if file.variant:
        rows.append(("variant", neutral(file.variant, 40)))
    if measured is not None:
        rows.append(("prediction", texts(f"shelf.prediction.{measured}") + " " + texts("shelf.measured")))
    rows.append(("size", size_text(file.size_bytes) + (f" · {neutral(file.precision, 40)}" if file.precision else "")))
    if file.short_hash:
        rows.append(("hash", f"`{file.short_hash}`"))
    if full and file.sha256:
        rows.append(("sha256", f"`{file.sha256}`"))
    if full and file.autov3:
        rows.append(("autov3", f"`{file.autov3}`"))
    used = texts("shelf.used", n=file.times_used)
    if file.last_used_at:
        used += f" · <t:{int(file.last_used_at)}:R>"
    rows.append(("used", used))
    if file.added_at:  # the demo was always here
        rows.append(("added", f"<t:{int(file.added_at)}:d>" + (f" · <@{file.added_by}>" if file.added_by else "")))
    if file.source:
        rows.append(("source", neutral(_source(file.source), 200)))
    if file.note:
        rows.append(("note", neutral(file.note, NOTE_CHARS)))
    if file.problem:
        key = f"shelf.problem.{file.problem}"
        rows.append(("problem", "⚠️ " + (texts(key) if texts.has(key) else texts("shelf.problem.other"))))
    text = "\n".join(f"**{texts(f'shelf.fact.{key}')}** {value}" for key, value in rows)
    if file.trigger_words:
        words = ", ".join(word for word in file.trigger_words if word.strip())
        text += f"\n**{texts('shelf.fact.words')}** `{_in_code(words, WORDS_BLOCK_CHARS)}`"
    if full and file.metadata:
        shown = [f"{key} {value}" for key, value in list(file.metadata.items())[:METADATA_ROWS]]
        text += f"\n-# {neutral(' · '.join(shown), METADATA_CHARS)}"
    return text


def _source(source: str) -> str:
    """Without whatever stands behind the path: some people paste their token along."""
    found = urlsplit(source)
    return f"{found.hostname or ''}{found.path}" if found.scheme in ("http", "https") else source


def _in_code(text: str, limit_chars: int) -> str:
    """Within backticks nothing acts but a backtick; a mention is found there all the same."""
    safe = " ".join(text.replace("`", "'").replace("@", "@\u200b").replace("<", "<\u200b").split())
    return safe if len(safe) <= limit_chars else safe[: limit_chars - 1] + "…"


def _card() -> tuple[discord.ui.LayoutView, Box]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per browser: its buttons are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=BLUE)


def _row(*buttons: AddressButton) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
