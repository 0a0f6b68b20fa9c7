"""/models and /loras: what somebody looks at is a line in the database, and every button below it an address of it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord

from bot.domain.model_rules import is_enabled
from bot.domain.next_picture import NextPicture, chosen
from bot.domain.shelves import Shelf, base_of, bases, kinds, page_of, trained_words
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.library import Library, LibraryFile
from bot.storage.model_choices import NextPictures, Shelves
from bot.storage.model_rules import ModelRules
from bot.studio.models import Models
from bot.studio.shelf_cards import ALL, Shown, details_card, page_card
from bot.studio.stewards import Stewards
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import NAME_LIMIT, fields_of, form_of, text_field
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value

__all__ = ["SHELF_VERBS", "Browser", "pictures_of"]

log = logging.getLogger(__name__)

SHELF_VERBS = (
    Verb.SHELF, Verb.SHELF_OPEN, Verb.SHELF_KIND, Verb.SHELF_BASE, Verb.SHELF_SEARCH, Verb.SHELF_USE,
    Verb.SHELF_REFRESH,
)  # fmt: skip
THUMBNAIL_PX = 160
PREVIEW_PX = 640
PREVIEW_BYTES_MAX = 30 * 2**20
PIXELS_MAX = 40_000_000
SEARCH_CHARS = 100


class Browser:
    def __init__(
        self,
        *,
        library: Library,
        rules: ModelRules,
        shelves: Shelves,
        next_pictures: NextPictures,
        models: Models,
        stewards: Stewards,
    ) -> None:
        self._library = library
        self._rules = rules
        self._shelves = shelves
        self._next = next_pictures
        self._models = models
        self._stewards = stewards

    async def open(self, interaction: Interaction, shelf: Shelf) -> None:
        """Answers with the first page, which only the user sees."""
        await interaction.response.defer(ephemeral=True)
        shelf_id = await self._shelves.add(interaction.user.id, shelf)
        view, files = await self._card(interaction, shelf_id, shelf)
        await redraw(interaction, view, files)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `shelf_unknown`, `model_gone`, `model_disabled`, `model_not_for_pictures`."""
        shelf = await self._shelf(interaction, address)
        match address.verb:
            case Verb.SHELF_SEARCH:
                texts = texts_for(str(interaction.locale))
                form = form_of(texts("shelf.search_title"), encode(Verb.SHELF_SEARCH_FORM, address.id))
                text_field(
                    form,
                    "text",
                    texts("shelf.search_label"),
                    texts("shelf.search_hint"),
                    shelf.search,
                    paragraph=False,
                    max_length=SEARCH_CHARS,
                )
                await interaction.response.send_modal(form)
                return
            case Verb.SHELF:
                page = shelf.page if address.n is None else address.n
                shelf = shelf.model_copy(update={"page": page, "opened": None})
            case Verb.SHELF_OPEN:
                shelf = shelf.model_copy(update={"opened": chosen_value(interaction)})
                self._file(shelf)
            case Verb.SHELF_KIND:
                value = chosen_value(interaction)
                update: dict[str, Any] = {"kind": None if value == ALL else value, "base": None, "page": 0}
                shelf = Shelf.model_validate(shelf.model_dump() | update)
            case Verb.SHELF_BASE:
                value = chosen_value(interaction)
                shelf = shelf.model_copy(update={"base": None if value == ALL else self._base(value), "page": 0})
            case Verb.SHELF_USE:
                await self._use(interaction, shelf, address.n or 1)
            case Verb.SHELF_REFRESH:
                self._stewards.managing(interaction)
                await interaction.response.defer()
                await self._library.refresh()
            case _:
                raise UserFacingError("button_unknown")
        await self._show(interaction, address.id, shelf)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """The search form. Raises UserFacingError (`shelf_unknown`)."""
        shelf = await self._shelf(interaction, address)
        search = " ".join(fields_of(interaction).get("text", "").split())[:SEARCH_CHARS]
        shelf = shelf.model_copy(update={"search": search, "page": 0, "opened": None})
        await self._show(interaction, address.id, shelf)

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _use(self, interaction: Interaction, shelf: Shelf, n: int) -> None:
        user_id = interaction.user.id
        if n == 3:
            await self._next.put(user_id, NextPicture())
            return
        file = self._file(shelf)
        if not is_enabled(file, where_of(interaction), self._rules.rules):
            raise UserFacingError("model_disabled", name=file.name)
        words = trained_words(file) if n == 2 else ()
        try:
            wish = chosen(await self._next.get(user_id), file.kind, file.name, words)
        except ValueError:
            raise UserFacingError("model_not_for_pictures") from None
        await self._next.put(user_id, wish)

    async def _show(self, interaction: Interaction, shelf_id: str, shelf: Shelf) -> None:
        # Pictures are made small and sent along, which may take longer than an answer may.
        await begin_redraw(interaction)
        await self._shelves.change(shelf_id, shelf)
        view, files = await self._card(interaction, shelf_id, shelf)
        await interaction.edit_original_response(view=view, attachments=files)

    async def _card(
        self, interaction: Interaction, shelf_id: str, shelf: Shelf
    ) -> tuple[discord.ui.LayoutView, Sequence[discord.File]]:
        texts = texts_for(str(interaction.locale))
        where, rules = where_of(interaction), self._rules.rules
        admin = self._stewards.manages(interaction) is not None
        files = self._library.files()
        disabled = frozenset(file.id for file in files if not is_enabled(file, where, rules))
        # Whoever looks after models sees what is disabled or damaged, too; for everybody else it is not there.
        files = tuple(file for file in files if admin or (file.id not in disabled and file.problem is None))
        opened = self._library.get(shelf.opened) if shelf.opened else None
        favourites = self._rules.favourites(where.guild_id)
        wish = await self._next.get(where.user_id)
        shown = Shown(shelf_id, shelf, wish, favourites, disabled, {}, admin)
        if opened is not None and opened in files:
            names, attachments = await asyncio.to_thread(pictures_of, [opened], PREVIEW_PX)
            measured = self._models.measured(opened)
            return details_card(opened, replace(shown, previews=names), texts, measured), attachments
        history = await self._library.history_of(where.user_id)
        page = await asyncio.to_thread(page_of, shelf, files, favourites, history)
        names, attachments = await asyncio.to_thread(pictures_of, page.files, THUMBNAIL_PX)
        kept = [file for file in files if shelf.kind in (None, file.kind)]
        return page_card(replace(shown, previews=names), page, kinds(files), bases(kept), texts), attachments

    async def _shelf(self, interaction: Interaction, address: Address) -> Shelf:
        shelf = await self._shelves.get(address.id, interaction.user.id)
        if shelf is None:
            raise UserFacingError("shelf_unknown")
        return shelf

    def _file(self, shelf: Shelf) -> LibraryFile:
        file = self._library.get(shelf.opened) if shelf.opened else None
        if file is None:
            raise UserFacingError("model_gone")
        return file

    def _base(self, value: str) -> str | None:
        """The whole name of a base model whose row may have been cut."""
        found = (base for file in self._library.files() if (base := base_of(file)) and base[:NAME_LIMIT] == value)
        return next(found, None)


def pictures_of(files: Sequence[LibraryFile], side_px: int) -> tuple[dict[str, str], list[discord.File]]:
    """Previews as attachments, and their names by file id; what cannot be read is left out. Blocks."""
    names: dict[str, str] = {}
    attachments: list[discord.File] = []
    for file in files:
        data = _small(file.preview, side_px) if file.preview is not None else None
        if data is not None:
            names[file.id] = f"{file.id}.webp"
            attachments.append(discord.File(io.BytesIO(data), names[file.id]))
    return names, attachments


def _small(path: Path, side_px: int) -> bytes | None:
    from PIL import Image

    try:
        if path.stat().st_size > PREVIEW_BYTES_MAX:
            return None
        with Image.open(path, formats=("PNG", "JPEG", "WEBP", "GIF")) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                return None
            picture.draft("RGB", (side_px, side_px))
            small = picture.convert("RGB")
            small.thumbnail((side_px, side_px))
            out = io.BytesIO()
            small.save(out, "WEBP", quality=80)
            return out.getvalue()
    except Exception as error:  # whatever Pillow makes of foreign bytes: there is no picture then
        log.info("the preview %s cannot be shown: %s", path, error)
        return None
