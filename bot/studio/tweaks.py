"""Remix: whoever prefers it gets the panel on every variation and reroll, before it is drawn."""

from __future__ import annotations

from bot.domain.ids import ImageId, JobId
from bot.domain.job import Action
from bot.domain.preferences import REMIX
from bot.storage.preferences import Preferences
from bot.studio.intake import Intake
from bot.studio.panels import Panels
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Remix"]


class Remix:
    def __init__(self, *, intake: Intake, panels: Panels, preferences: Preferences) -> None:
        self._intake = intake
        self._panels = panels
        self._preferences = preferences

    async def begin(
        self,
        interaction: Interaction,
        spec: JobSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        base: JobSpec | None = None,
        parent_id: JobId | None = None,
    ) -> None:
        """As `Intake.begin`, or the panel first. `base` is the request that the picture it comes from was drawn by.
        Raises UserFacingError."""
        if self._preferences.get(where_of(interaction), REMIX):
            await self._panels.open(
                interaction, spec, action, source_image_id=source_image_id, base=base, parent_id=parent_id
            )
        else:
            await self._intake.begin(interaction, spec, action, source_image_id=source_image_id, parent_id=parent_id)
