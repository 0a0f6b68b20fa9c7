"""The drafts behind the panel and the desks of its parts: made, found for their own user alone, and changed."""

from __future__ import annotations

from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Action
from bot.errors import UserFacingError
from bot.storage.drafts import Draft, Drafts
from bot.storage.inputs import InputPictures, given_pictures
from bot.ui.client import Interaction
from bot.ui.codec import Address
from gpu_worker.protocol.specs import JobSpec

__all__ = ["PanelDrafts"]


class PanelDrafts:
    def __init__(self, drafts: Drafts, inputs: InputPictures) -> None:
        self._drafts = drafts
        self._inputs = inputs

    async def add(
        self,
        interaction: Interaction,
        spec: JobSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        base: JobSpec | None = None,
        parent_id: JobId | None = None,
        private: bool = False,
    ) -> Draft:
        """A draft of this user's, not shown yet. `base` is what it is compared with, `parent_id` the job that it comes
        from; `private`: its "Draw" is for the user alone whatever they prefer."""
        await self.forget_old()
        async with self._inputs.holding([*given_pictures(spec), *(given_pictures(base) if base else [])]):
            return await self._drafts.add(
                UserId(interaction.user.id),
                action,
                spec,
                source_image_id,
                base=base,
                parent_id=parent_id,
                private=private,
            )

    async def forget_old(self) -> None:
        """Drafts of more than a week go, and with them the pictures that only they needed."""
        for spec in await self._drafts.drop_old():
            await self._inputs.discard_unused(given_pictures(spec))

    async def draft(self, interaction: Interaction, address: Address) -> Draft:
        """Raises UserFacingError (`draft_unknown`), too, for somebody else's."""
        draft = await self._drafts.get(JobId(address.id))
        if draft is None or draft.user_id != interaction.user.id:
            raise UserFacingError("draft_unknown")
        return draft

    async def changed(self, draft: Draft, spec: JobSpec) -> Draft:
        """With another request, whose pictures are held until the draft's row knows them; those that only the one
        before needed go."""
        async with self._inputs.holding(given_pictures(spec)):
            after = await self._drafts.change(draft, spec)
        await self._inputs.discard_unused(given_pictures(draft.spec))
        return after
