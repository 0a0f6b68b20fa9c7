"""What /style and the buttons below its answers do with single styles."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import discord

from bot.domain.content import require_allowed
from bot.domain.mentions import neutral, spoken
from bot.domain.parameters import Parameters
from bot.domain.preferences import STYLE, Level
from bot.domain.style_codes import CODE_STYLES_MAX, encode_styles
from bot.domain.style_names import KeptStyle, StyleOwner
from bot.domain.styles import Style, check_style_name, make_style, style_key
from bot.errors import UserFacingError
from bot.storage.preferences import Preferences
from bot.storage.style_proposals import StyleProposals
from bot.storage.styles import Styles
from bot.studio.stewards import Stewards
from bot.studio.styles.cards import (
    Right,
    list_card,
    plain_card,
    style_card,
    version_card,
    versions_card,
)
from bot.studio.styles.previews import PREVIEW, StylePreviews
from bot.studio.styles.rights import require, rights_on, server_owner
from bot.studio.styles.telling import answer, change, edit_form, texts_of
from bot.studio.wardrobe import Wardrobe
from bot.studio.where import where_of
from bot.ui.buttons import button
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of, shown_part
from bot.ui.selects import chosen_value

__all__ = ["STYLE_VERBS", "StyleDesk", "allowed_for_all"]

STYLE_VERBS = (
    Verb.STYLE_LIST, Verb.STYLE_OPEN, Verb.STYLE_CARD, Verb.STYLE_EDIT, Verb.STYLE_SHARE, Verb.STYLE_COPY,
    Verb.STYLE_PROPOSE, Verb.STYLE_VERSIONS, Verb.STYLE_VERSION, Verb.STYLE_RESTORE, Verb.STYLE_DELETE, Verb.STYLE_UNDO,
    Verb.STYLE_USUAL,
)  # fmt: skip
CODE_SHOWN_CHARS = 1500
"""A longer code is sent as a file."""


async def allowed_for_all(styles: Sequence[Style]) -> None:
    """Before others get to see it. Raises ContentRefusedError."""
    for style in styles:
        # A text full of syntax takes the rules up to a tenth of a second: not on the loop.
        await asyncio.to_thread(require_allowed, style.prompt)


class StyleDesk:
    def __init__(
        self,
        *,
        styles: Styles,
        proposals: StyleProposals,
        wardrobe: Wardrobe,
        preferences: Preferences,
        previews: StylePreviews,
        stewards: Stewards,
    ) -> None:
        self._previews = previews
        self._styles = styles
        self._proposals = proposals
        self._wardrobe = wardrobe
        self._preferences = preferences
        self._stewards = stewards

    # --- commands -----------------------------------------------------------------------------------------------------

    async def save(
        self,
        interaction: Interaction,
        name: str,
        prompt: str,
        negative: str,
        wishes: Parameters,
        *,
        replace: bool,
        for_server: bool,
    ) -> None:
        """For the server it is saved by admins, and proposed by everybody else. Raises UserFacingError as `make_style`,
        `Styles.save` and `StyleProposals.propose`."""
        style, texts = make_style(name, prompt, negative, wishes), texts_of(interaction)
        if not for_server:
            saved = await self._styles.save_own(interaction.user.id, style, replace=replace)
            shown = texts("reply.style_saved", name=neutral(style.name))
            again = texts("style.now_version", version=saved.version)
            await answer(interaction, plain_card(shown if saved.version == 1 else f"{shown}\n-# {again}"))
        elif interaction.guild_id is not None and self._stewards.manages(interaction) is None:
            await self._propose(interaction, style)
        else:
            owner = server_owner(interaction, self._stewards)
            await allowed_for_all([style])
            await self._styles.save(owner, style, author_id=interaction.user.id, replace=replace)
            await answer(interaction, plain_card(texts("style.saved_server", name=neutral(style.name))))

    async def list(self, interaction: Interaction, page: int = 0) -> None:
        await answer(interaction, await self._list(interaction, page))

    async def show(self, interaction: Interaction, name: str) -> None:
        """Raises UserFacingError as `Wardrobe.one`, and so do all that take a name."""
        label, kept = await self._wardrobe.one(where_of(interaction), name)
        await answer(interaction, *await self._card(interaction, label, kept))

    async def rename(self, interaction: Interaction, name: str, new_name: str) -> None:
        label, kept = await self._wardrobe.one(where_of(interaction), name)
        require(kept, Right.EDIT, interaction, self._stewards)
        shown = check_style_name(new_name)
        await self._styles.rename(kept.ref, shown)
        text = texts_of(interaction)("style.renamed", name=neutral(label), new_name=neutral(shown))
        await answer(interaction, plain_card(text))

    async def delete(self, interaction: Interaction, name: str) -> None:
        _, kept = await self._wardrobe.one(where_of(interaction), name)
        await answer(interaction, await self._delete(interaction, kept))

    async def share(self, interaction: Interaction, names: str) -> None:
        found = await self._wardrobe.named(where_of(interaction), names)
        await self._share(interaction, [kept.style for _, kept in found])

    async def versions(self, interaction: Interaction, name: str) -> None:
        _, kept = await self._wardrobe.one(where_of(interaction), name)
        require(kept, Right.EDIT, interaction, self._stewards)
        await answer(interaction, versions_card(kept, await self._styles.versions(kept.ref), texts_of(interaction)))

    async def propose(self, interaction: Interaction, name: str) -> None:
        _, kept = await self._wardrobe.one(where_of(interaction), name)
        await self._propose(interaction, kept.style)

    # --- buttons ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `style_gone`, `style_admins`, `style_shipped`, `style_version_gone`."""
        texts = texts_of(interaction)
        if address.verb == Verb.STYLE_LIST:
            await change(interaction, await self._list(interaction, address.n or 0))
            return
        if address.verb == Verb.STYLE_UNDO:
            await self._undo(interaction, address.id)
            return
        ref = chosen_value(interaction) if address.verb == Verb.STYLE_OPEN else address.id
        label, kept = await self._seen(interaction, ref)
        match address.verb:
            case Verb.STYLE_SHARE:
                await self._share(interaction, [kept.style])
            case Verb.STYLE_EDIT:
                require(kept, Right.EDIT, interaction, self._stewards)
                await interaction.response.send_modal(edit_form(kept, texts))
            case Verb.STYLE_COPY:
                saved = await self._styles.save_own(interaction.user.id, kept.style)
                copy = await self._styles.by_ref(saved.ref)
                note = texts("style.copied")
                await change(interaction, *await self._card(interaction, kept.style.name, copy or kept, note))
            case Verb.STYLE_PROPOSE:
                await self._propose(interaction, kept.style)
            case Verb.STYLE_VERSIONS:
                require(kept, Right.EDIT, interaction, self._stewards)
                await change(interaction, versions_card(kept, await self._styles.versions(kept.ref), texts))
            case Verb.STYLE_VERSION:
                require(kept, Right.EDIT, interaction, self._stewards)
                versions = await self._styles.versions(kept.ref)
                wanted = next((v for v in versions if str(v.version) == chosen_value(interaction)), None)
                if wanted is None:
                    raise UserFacingError("style_version_gone")
                await change(interaction, version_card(kept, wanted, texts))
            case Verb.STYLE_RESTORE:
                require(kept, Right.EDIT, interaction, self._stewards)
                await self._styles.restore_version(kept.ref, address.n or 0, author_id=interaction.user.id)
                label, kept = await self._seen(interaction, ref)
                note = texts("style.restored", version=address.n or 0)
                await change(interaction, *await self._card(interaction, label, kept, note))
            case Verb.STYLE_DELETE:
                await change(interaction, await self._delete(interaction, kept))
            case Verb.STYLE_USUAL:
                await self._make_usual(interaction, label, on=address.n == 1)
                await change(interaction, *await self._card(interaction, label, kept))
            case _:
                await change(interaction, *await self._card(interaction, label, kept))

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """The form behind "Edit": what it changes is a new version. Raises UserFacingError as `make_style` does."""
        _, kept = await self._seen(interaction, address.id)
        require(kept, Right.EDIT, interaction, self._stewards)
        fields, before = fields_of(interaction), kept.style
        name = check_style_name(fields.get("name", before.name))
        prompt = fields.get("prompt", "") + before.prompt[len(shown_part(before.prompt)) :]
        negative = fields.get("negative", "") + before.negative_prompt[len(shown_part(before.negative_prompt)) :]
        style = make_style(name, prompt, negative, before.parameters.layer())
        if kept.owner != StyleOwner.user(interaction.user.id):
            await allowed_for_all([style])
        if style_key(name) != style_key(before.name):
            await self._styles.rename(kept.ref, name)
        await self._styles.save(kept.owner, style, author_id=interaction.user.id, replace=True)
        label, kept = await self._seen(interaction, kept.ref)
        note = texts_of(interaction)("style.now_version", version=kept.version)
        await change(interaction, *await self._card(interaction, label, kept, f"-# {note}"))

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _seen(self, interaction: Interaction, ref: str) -> tuple[str, KeptStyle]:
        """What a button is about, with its name here. Raises UserFacingError (`style_gone`)."""
        where = where_of(interaction)
        labels = await self._wardrobe.open(where.user_id, where.guild_id)
        found = next(((label, kept) for label, kept in labels.items() if kept.ref == ref), None)
        if found is None:
            raise UserFacingError("style_gone")
        return found

    async def _card(
        self, interaction: Interaction, label: str, kept: KeptStyle, note: str = ""
    ) -> tuple[discord.ui.LayoutView, list[discord.File]]:
        rights = rights_on(kept, interaction, self._stewards)
        usual = style_key(label) in {style_key(name) for name in self._usual(interaction)}
        files = await self._previews.of(kept, interaction)
        preview = PREVIEW if files else None
        card = style_card(label, kept, rights, texts_of(interaction), usual=usual, note=note, preview=preview)
        return card, files

    async def _list(self, interaction: Interaction, page: int) -> discord.ui.LayoutView:
        where = where_of(interaction)
        labels = await self._wardrobe.open(where.user_id, where.guild_id)
        proposals = await self._proposals.of(where.guild_id, where.user_id) if where.guild_id is not None else []
        decides = where.guild_id is not None and self._stewards.manages(interaction) is not None
        waiting = len(await self._proposals.waiting(where.guild_id)) if decides and where.guild_id is not None else 0
        return list_card(labels, page, proposals, texts_of(interaction), waiting)

    async def _delete(self, interaction: Interaction, kept: KeptStyle) -> discord.ui.LayoutView:
        require(kept, Right.DELETE, interaction, self._stewards)
        await self._styles.delete(kept.ref)
        texts = texts_of(interaction)
        undo = button(Verb.STYLE_UNDO, kept.ref, texts("style.undo"), emoji="↩️")
        return plain_card(texts("style.deleted", name=neutral(kept.style.name)), [undo])

    async def _undo(self, interaction: Interaction, ref: str) -> None:
        gone = await self._styles.by_ref(ref, deleted=True)
        if gone is not None:
            require(gone, Right.DELETE, interaction, self._stewards)
            await self._styles.undelete(ref)
        label, kept = await self._seen(interaction, ref)
        await change(interaction, *await self._card(interaction, label, kept, texts_of(interaction)("style.undone")))

    async def _share(self, interaction: Interaction, styles: list[Style]) -> None:
        texts = texts_of(interaction)
        if len(styles) > CODE_STYLES_MAX:
            raise UserFacingError("styles_many", limit=CODE_STYLES_MAX)
        code = encode_styles(styles)
        about = texts("style.code", n=len(styles))
        if len(code) <= CODE_SHOWN_CHARS:
            await interaction.response.send_message(f"{about}\n```\n{code}\n```", ephemeral=True)
        else:
            file = discord.File(io.BytesIO(code.encode()), "pincel-styles.txt")
            await interaction.response.send_message(about, file=file, ephemeral=True)

    async def _propose(self, interaction: Interaction, style: Style) -> None:
        if interaction.guild_id is None:
            raise UserFacingError("server_only")
        await allowed_for_all([style])
        await self._proposals.propose(interaction.guild_id, interaction.user.id, style)
        await answer(interaction, plain_card(texts_of(interaction)("style.proposed", name=neutral(style.name))))

    def _usual(self, interaction: Interaction) -> list[str]:
        """Names of the styles that this person's own settings say."""
        said = self._preferences.said(Level.USER, interaction.user.id).get(STYLE.name) or ""
        return [name.strip() for name in str(said).split(",") if name.strip()]

    async def _make_usual(self, interaction: Interaction, label: str, *, on: bool) -> None:
        kept = [name for name in self._usual(interaction) if style_key(name) != style_key(label)]
        names = ", ".join([*kept, label] if on else kept)
        if on:
            names = await self._wardrobe.check(where_of(interaction), Level.USER, names)
        try:
            await self._preferences.put(Level.USER, interaction.user.id, STYLE, names or None)
        except ValueError as error:
            raise UserFacingError("setting_value", value=spoken(names)) from error
