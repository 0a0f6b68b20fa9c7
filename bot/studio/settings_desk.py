"""/settings: the panels of a user, a channel, a server and the operator. A panel's address says whose it is, and every
press proves anew that the presser may change it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import discord

from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.model_rules import ModelDefaults, Where
from bot.domain.preferences import (
    CHECKPOINT,
    CLIP_SKIP,
    KEYS,
    OPERATOR_ID,
    PREVIEWS,
    STYLE,
    VAE,
    Level,
    Resolved,
    resolve,
)
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.preferences import Preferences
from bot.studio.languages import Languages
from bot.studio.model_admin.ruling import Ruling
from bot.studio.models import Models
from bot.studio.settings_card import Shown, settings_card
from bot.studio.settings_form import form_number, group_of, read_form, settings_form
from bot.studio.stewards import Stewards
from bot.studio.usual import usable
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of
from bot.ui.redraw import redraw
from bot.ui.selects import chosen_value

__all__ = ["SETTINGS_VERBS", "SettingsDesk", "StyleCheck"]

SETTINGS_VERBS = (Verb.SETTINGS, Verb.SETTINGS_OPEN, Verb.SETTINGS_RESET)
_LETTERS = {Level.USER: "u", Level.CHANNEL: "c", Level.SERVER: "s", Level.OPERATOR: "o"}
_OF_MODELS = (CHECKPOINT.name, VAE.name, CLIP_SKIP.name)

StyleCheck = Callable[[Where, Level, str], Awaitable[str]]
"""Names of styles as they are to be stored; raises UserFacingError for one that is not there."""


@dataclass(frozen=True, slots=True)
class _Owner:
    level: Level
    id: int
    where: Where
    """What its panel shows: everything from the operator's word up to this owner's."""

    @property
    def address(self) -> str:
        return f"{_LETTERS[self.level]}{self.id}"


class SettingsDesk:
    def __init__(
        self,
        *,
        preferences: Preferences,
        languages: Languages,
        models: Models,
        ruling: Ruling,
        stewards: Stewards,
        limits: Limits,
        check_styles: StyleCheck,
        previews: bool,
    ) -> None:
        """`previews` off: the operator's .env says so for everybody."""
        self._previews = previews
        self._preferences = preferences
        self._languages = languages
        self._models = models
        self._ruling = ruling
        self._stewards = stewards
        self._limits = limits
        self._check_styles = check_styles

    async def open(self, interaction: Interaction, level: Level, channel_id: int | None = None) -> None:
        """Answers with the panel, which only this person sees. Raises UserFacingError: `setting_admins`,
        `setting_operator`, `server_only`, `setting_channel`, `setting_not_yours`."""
        if channel_id is not None:
            level = Level.CHANNEL
        ids = {
            Level.USER: interaction.user.id,
            Level.CHANNEL: channel_id or interaction.channel_id or 0,
            Level.SERVER: interaction.guild_id or 0,
            Level.OPERATOR: OPERATOR_ID,
        }
        owner = self._owner(interaction, f"{_LETTERS[level]}{ids[level]}")
        await interaction.response.send_message(view=self._card(interaction, owner), ephemeral=True)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError as `open`, and `form_unknown`."""
        match address.verb:
            case Verb.SETTINGS_OPEN:
                await self._form(interaction, self._owner(interaction, address.id), address.n)
            case Verb.SETTINGS_RESET:
                owner = self._owner(interaction, address.id)
                if address.n == 1:
                    await self._reset(interaction, owner)
                view = self._card(interaction, owner, asking=address.n is None)
                await interaction.response.edit_message(view=view)
            case _:
                owner = self._owner(interaction, chosen_value(interaction) or address.id)
                await interaction.response.edit_message(view=self._card(interaction, owner))

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError as `open` and `read_form`, `style_unknown`, and `setting_changed` where what the form
        showed holds no more; nothing was changed then."""
        owner, group = self._owner(interaction, address.id), group_of(address.n)
        before = self._preferences.said_at(owner.where)[owner.level, owner.id]
        if address.n != form_number(group, before):
            raise UserFacingError("setting_changed")
        facts = self._models.facts(owner.where)
        below = resolve(self._preferences.said_at(owner.where), owner.where, CHECKPOINT).value
        checkpoint = below if usable(CHECKPOINT, below, facts) else None
        wishes = read_form(fields_of(interaction), group, owner.level, facts=facts, checkpoint=checkpoint)
        if wishes.get(STYLE.name):
            wishes[STYLE.name] = await self._check_styles(owner.where, owner.level, wishes[STYLE.name])
        changed = await self._keep(interaction, owner, wishes)
        self._languages.apply(interaction)
        texts = texts_for(str(interaction.locale))
        view = self._card(interaction, owner, texts("settings.saved", n=len(changed)))
        await redraw(interaction, view)

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _form(self, interaction: Interaction, owner: _Owner, number: int | None) -> None:
        said = self._preferences.said_at(owner.where)
        lower = [level for level in Level if level is not owner.level]
        below = {name: resolve(said, owner.where, key, lower) for name, key in KEYS.items()}
        form = settings_form(
            owner.address,
            group_of(number),
            owner.level,
            said[owner.level, owner.id],
            below,
            self._models.facts(owner.where),
            self._limits,
            texts_for(str(interaction.locale)),
        )
        await interaction.response.send_modal(form)

    async def _keep(self, interaction: Interaction, owner: _Owner, wishes: Mapping[str, Any]) -> list[str]:
        """Stores what differs from what was said before; those keys' names."""
        before = self._preferences.said_at(owner.where)[owner.level, owner.id]
        changed = {name: value for name, value in wishes.items() if value != before.get(name)}
        if owner.level in (Level.SERVER, Level.CHANNEL) and changed.keys() & set(_OF_MODELS):
            models = {name: changed.get(name, before.get(name)) for name in _OF_MODELS}
            await self._ruling.set_defaults(
                self._stewards.managing(interaction),
                owner.where,
                owner.id if owner.level is Level.CHANNEL else None,
                ModelDefaults(**models),
                clear=True,
            )
        for name, value in changed.items():
            if owner.level not in (Level.SERVER, Level.CHANNEL) or name not in _OF_MODELS:
                try:
                    await self._preferences.put(owner.level, owner.id, KEYS[name], value)
                except ValueError as error:  # names of styles as they are spelt may be longer than as typed
                    raise UserFacingError("setting_value", value=spoken(str(value))) from error
        return [*changed]

    async def _reset(self, interaction: Interaction, owner: _Owner) -> None:
        said = self._preferences.said_at(owner.where)[owner.level, owner.id]
        await self._keep(interaction, owner, dict.fromkeys(said))
        self._languages.apply(interaction)

    def _card(
        self, interaction: Interaction, owner: _Owner, note: str = "", *, asking: bool = False
    ) -> discord.ui.LayoutView:
        said = self._preferences.said_at(owner.where)
        resolved = {name: resolve(said, owner.where, key) for name, key in KEYS.items()}
        if not self._previews:
            resolved[PREVIEWS.name] = Resolved(False, Level.OPERATOR)
        facts = self._models.facts(owner.where)
        useless = frozenset(
            name for name, found in resolved.items() if found.value and not usable(KEYS[name], found.value, facts)
        )
        own = said[owner.level, owner.id]
        shown = Shown(owner.address, owner.level, self._open_to(interaction, owner), resolved, own, useless)
        return settings_card(shown, texts_for(str(interaction.locale)), note, asking=asking)

    def _open_to(self, interaction: Interaction, owner: _Owner) -> list[tuple[str, Level]]:
        """Whose panels this person may look into from here."""
        found = [(f"u{interaction.user.id}", Level.USER)]
        if self._stewards.manages(interaction) is not None and interaction.guild_id is not None:
            channel = owner.id if owner.level is Level.CHANNEL else interaction.channel_id
            found += [(f"c{channel}", Level.CHANNEL), (f"s{interaction.guild_id}", Level.SERVER)]
        if self._stewards.is_operator(interaction):
            found.append((f"o{OPERATOR_ID}", Level.OPERATOR))
        return found

    def _owner(self, interaction: Interaction, address: str) -> _Owner:
        """Raises UserFacingError as `open`: an address comes from outside."""
        letter, digits = address[:1], address[1:]
        level = next((level for level, known in _LETTERS.items() if known == letter), None)
        if level is None or not digits.isdecimal():
            raise UserFacingError("button_unknown")
        owner_id, here = int(digits), where_of(interaction)
        if level is Level.USER:
            if owner_id != interaction.user.id:
                raise UserFacingError("setting_not_yours")
            return _Owner(level, owner_id, here)
        if level is Level.OPERATOR:
            if not self._stewards.is_operator(interaction):
                raise UserFacingError("setting_operator")
            return _Owner(level, OPERATOR_ID, Where())
        if interaction.guild_id is None:
            raise UserFacingError("server_only")
        if self._stewards.manages(interaction) is None:
            raise UserFacingError("setting_admins")
        if level is Level.SERVER:
            if owner_id != interaction.guild_id:
                raise UserFacingError("button_unknown")
            return _Owner(level, owner_id, Where(interaction.guild_id))
        return _Owner(level, owner_id, Where(interaction.guild_id, owner_id, parent_id=_parent(interaction, owner_id)))


def _parent(interaction: Interaction, channel_id: int) -> int | None:
    """The channel of a thread, else None. Raises UserFacingError (`setting_channel`): not one of this server."""
    channel: Any = interaction.channel if interaction.channel_id == channel_id else None
    if channel is None and interaction.guild is not None:
        channel = interaction.guild.get_channel_or_thread(channel_id)
    if channel is None:
        raise UserFacingError("setting_channel")
    return getattr(channel, "parent_id", None)
