"""/limits: the panel on which admins say how much, where and what, for a server and its roles; in a direct message the
operator says it for everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import discord

from bot.domain.mentions import spoken
from bot.domain.model_rules import EVERYWHERE
from bot.domain.safety.limits import PLAIN, RANGES, Limit
from bot.domain.safety.rules import ServerRules, Shown
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.safety_events import SafetyEvent
from bot.storage.server_rules import ServerRuleBook
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.panel_cards import PAGES, limits_page, page_card
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import fields_of, form_of, text_field
from bot.ui.redraw import redraw
from bot.ui.selects import chosen_values

__all__ = ["PANEL_VERBS", "LimitsPanel"]

PANEL_VERBS = (Verb.SAFETY_PAGE, Verb.SAFETY_SET, Verb.SAFETY_EDIT, Verb.SAFETY_CLEAR)
FORMS: tuple[tuple[Limit, ...], ...] = (
    (Limit.PICTURES, Limit.GPU_S, Limit.JOBS, Limit.COOLDOWN_S),
    (Limit.COUNT, Limit.SIDE_PX, Limit.STEPS),
)
PER_UNIT = {Limit.GPU_S: 60}
"""What people type is in other units: minutes."""
ROLES_WITH_LIMITS = 100


class LimitsPanel:
    def __init__(
        self,
        *,
        client: discord.Client,
        rules: ServerRuleBook,
        audit: SafetyLog,
        stewards: Stewards,
        classifier: Callable[[], str | None],
    ) -> None:
        self._client = client
        self._rules = rules
        self._audit = audit
        self._stewards = stewards
        self._classifier = classifier

    async def open(self, interaction: Interaction) -> None:
        """Raises UserFacingError (`operators_only`)."""
        steward = self._stewards.commanding(interaction)
        view = self._page(PAGES[0], steward, _texts(interaction))
        await interaction.response.send_message(
            view=view, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
        )

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `admins_only`, `button_unknown`."""
        steward, texts = self._stewards.pressing(interaction), _texts(interaction)
        match address.verb:
            case Verb.SAFETY_PAGE if address.id in PAGES:
                view = self._page(address.id, steward, texts)
            case Verb.SAFETY_SET:
                view = await self._set(interaction, steward, address.id, chosen_values(interaction), texts)
            case Verb.SAFETY_EDIT if address.id.isdecimal() and address.n in range(len(FORMS)):
                await interaction.response.send_modal(self._form(steward, int(address.id), address.n or 0, texts))
                return
            case Verb.SAFETY_CLEAR if address.id.isdecimal():
                view = await self._limit(interaction, steward, int(address.id), dict.fromkeys(Limit), texts)
            case _:
                raise UserFacingError("button_unknown")
        await interaction.response.edit_message(view=view)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `admins_only`, `form_unknown`, `limit_value`."""
        steward, texts = self._stewards.pressing(interaction), _texts(interaction)
        if not address.id.isdecimal() or address.n not in range(len(FORMS)):
            raise UserFacingError("form_unknown")
        fields = fields_of(interaction)
        values = {limit: _read(limit, fields.get(limit, ""), texts) for limit in FORMS[address.n or 0]}
        view = await self._limit(interaction, steward, int(address.id), values, texts)
        await redraw(interaction, view)

    # --- changes ------------------------------------------------------------------------------------------------------

    async def _limit(
        self, interaction: Interaction, steward: Steward, role: int, values: Mapping[Limit, int | None], texts: Texts
    ) -> discord.ui.LayoutView:
        def change(rules: ServerRules) -> ServerRules:
            mine = {limit: value for limit, value in rules.limits.get(role, {}).items() if limit not in values}
            mine |= {limit: value for limit, value in values.items() if value is not None}
            limits = {one: said for one, said in rules.limits.items() if one != role} | ({role: mine} if mine else {})
            if len(limits) > ROLES_WITH_LIMITS:
                raise UserFacingError("limit_roles", n=ROLES_WITH_LIMITS)
            return rules.model_copy(update={"limits": limits})

        rules = await self._rules.change(steward.place, change)
        await self._record(interaction, steward, "limits")
        return limits_page(rules, role, texts, direct=steward.place == EVERYWHERE)

    async def _set(
        self, interaction: Interaction, steward: Steward, what: str, values: list[str], texts: Texts
    ) -> discord.ui.LayoutView:
        if what == "role":
            role = int(values[0]) if values else PLAIN
            return limits_page(self._rules.of(steward.place), role, texts, direct=steward.place == EVERYWHERE)
        if steward.place == EVERYWHERE:
            raise UserFacingError("button_unknown")
        if what in ("shown", "elsewhere"):
            if not values or values[0] not in [*Shown]:
                raise UserFacingError("button_unknown")
            found = Shown(values[0])
            if what == "elsewhere" and found not in (Shown.BLUR, Shown.BLOCK):
                raise UserFacingError("button_unknown")
            update: dict[str, object] = {"adult_shown" if what == "shown" else "elsewhere_shown": found}
            page = "adult"
        elif what in ("channels", "roles", "audit", "adult"):
            ids = frozenset(int(value) for value in values if value.isdecimal())
            field = {"audit": "audit_channel", "adult": "adult_channels"}.get(what, what)
            update = {field: next(iter(ids), None) if what == "audit" else ids}
            page = "adult" if what == "adult" else "places"
        else:
            raise UserFacingError("button_unknown")
        await self._rules.change(steward.place, lambda rules: rules.model_copy(update=update))
        await self._record(interaction, steward, what)
        return self._page(page, steward, texts)

    async def _record(self, interaction: Interaction, steward: Steward, what: str) -> None:
        by = interaction.user.id
        await self._audit.record(SafetyEvent(f"rules_{what}", steward.place, by, by))

    # --- pages --------------------------------------------------------------------------------------------------------

    def _page(self, page: str, steward: Steward, texts: Texts) -> discord.ui.LayoutView:
        rules, direct = self._rules.of(steward.place), steward.place == EVERYWHERE
        closed = rules.audit_channel is not None and not self._may_write(steward.place, rules.audit_channel)
        return page_card(page, rules, texts, direct=direct, classifier=self._classifier(), audit_closed=closed)

    def _may_write(self, guild_id: int, channel_id: int) -> bool:
        """As far as the client knows: what it does not know it may be able to write to."""
        guild = self._client.get_guild(guild_id)
        channel = guild.get_channel_or_thread(channel_id) if guild is not None else None
        if guild is None or channel is None:
            return guild is None
        may = channel.permissions_for(guild.me)
        thread = isinstance(channel, discord.Thread)
        return may.view_channel and (may.send_messages_in_threads if thread else may.send_messages)

    def _form(self, steward: Steward, role: int, number: int, texts: Texts) -> discord.ui.Modal:
        form = form_of(texts("limits.form_title"), encode(Verb.SAFETY_FORM, str(role), number))
        values = self._rules.of(steward.place).limits.get(role, {})
        for limit in FORMS[number]:
            per = PER_UNIT.get(limit, 1)
            least, most = (bound // per for bound in RANGES[limit])
            value = values.get(limit)
            text_field(
                form, limit, texts(f"limits.field_{limit}"), texts("limits.field_hint", least=least, most=most),
                "" if value is None else str(value // per), paragraph=False, max_length=8,
            )  # fmt: skip
        return form


def _texts(interaction: Interaction) -> Texts:
    return texts_for(str(interaction.locale))


def _read(limit: Limit, typed: str, texts: Texts) -> int | None:
    """None for an empty field. Raises UserFacingError (`limit_value`)."""
    typed = typed.strip()
    if not typed:
        return None
    per = PER_UNIT.get(limit, 1)
    least, most = RANGES[limit]
    if not typed.isdecimal() or not typed.isascii() or not least <= int(typed) * per <= most:
        raise UserFacingError(
            "limit_value",
            value=spoken(typed),
            name=texts(f"limits.field_{limit}"),
            least=least // per,
            most=most // per,
        )
    return int(typed) * per
