"""Who administers models: told from an interaction and the operator's settings."""

from __future__ import annotations

from collections.abc import Iterable

from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.ui.client import Interaction

__all__ = ["Stewards"]


class Stewards:
    def __init__(self, operators: Iterable[int], *, playground: bool) -> None:
        self._operators = frozenset(operators)
        self._playground = playground and not self._operators

    def is_operator(self, interaction: Interaction) -> bool:
        """At the playground whoever sits there, as far as the person they play administers the server."""
        if self._playground:
            return interaction.guild_id is None or interaction.permissions.manage_guild
        return interaction.user.id in self._operators

    def commanding(self, interaction: Interaction) -> Steward:
        """Whoever used a command of /model-admin: in a server Discord has checked the permission, which that server may
        have given to other roles, too. Raises UserFacingError (`operators_only`) in direct messages."""
        operator = self.is_operator(interaction)
        if interaction.guild_id is None and not operator:
            raise UserFacingError("operators_only")
        return Steward(interaction.user.id, interaction.guild_id, operator)

    def presses(self, interaction: Interaction) -> Steward | None:
        """Whoever pressed a button, which Discord lets everybody do, as far as they administer here."""
        user_id = interaction.user.id
        manages = interaction.guild_id is not None and interaction.permissions.manage_guild
        if self.is_operator(interaction):
            return Steward(user_id, interaction.guild_id, operator=True)
        return Steward(user_id, interaction.guild_id, operator=False) if manages else None

    def pressing(self, interaction: Interaction) -> Steward:
        """As `presses`. Raises UserFacingError (`admins_only`)."""
        steward = self.presses(interaction)
        if steward is None:
            raise UserFacingError("admins_only")
        return steward
