"""How answers about styles are given."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.style_names import KeptStyle
from bot.i18n import Texts, texts_for
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, text_field

__all__ = ["answer", "change", "edit_form", "texts_of"]


def edit_form(kept: KeptStyle, texts: Texts) -> discord.ui.Modal:
    form = form_of(texts("style.edit_title"), encode(Verb.STYLE_EDIT_FORM, kept.ref))
    style = kept.style
    text_field(form, "name", texts("form.style.name"), "", style.name, paragraph=False, required=True, max_length=60)
    text_field(form, "prompt", texts("form.style.prompt"), texts("form.style.prompt_hint"), style.prompt)
    text_field(form, "negative", texts("form.style.negative"), "", style.negative_prompt)
    return form


def texts_of(interaction: Interaction) -> Texts:
    return texts_for(str(interaction.locale))


async def answer(interaction: Interaction, view: discord.ui.LayoutView, files: Sequence[discord.File] = ()) -> None:
    """For the asker's eyes alone."""
    if interaction.response.is_done():
        await interaction.followup.send(view=view, files=files, ephemeral=True)
    else:
        await interaction.response.send_message(view=view, files=files, ephemeral=True)


async def change(interaction: Interaction, view: discord.ui.LayoutView, files: Sequence[discord.File] = ()) -> None:
    """The message below which it was pressed; a form that was opened elsewhere is answered."""
    if interaction.message is not None:
        await interaction.response.edit_message(view=view, attachments=files)
    else:
        await answer(interaction, view, files)
