"""Who may do what with a style."""

from __future__ import annotations

from bot.domain.style_names import KeptStyle, StyleLevel, StyleOwner
from bot.errors import UserFacingError
from bot.studio.stewards import Stewards
from bot.studio.styles.cards import Right
from bot.ui.client import Interaction

__all__ = ["require", "rights_on", "server_owner"]


def rights_on(kept: KeptStyle, interaction: Interaction, stewards: Stewards) -> frozenset[Right]:
    """Empty for what this person may not even see: somebody else's, or another server's."""
    manages = interaction.guild_id is not None and stewards.manages(interaction) is not None
    match kept.owner.level:
        case StyleLevel.USER if kept.owner.id == interaction.user.id:
            propose = {Right.PROPOSE} if interaction.guild_id is not None else set[Right]()
            return frozenset({Right.EDIT, Right.DELETE, *propose})
        case StyleLevel.SERVER if kept.owner.id == interaction.guild_id:
            return frozenset({Right.COPY, *((Right.EDIT, Right.DELETE) if manages else ())})
        case StyleLevel.SHIPPED:
            return frozenset({Right.COPY})
        case _:
            return frozenset()


def require(kept: KeptStyle, right: Right, interaction: Interaction, stewards: Stewards) -> None:
    """Raises UserFacingError: `style_shipped`, `style_admins`, `style_gone`."""
    rights = rights_on(kept, interaction, stewards)
    if right in rights:
        return
    if kept.owner.level is StyleLevel.SHIPPED:
        raise UserFacingError("style_shipped", name=kept.style.name)
    raise UserFacingError("style_admins" if rights else "style_gone")


def server_owner(interaction: Interaction, stewards: Stewards) -> StyleOwner:
    """The server, for whoever may speak for it. Raises UserFacingError: `server_only`, `style_admins`."""
    if interaction.guild_id is None:
        raise UserFacingError("server_only")
    if stewards.manages(interaction) is None:
        raise UserFacingError("style_admins")
    return StyleOwner.server(interaction.guild_id)
