"""The card of downloads that are under way, and the message that says how they ended."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import discord

from bot.domain.amounts import size_text
from bot.domain.mentions import neutral, spoken
from bot.domain.shelves import base_of
from bot.downloads.records import Download
from bot.i18n import Texts
from bot.library import LibraryFile
from bot.studio.model_admin.trials import TESTABLE
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb

__all__ = ["ended_card", "failure", "progress_card", "title_of"]

BLUE, GREEN, RED = 0x5865F2, 0x23A55A, 0xDA373C
BAR = 12
SHOWN = 10
FILES_SHOWN = 12
NAME_CHARS = 90
LINE_CHARS = 330
TEXT_CHARS = 3600
"""Of all lines of one card; Discord takes 4000 with title and hints."""

Files = Mapping[str, LibraryFile]
"""By id: those in the library that downloads became."""


def title_of(download: Download) -> str:
    """What people recognise it by, inert."""
    wish = download.wish
    name = download.filename or wish.name or wish.link.partition("?")[0].rstrip("/").rpartition("/")[2] or wish.link
    return neutral(name, NAME_CHARS)


def progress_card(downloads: Sequence[Download], user_id: int, texts: Texts) -> discord.ui.LayoutView:
    """A line each, with its cancel button; at most ten, and of more those that are still under way."""
    over = all(download.ended for download in downloads)
    failed = any(download.state == "failed" for download in downloads)
    view, box = _card(BLUE if not over else RED if failed else GREEN)
    box.add_item(discord.ui.TextDisplay(texts("download.title") + f"\n-# {texts('card.by', user=f'<@{user_id}>')}"))
    shown = downloads if len(downloads) <= SHOWN else sorted(downloads, key=lambda download: download.ended)[:SHOWN]
    lines = _within([_line(download, texts) for download in shown], TEXT_CHARS)
    for download, line in zip(shown, lines, strict=True):
        if download.ended:
            box.add_item(discord.ui.TextDisplay(line))
            continue
        cancel = button(Verb.DOWNLOAD_CANCEL, download.id, texts("button.cancel"))
        section: discord.ui.Section[discord.ui.LayoutView] = discord.ui.Section(line, accessory=in_layout(cancel))
        box.add_item(section)
    if len(downloads) > SHOWN:
        box.add_item(discord.ui.TextDisplay(texts("download.more", n=len(downloads) - SHOWN)))
    view.add_item(box)
    return view


def _within(lines: list[str], limit: int) -> list[str]:
    """The longest are cut where all together are too long."""
    if sum(map(len, lines)) <= limit:
        return lines
    share = limit // len(lines)
    return [line if len(line) <= share else line[: share - 1] + "…" for line in lines]


def _line(download: Download, texts: Texts) -> str:
    name = f"**{title_of(download)}**"
    match download.state:
        case "downloading" if download.total_bytes:
            share = min(1.0, download.received_bytes / download.total_bytes)
            full = round(share * BAR)
            parts = [
                f"{'▰' * full}{'▱' * (BAR - full)} {math.floor(share * 100)} %",
                texts("download.of", done=size_text(download.received_bytes), total=size_text(download.total_bytes)),
            ]
            if download.rate_bytes_s > 0:
                parts.append(f"{size_text(int(download.rate_bytes_s))}/s")
            if download.eta_s is not None:
                parts.append(texts("card.eta", when=f"<t:{math.ceil(time.time() + download.eta_s)}:R>"))
            text = " · ".join(parts)
        case "downloading":
            text = texts("download.downloading", done=size_text(download.received_bytes))
        case "done":
            text = "✅ " + texts("download.done")
        case "failed":
            text = "❌ " + failure(download, texts)
        case state:
            text = texts(f"download.{state}")
    return f"{name}\n-# {text}"


def failure(download: Download, texts: Texts) -> str:
    """The sentence behind a failed download's key; a key of another version still ends in a sentence."""
    key = f"error.{download.problem}"
    values = {
        name: spoken(value) if isinstance(value, str) else value for name, value in download.problem_values.items()
    }
    try:
        return texts(key, **values)[:LINE_CHARS]
    except KeyError:
        return texts("download.failed")


def ended_card(
    downloads: Sequence[Download], files: Files, user_id: int, texts: Texts, *, held: bool, warning: str = ""
) -> discord.ui.LayoutView:
    """What came into the library, ready to be tested or enabled, and what did not."""
    there = [files[id_] for download in downloads for id_ in download.file_ids if id_ in files]
    failed = [download for download in downloads if download.state == "failed"]
    view, box = _card(GREEN if there else RED)
    head = texts("download.ended", n=len(there), user=f"<@{user_id}>")
    box.add_item(discord.ui.TextDisplay(head))
    lines: list[str] = []
    for file in there[:FILES_SHOWN]:
        parts = (texts(f"kind.{file.kind}"), base_of(file), size_text(file.size_bytes))
        hint = " · ".join(neutral(part, 60) for part in parts if part)
        text = f"**{spoken(file.name)}**\n-# {hint}"
        if held:
            text += "\n-# " + texts("download.held")
        lines.append(text)
    lines += [f"**{title_of(download)}**\n-# ❌ {failure(download, texts)}" for download in failed[:SHOWN]]
    lines = _within(lines, TEXT_CHARS)
    for file, line in zip(there[:FILES_SHOWN], lines, strict=False):
        box.add_item(discord.ui.TextDisplay(line))
        if len(there) <= 5:
            buttons = _file_buttons(file, texts, held=held)
            if buttons:
                box.add_item(_row(*buttons))
    if len(there) > FILES_SHOWN:
        box.add_item(discord.ui.TextDisplay(texts("download.more", n=len(there) - FILES_SHOWN)))
    for line in lines[len(there[:FILES_SHOWN]) :]:
        box.add_item(discord.ui.TextDisplay(line))
    if warning:
        box.add_item(discord.ui.TextDisplay(f"⚠️ {warning}"))
    view.add_item(box)
    return view


def _file_buttons(file: LibraryFile, texts: Texts, *, held: bool) -> list[AddressButton]:
    found: list[AddressButton] = []
    if file.kind in TESTABLE:
        found.append(button(Verb.MODEL_TEST, file.id, texts("model_admin.test"), emoji="🧪"))
    if held:
        found.append(button(Verb.MODEL_ENABLE, file.id, texts("button.enable"), emoji="✅"))
    return found


def _card(colour: int) -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=colour)


def _row(*buttons: AddressButton) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
