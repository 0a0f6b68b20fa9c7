"""What a data set's texts and pictures have to pass: the door of every job, and the places that may show them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import cast

from pydantic import BaseModel

from bot.domain.captions.rules import teachable
from bot.domain.content import judge
from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, JobTask
from bot.domain.model_rules import EVERYWHERE, Where
from bot.domain.safety.words import first_hit
from bot.domain.training.datasets import Dataset
from bot.errors import ContentRefusedError, UserFacingError
from bot.storage.server_rules import ServerRuleBook
from bot.studio.intake import Intake
from bot.studio.safety.places import Places
from bot.studio.safety.request import Door, JobRequest
from bot.studio.where import where_of
from bot.ui.client import Interaction

__all__ = ["DatasetRules"]

_NOWHERE = Where()
"""Where nothing is shown that is not for everybody."""


class _Taught(BaseModel):
    """Its field is named so that the rules of texts find it, see bot/domain/safety/texts.py."""

    words: tuple[str, ...]


class DatasetRules:
    def __init__(self, *, door: Door, places: Places, rules: ServerRuleBook, intake: Intake) -> None:
        self._door = door
        self._places = places
        self._rules = rules
        self._intake = intake

    async def require(self, interaction: Interaction, words: Sequence[str] = ()) -> None:
        """Whether this person may work on data sets here, and whether these words may teach anything. Raises
        UserFacingError as the door of jobs does, and `captions_untaught`."""
        task = cast("JobTask", _Taught(words=tuple(word for word in words if word.strip())))
        request = JobRequest(
            UserId(interaction.user.id), task, Action.TRAIN, where_of(interaction), str(interaction.locale)
        )
        await self._door.require(request)
        if not await asyncio.to_thread(teachable, " , ".join(words)):
            raise ContentRefusedError("captions_untaught")

    async def refused(self, interaction: Interaction, captions: Sequence[str]) -> frozenset[str]:
        """Which of these captions may not teach anything, each judged alone; one of them is told to moderators."""
        where = where_of(interaction)
        words = (*self._rules.of(EVERYWHERE).words, *self._rules.of(where.guild_id).words)
        adult = self._places.adult_allowed(where)
        found = await asyncio.to_thread(_refused, captions, words, adult)
        if found:
            with contextlib.suppress(ContentRefusedError):
                await self.require(interaction, [min(found)])
        return found

    def restricted(self, interaction: Interaction) -> bool:
        """Whether this is a place for adults: what is added here is shown in such places alone."""
        return self._places.age_restricted(where_of(interaction))

    def may_show(self, interaction: Interaction, dataset: Dataset) -> bool:
        return not dataset.nsfw or self.restricted(interaction)

    def require_shown(self, interaction: Interaction, dataset: Dataset) -> None:
        """Raises UserFacingError (`dataset_elsewhere`)."""
        if not self.may_show(interaction, dataset):
            raise UserFacingError("dataset_elsewhere", name=dataset.name)

    async def veiled(self, interaction: Interaction, images: Sequence[ImageId]) -> frozenset[ImageId]:
        """Those of our own pictures that may not be seen here."""
        return await self._intake.veiled(images, where_of(interaction))

    async def adult(self, images: Sequence[ImageId]) -> bool:
        """Whether one of our own pictures may not be seen everywhere."""
        return bool(await self._intake.veiled(images, _NOWHERE))


def _refused(captions: Sequence[str], words: Sequence[str], adult_allowed: bool) -> frozenset[str]:
    return frozenset(
        caption
        for caption in captions
        if not judge(caption, adult_allowed=adult_allowed).allowed or first_hit(tuple(words), caption) is not None
    )
