"""Who may train where: what the operator and the server have said, of which the stricter word counts."""

from __future__ import annotations

from bot.domain.preferences import TRAINING, Level
from bot.errors import UserFacingError
from bot.storage.preferences import Preferences
from bot.studio.stewards import Stewards
from bot.studio.where import where_of
from bot.ui.client import Interaction

__all__ = ["require_may_train"]

_STRICTNESS = ("everyone", "admins", "nobody")


def require_may_train(interaction: Interaction, preferences: Preferences, stewards: Stewards) -> None:
    """Raises UserFacingError: `train_nobody`, `train_admins`. Operators may everywhere."""
    if stewards.is_operator(interaction):
        return
    where = where_of(interaction)
    said = [preferences.resolve(where, TRAINING, (level,)).value for level in (Level.OPERATOR, Level.SERVER)]
    word = max(said, key=_STRICTNESS.index)
    if word == "nobody":
        raise UserFacingError("train_nobody")
    admin = interaction.guild_id is not None and interaction.permissions.manage_guild
    if word == "admins" and not admin:
        raise UserFacingError("train_admins")
