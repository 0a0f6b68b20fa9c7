"""The styles that somebody may name where they are: their own, the server's, and those that Pincel brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from discord import app_commands
from rapidfuzz import fuzz, process

from bot.domain.mentions import spoken
from bot.domain.model_rules import Where
from bot.domain.notes import Note, named
from bot.domain.preferences import Level, Resolved
from bot.domain.shipped_styles import shipped_styles
from bot.domain.style_names import (
    KeptStyle,
    StyleLevel,
    StyleOwner,
    completions,
    labelled,
    spellings,
    split_names,
)
from bot.domain.styles import NO_STYLE, Style, holds_style, is_no_style, style_key
from bot.errors import UserFacingError
from bot.storage.styles import Styles
from bot.ui.commands import CHOICES_LIMIT, choices

__all__ = ["Chosen", "Recognised", "Wardrobe"]

_CLOSE_ENOUGH = 60.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Styles in the order in which they are applied, and what their user should know."""

    styles: tuple[Style, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A style whose texts a picture has, and which of its versions that was."""

    label: str
    version: int
    newest: int


class Wardrobe:
    def __init__(self, styles: Styles) -> None:
        self._styles = styles

    async def open(self, user_id: int, guild_id: int | None) -> dict[str, KeptStyle]:
        """Everything there is to name, by the name that means it. With user 0 what a server has without its members."""
        found = list[KeptStyle]()
        if user_id:
            found += await self._styles.list(StyleOwner.user(user_id))
        if guild_id is not None:
            found += await self._styles.list(StyleOwner.server(guild_id))
        return labelled([*found, *shipped_styles()])

    async def named(self, where: Where, text: str) -> list[tuple[str, KeptStyle]]:
        """The styles that `text` names, in its order, with what each is called here.

        Raises UserFacingError: `style_unknown`, `style_unknown_closest`, `styles_many`."""
        labels = await self.open(where.user_id, where.guild_id)
        known = _by_spelling(labels)
        names = split_names(text, lambda name: style_key(name) in known)
        return [known.get(style_key(name)) or _unknown(name, labels) for name in names]

    async def one(self, where: Where, name: str) -> tuple[str, KeptStyle]:
        """As `named`, for an option that takes one."""
        labels = await self.open(where.user_id, where.guild_id)
        return _by_spelling(labels).get(style_key(name)) or _unknown(name, labels)

    async def chosen(self, where: Where, typed: str | None, usual: Resolved[str | None] | None) -> Chosen:
        """For a picture: what is typed, else what is usual there; `None` typed takes the usual away.

        Raises UserFacingError as `named` for what is typed. Of what is usual, styles that are gone are left out."""
        if typed is not None and typed.strip():
            if is_no_style(typed):
                return Chosen()
            return Chosen(tuple(kept.style for _, kept in await self.named(where, typed)))
        if usual is None or not usual.value:
            return Chosen()
        labels = await self.open(*_scope(where, usual.level))
        known = _by_spelling(labels)
        names = split_names(usual.value, lambda name: style_key(name) in known)
        gone = [spoken(name) for name in names if style_key(name) not in known]
        found = tuple(known[style_key(name)][1].style for name in names if style_key(name) in known)
        return Chosen(found, (Note("styles_gone", {"names": named(gone)}),) if gone else ())

    async def completions(
        self, where: Where, typed: str, *, several: bool = True, none: bool = False
    ) -> list[app_commands.Choice[str]]:
        """What the option may become, at most 25 rows: with `several` the last of its names is completed. With `none`
        the word that takes the usual styles away stands last."""
        labels = [*await self.open(where.user_id, where.guild_id)]
        if not several:
            return choices(typed, labels)
        rows = completions(typed, labels, _ranked)
        if none and NO_STYLE.casefold().startswith(typed.strip().casefold()):
            rows = [*rows[: CHOICES_LIMIT - 1], NO_STYLE]
        return [app_commands.Choice(name=row, value=row) for row in rows[:CHOICES_LIMIT]]

    async def check(self, where: Where, level: Level, names: str) -> str:
        """The names of styles as they are spelt, for a setting of that level. Raises UserFacingError as `named`."""
        user_id, guild_id = _scope(where, level)
        found = await self.named(Where(guild_id, user_id=user_id), names)
        return ", ".join(label for label, _ in found)

    async def recognised(self, where: Where, prompt: str, negative_prompt: str) -> list[Recognised]:
        """Whose texts stand in these, with the newest version of each that does. Pictures need no note of it: their
        texts are whole, so they are drawn again alike, whatever becomes of the style."""
        found: list[Recognised] = []
        for label, kept in (await self.open(where.user_id, where.guild_id)).items():
            if holds_style(kept.style, prompt, negative_prompt):
                found.append(Recognised(label, kept.version, kept.version))
            elif kept.owner.level is not StyleLevel.SHIPPED and kept.version > 1:
                versions = await self._styles.versions(kept.ref)
                older = next((v for v in versions if holds_style(v.style, prompt, negative_prompt)), None)
                if older is not None:
                    found.append(Recognised(label, older.version, kept.version))
        return found


def _ranked(typed: str, names: Sequence[str]) -> list[str]:
    return [choice.value for choice in choices(typed, names)]


def _scope(where: Where, level: Level | None) -> tuple[int, int | None]:
    """Whose styles a setting of that level may name: a server's setting means no member's own, the operator's only
    what every server has."""
    if level is Level.USER:
        return where.user_id, where.guild_id
    return 0, where.guild_id if level in (Level.SERVER, Level.CHANNEL) else None


def _by_spelling(labels: Mapping[str, KeptStyle]) -> dict[str, tuple[str, KeptStyle]]:
    found: dict[str, tuple[str, KeptStyle]] = {}
    for label, kept in labels.items():
        for key in spellings(label, kept):
            found.setdefault(key, (label, kept))
    return found


def _unknown(name: str, labels: Mapping[str, KeptStyle]) -> tuple[str, KeptStyle]:
    """Raises UserFacingError: `style_unknown_closest` with the name that was probably meant, or `style_unknown`."""
    names: Sequence[str] = list(labels)
    closest = process.extractOne(name, names, scorer=fuzz.WRatio, processor=style_key, score_cutoff=_CLOSE_ENOUGH)
    if closest is None:
        raise UserFacingError("style_unknown", name=spoken(name))
    raise UserFacingError("style_unknown_closest", name=spoken(name), closest=spoken(closest[0]))
