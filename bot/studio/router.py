"""Every press and every sent form to the part that answers it, by the verb of its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from bot.errors import UserFacingError
from bot.studio.submitted import Submitted
from bot.ui.client import Interaction, Presses
from bot.ui.codec import Address

__all__ = ["Forms", "Router"]


class Forms(Protocol):
    async def submitted(self, interaction: Interaction, address: Address) -> None: ...


class Router:
    """`usual` take what no other part claims; `before` sees every interaction first."""

    def __init__(
        self,
        usual: Presses,
        usual_forms: Submitted,
        presses: Mapping[str, Presses],
        forms: Mapping[str, Forms],
        before: Callable[[Interaction], None] | None = None,
    ) -> None:
        self._usual = usual
        self._usual_forms = usual_forms
        self._presses = presses
        self._forms = forms
        self._before = before

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        self._meet(interaction)
        await self._presses.get(address.verb, self._usual).pressed(interaction, address)

    async def submitted(self, interaction: Interaction, address: Address | None) -> None:
        """Raises UserFacingError; on_interaction tells it."""
        self._meet(interaction)
        form = self._forms.get(address.verb) if address is not None else None
        if form is not None and address is not None:
            await form.submitted(interaction, address)
        else:
            await self._usual_forms.submitted(interaction, address)

    async def unknown_component(self, interaction: Interaction) -> None:
        self._meet(interaction)
        raise UserFacingError("button_unknown")

    def _meet(self, interaction: Interaction) -> None:
        if self._before is not None:
            self._before(interaction)
