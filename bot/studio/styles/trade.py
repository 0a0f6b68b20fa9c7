"""Styles that come from files and codes, styles that leave as files, and what members propose to their server."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from typing import Literal

import aiohttp
import discord

from bot.domain.mentions import neutral
from bot.domain.style_codes import decode_styles, find_code
from bot.domain.style_files import FILE_BYTES_MAX, ReadStyles, read_styles, write_csv, write_json
from bot.domain.style_names import KeptStyle, StyleLevel, StyleOwner, StyleVersion
from bot.domain.styles import style_key
from bot.errors import UserFacingError
from bot.storage.style_proposals import Import, StyleImports, StyleProposals
from bot.storage.styles import Styles
from bot.studio.stewards import Stewards
from bot.studio.styles.cards import Differences, import_card, plain_card, proposal_card, refusals
from bot.studio.styles.desk import allowed_for_all
from bot.studio.styles.notices import StyleNotices
from bot.studio.styles.rights import server_owner
from bot.studio.styles.telling import answer, change, texts_of
from bot.studio.wardrobe import Wardrobe
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb

__all__ = ["TRADE_VERBS", "StyleTrade"]

log = logging.getLogger(__name__)

TRADE_VERBS = (Verb.STYLE_IMPORT, Verb.STYLE_REVIEW, Verb.STYLE_DECIDE)
_CODE_WITHIN = 40_000
"""Bytes of a file in which a code is looked for."""
Format = Literal["csv", "json"]


class StyleTrade:
    def __init__(
        self,
        *,
        styles: Styles,
        proposals: StyleProposals,
        imports: StyleImports,
        wardrobe: Wardrobe,
        notices: StyleNotices,
        stewards: Stewards,
    ) -> None:
        self._notices = notices
        self._styles = styles
        self._proposals = proposals
        self._imports = imports
        self._wardrobe = wardrobe
        self._stewards = stewards

    # --- coming in ----------------------------------------------------------------------------------------------------

    async def bring(
        self, interaction: Interaction, file: discord.Attachment | None, code: str | None, *, for_server: bool
    ) -> None:
        """Shows what a file or a code holds, and what stands in the way; nothing is kept yet.

        Raises UserFacingError: `style_import_what`, `style_file_…`, `style_code_…`, `style_admins`, `server_only`."""
        owner = server_owner(interaction, self._stewards) if for_server else StyleOwner.user(interaction.user.id)
        if (file is None) == (code is None):
            raise UserFacingError("style_import_what")
        await interaction.response.defer(ephemeral=True)
        if file is not None:
            read = await asyncio.to_thread(_read, await _bytes_of(file))
        elif (whole := find_code(code or "")) is not None:
            read = await asyncio.to_thread(decode_styles, whole)
        else:
            raise UserFacingError("style_code_unreadable")
        if owner.level is StyleLevel.SERVER:
            await allowed_for_all(read.styles)
        there = {style_key(kept.style.name): kept for kept in await self._styles.list(owner)}
        found = _differences(read, there)
        id_ = await self._imports.add(interaction.user.id, Import(owner, (*found.new, *found.changed)))
        texts = texts_of(interaction)
        await interaction.followup.send(view=import_card(id_, read, found, texts), ephemeral=True)
        if len(read.refused) > 1:
            report = "\n".join(refusals(read, texts)).replace("\\", "")
            attached = discord.File(io.BytesIO(report.encode()), texts("style.import.report"))
            await interaction.followup.send(file=attached, ephemeral=True)

    async def send_out(self, interaction: Interaction, format_: Format, whose: StyleLevel | None) -> None:
        """Everything of one level, or all there is. Raises UserFacingError (`style_nothing`)."""
        await interaction.response.defer(ephemeral=True)
        where, texts = where_of(interaction), texts_of(interaction)
        kept = [
            style
            for style in (await self._wardrobe.open(where.user_id, where.guild_id)).values()
            if whose in (None, style.owner.level)
        ]
        if not kept:
            raise UserFacingError("style_nothing")
        # Earlier versions are shown to those who can restore them: to their owner.
        versions = await self._versions([style for style in kept if style.owner.level is StyleLevel.USER])
        data = await asyncio.to_thread(_written, kept, versions, format_, interaction.filesize_limit)
        name = "styles.csv" if format_ == "csv" else "pincel-styles.json"
        with_parameters = any(style.style.parameters.model_dump(exclude_none=True) for style in kept)
        lost = format_ == "csv" and with_parameters
        text = texts("style.exported", n=len(kept)) + (f"\n-# {texts('style.exported_csv')}" if lost else "")
        await interaction.followup.send(text, file=discord.File(io.BytesIO(data), name), ephemeral=True)

    async def _versions(self, kept: list[KeptStyle]) -> dict[str, list[StyleVersion]]:
        return {
            style.style.name: [*reversed(await self._styles.versions(style.ref))] for style in kept if style.version > 1
        }

    # --- proposals ----------------------------------------------------------------------------------------------------

    async def review(self, interaction: Interaction) -> None:
        """Raises UserFacingError: `server_only`, `style_admins`."""
        await self._show(interaction, server_owner(interaction, self._stewards), 0, answer)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `style_import_gone`, `proposal_decided`, `style_admins`, `styles_full_server`."""
        if address.verb == Verb.STYLE_IMPORT:
            await self._confirmed(interaction, address)
            return
        owner = server_owner(interaction, self._stewards)
        if address.verb == Verb.STYLE_DECIDE:
            proposal, _ = await self._proposals.decide(
                int(address.id) if address.id.isdecimal() else 0, owner.id, interaction.user.id, approve=address.n == 1
            )
            key = "style.review.approved" if address.n == 1 else "style.review.refused"
            note = texts_of(interaction)(key, name=neutral(proposal.style.name))
            await self._show(interaction, owner, 0, change, note)
            if proposal.user_id != interaction.user.id:
                await self._notices.decided(proposal, interaction.guild.name if interaction.guild else "–")
            return
        await self._show(interaction, owner, address.n or 0, change)

    async def _show(
        self, interaction: Interaction, owner: StyleOwner, index: int, send: Callable[..., object], note: str = ""
    ) -> None:
        texts = texts_of(interaction)
        waiting = await self._proposals.waiting(owner.id)
        if not waiting:
            view = plain_card("\n".join(filter(None, (note, texts("style.review.none")))))
        else:
            shown = waiting[min(index, len(waiting) - 1)]
            taken = await self._styles.get(owner, shown.style.name)
            view = proposal_card(owner.id, waiting, index, taken, texts, note)
        await (change if send is change else answer)(interaction, view)

    async def _confirmed(self, interaction: Interaction, address: Address) -> None:
        texts = texts_of(interaction)
        wanted = await self._imports.take(address.id, interaction.user.id)
        if address.n == 3:
            await change(interaction, plain_card(texts("style.import.discarded")))
            return
        if wanted.owner.level is StyleLevel.SERVER and wanted.owner != server_owner(interaction, self._stewards):
            raise UserFacingError("style_import_gone")
        saved, left = await self._styles.save_all(
            wanted.owner, wanted.styles, author_id=interaction.user.id, replace=address.n == 2
        )
        lines = [
            texts("style.import.done", n=sum(one.change == "new" for one in saved)),
            texts("style.import.done_changed", n=sum(one.change == "changed" for one in saved)),
        ]
        if left:
            names = ", ".join(neutral(style.name) for style in left)[:1000]
            lines.append(texts("style.import.left", n=len(left), names=names))
        await change(interaction, plain_card("\n".join(lines)))


def _differences(read: ReadStyles, there: dict[str, KeptStyle]) -> Differences:
    """By name; a style that is there word for word needs nothing."""
    kept = {style: there.get(style_key(style.name)) for style in read.styles}
    same = [style for style, own in kept.items() if own is not None and own.style == style]
    return Differences(
        new=[style for style, own in kept.items() if own is None],
        changed=[style for style, own in kept.items() if own is not None and style not in same],
        same=same,
    )


def _read(data: bytes) -> ReadStyles:
    """Raises UserFacingError as `read_styles` and `decode_styles`."""
    code = find_code(data[:_CODE_WITHIN].decode("utf-8", "replace"))
    return read_styles(data) if code is None else decode_styles(code)


def _written(
    kept: list[KeptStyle], versions: dict[str, list[StyleVersion]], format_: Format, limit_bytes: int
) -> bytes:
    styles = [style.style for style in kept]
    if format_ == "csv":
        return write_csv(styles)
    whole = write_json(styles, versions)
    return whole if len(whole) <= limit_bytes else write_json(styles)


async def _bytes_of(file: discord.Attachment) -> bytes:
    """Raises UserFacingError: `style_file_long`, `style_file_gone`."""
    if file.size > FILE_BYTES_MAX:
        raise UserFacingError("style_file_long", limit_mb=FILE_BYTES_MAX // 2**20)
    try:
        return await file.read()
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.info("a file of styles could not be fetched: %s", error)
        raise UserFacingError("style_file_gone") from error
