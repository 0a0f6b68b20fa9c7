"""What somebody looks for in their history: as options, and as a form."""

from __future__ import annotations

import discord
from pydantic import ValidationError

from bot.domain.history import NAME_CHARS, SEARCH_CHARS, Wanted, moment_of, shown_moment
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, text_field

__all__ = ["search_form", "wanted_of"]


def wanted_of(
    words: str,
    model: str,
    lora: str,
    since: str,
    until: str,
    before: Wanted = Wanted(),  # noqa: B008 - frozen
) -> Wanted:
    """Raises UserFacingError (`date_unreadable`)."""
    try:
        return Wanted(
            search=" ".join(words.split())[:SEARCH_CHARS],
            model=model.strip()[:NAME_CHARS] or None,
            lora=lora.strip().removeprefix("<lora:")[:NAME_CHARS] or None,
            since=moment_of(since),
            until=moment_of(until, end=True),
            favourites=before.favourites,
            stranded=before.stranded,
        )
    except ValidationError as error:  # nothing that the lines above let through
        raise UserFacingError("history_unknown") from error


def search_form(desk_id: str, wanted: Wanted, interaction: Interaction) -> discord.ui.Modal:
    texts: Texts = texts_for(str(interaction.locale))
    form = form_of(texts("history.form.title"), encode(Verb.HISTORY_SEARCH_FORM, desk_id))
    values = {
        "words": wanted.search,
        "model": wanted.model or "",
        "lora": wanted.lora or "",
        "since": shown_moment(wanted.since),
        "until": shown_moment(wanted.until, end=True),
    }
    for name, value in values.items():
        text_field(
            form, name, texts(f"history.form.{name}"), texts(f"history.form.{name}_hint"), value,
            paragraph=False, max_length=SEARCH_CHARS if name == "words" else NAME_CHARS,
        )  # fmt: skip
    return form
