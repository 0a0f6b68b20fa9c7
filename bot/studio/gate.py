"""Nothing is drawn with a model that is disabled where it is asked for, no control unit goes out that cannot lead, and
what is drawn with counts as used."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet

from bot.domain.control.models import require_units
from bot.domain.mentions import spoken
from bot.domain.model_rules import Where
from bot.domain.models import unknown_lora
from bot.domain.named_models import models_of
from bot.domain.scripts import ScriptSpec
from bot.errors import UserFacingError
from bot.library import Library
from bot.studio.models import Models
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import Drawing, JobSpec, PictureTask, Sheet, Train, Ultimate

__all__ = ["ModelGate"]

log = logging.getLogger(__name__)


class ModelGate:
    def __init__(self, models: Models, library: Library) -> None:
        self._models = models
        self._library = library

    def require(
        self,
        spec: JobSpec | PictureTask | Sheet | ScriptSpec | Train,
        where: Where,
        exempt: AbstractSet[tuple[ModelKind, str]] = frozenset(),
    ) -> None:
        """Raises UserFacingError: `model_disabled`; `lora_none` or `lora_unknown` for what somebody else has trained
        and not published. Buttons and reactions draw old records again, which were made by others or under other rules,
        so building a request is too early to look. `exempt` are models that an admin tests."""
        disabled = self._models.disabled(where) - exempt
        hidden = self._models.hidden(where)
        if not disabled and not hidden:
            return
        facts = self._models.facts(where)
        for kind, name in models_of(spec, facts):
            if (kind, name) in disabled:
                raise UserFacingError("model_disabled", name=spoken(name))
            if kind == "lora" and name in hidden:
                raise unknown_lora(name, facts)

    def require_units(self, spec: JobSpec | PictureTask | Sheet | ScriptSpec | Train) -> None:
        """That its control units can lead. Raises UserFacingError as `require_units`."""
        drawing = spec.drawing if isinstance(spec, Ultimate) else spec
        if isinstance(drawing, Drawing) and drawing.control:
            require_units(drawing, self._models.facts())

    async def used(self, spec: JobSpec | PictureTask | Sheet | ScriptSpec | Train, user_id: int) -> None:
        """Never raises: a picture is worth more than its statistics."""
        try:
            await self._library.used(models_of(spec, self._models.facts()), user_id)
        except Exception:
            log.exception("the use of models could not be counted")
