"""The button of a picture that somebody pointed at: it becomes a control unit."""

from __future__ import annotations

from bot.domain.ids import JobId
from bot.errors import UserFacingError
from bot.storage.finds import Finds
from bot.studio.control.opening import Controlling
from bot.ui.client import Interaction
from bot.ui.codec import Address

__all__ = ["FoundControl"]


class FoundControl:
    def __init__(self, finds: Finds, opening: Controlling) -> None:
        self._finds = finds
        self._opening = opening

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `find_unknown`, those of `Controlling.use`."""
        find = await self._finds.get(JobId(address.id))
        number = address.n or 0
        if find is None or find.user_id != interaction.user.id or number >= len(find.pictures):
            raise UserFacingError("find_unknown")
        found = find.pictures[number]
        await self._opening.use(interaction, found, found.infotext or None)
