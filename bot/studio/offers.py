"""What is shown with its cost before it is drawn: whoever takes requests in hands them over to one of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.domain.ids import ImageId, JobId
from bot.domain.job import Action
from bot.domain.scripts import ScriptSpec
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Offers", "ScriptOffering"]


class Offers(Protocol):
    """Shows what a request would cost before it is drawn."""

    async def offer(
        self,
        interaction: Interaction,
        spec: JobSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        notes: Sequence[str] = (),
        private: bool = False,
    ) -> None: ...


class ScriptOffering(Protocol):
    """The same for scripts."""

    async def offer(
        self,
        interaction: Interaction,
        script: ScriptSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        parent_id: JobId | None = None,
        notes: Sequence[str] = (),
        private: bool = False,
    ) -> None: ...
