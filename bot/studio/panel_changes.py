"""What one change of the panel makes of its draft: through the same checks as any new request."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bot.domain import actions
from bot.domain.imagine import Built
from bot.domain.limits import Limits
from bot.domain.lora_tags import with_loras
from bot.domain.parameters import Parameters
from bot.domain.pictures import GivenPicture
from bot.i18n import texts_for
from bot.storage.drafts import Draft
from bot.studio.models import Models
from bot.studio.panel_lists import SEARCH, List, PanelLists, aspect_for, lora_names, native_px
from bot.studio.sources import picture_of
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import JobSpec

__all__ = ["PanelChanges"]


class PanelChanges:
    """Every method raises UserFacingError as `build_imagine`; the draft itself is not touched."""

    def __init__(self, *, models: Models, lists: PanelLists, limits: Limits) -> None:
        self._models = models
        self._lists = lists
        self._limits = limits
        self._rng = random.SystemRandom()

    def built(
        self,
        interaction: Interaction,
        draft: Draft,
        wishes: Parameters | None = None,
        dropped: Sequence[str] = (),
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        picture: GivenPicture | None = None,
        given: bool = False,
    ) -> Built:
        """The draft with changes. `given`: `picture` counts, also where it is None."""
        spec = draft.spec
        return actions.edit(
            spec,
            prompt=spec.prompt if prompt is None else prompt,
            negative_prompt=spec.negative_prompt if negative_prompt is None else negative_prompt,
            changes=wishes or Parameters(),
            dropped=dropped,
            picture=picture if given else picture_of(spec),
            facts=self.facts(interaction),
            limits=self._limits,
            rng=self._rng,
        )

    async def with_loras(self, interaction: Interaction, draft: Draft, values: Sequence[str]) -> Built:
        where, texts = where_of(interaction), texts_for(str(interaction.locale))
        shown = next(shown for shown in await self._lists.of(draft, where, texts) if shown.which is List.LORAS)
        offered = [self._lists.chosen(List.LORAS, value) for value, _, _ in shown.rows if value != SEARCH]
        picked = [self._lists.chosen(List.LORAS, value) for value in values if value != SEARCH]
        names = lora_names(draft, offered, picked, self._models.facts(where))
        return self.built(interaction, draft, prompt=with_loras(draft.spec.prompt, names))

    async def dressed(self, interaction: Interaction, draft: Draft, values: Sequence[str]) -> Built:
        """The texts of styles come and go; the parameters of a new one come, and "undo" takes them back."""
        prompt, negative, new = await self._lists.dressed(draft, where_of(interaction), values)
        wishes = Parameters()
        for style in new:
            wishes = style.parameters.layer().over(wishes)
        return self.built(interaction, draft, wishes, prompt=prompt, negative_prompt=negative)

    def checkpoint(self, interaction: Interaction, spec: JobSpec, name: str) -> Parameters:
        """A checkpoint that was trained at another size draws the same aspect at its own."""
        facts = self.facts(interaction)
        aspect = aspect_for(spec) if native_px(name, facts) != native_px(spec.checkpoint, facts) else None
        return Parameters(checkpoint=name, aspect=aspect)

    def facts(self, interaction: Interaction) -> tuple[ModelFact, ...]:
        return self._models.facts(where_of(interaction))
