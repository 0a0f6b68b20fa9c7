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

    def commands(self, interaction: Interaction) -> Steward | None:
        """Whoever uses a command of /model-admin, or types one: in a server Discord has checked the permission, which
        that server may have given to other roles, too. In direct messages operators alone."""
        operator = self.is_operator(interaction)
        if interaction.guild_id is None and not operator:
            return None
        return Steward(interaction.user.id, interaction.guild_id, operator)

    def commanding(self, interaction: Interaction) -> Steward:
        """As `commands`. Raises UserFacingError (`operators_only`)."""
        steward = self.commands(interaction)
        if steward is None:
            raise UserFacingError("operators_only")
        return steward

    def manages(self, interaction: Interaction) -> Steward | None:
        """Whoever presses a button that everybody sees, as far as they administer here."""
        user_id = interaction.user.id
        manages = interaction.guild_id is not None and interaction.permissions.manage_guild
        if self.is_operator(interaction):
            return Steward(user_id, interaction.guild_id, operator=True)
        return Steward(user_id, interaction.guild_id, operator=False) if manages else None

    def managing(self, interaction: Interaction) -> Steward:
        """As `manages`. Raises UserFacingError (`admins_only`)."""
        steward = self.manages(interaction)
        if steward is None:
            raise UserFacingError("admins_only")
        return steward

    def presses(self, interaction: Interaction) -> Steward | None:
        """Whoever presses a button of /model-admin. An answer that they alone see was got by the command, so they are
        held to no more than that."""
        message = interaction.message
        alone = message is not None and message.flags.ephemeral
        return self.commands(interaction) if alone else self.manages(interaction)

    def pressing(self, interaction: Interaction) -> Steward:
        """As `presses`. Raises UserFacingError (`admins_only`)."""
        steward = self.presses(interaction)
        if steward is None:
            raise UserFacingError("admins_only")
        return steward
