"""Automatic tags: a job for the worker, and what it wrote taken into the data set once it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bot.domain.captions.merging import Outcome, merged
from bot.domain.captions.rules import allowed_part
from bot.domain.described import find_tagger
from bot.domain.ids import PictureId
from bot.domain.job import Action, Job
from bot.domain.model_rules import EVERYWHERE
from bot.domain.models import names_of
from bot.domain.training.datasets import CAPTION_CHARS_MAX, Dataset, Picture
from bot.errors import UserFacingError
from bot.storage.datasets import Datasets
from bot.storage.server_rules import ServerRuleBook
from bot.studio.captions.cards import TAGGED
from bot.studio.captions.forms import TaggerWish
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.language.training.tag_editor import read_tags, write_tags
from gpu_worker.protocol.results import Captions
from gpu_worker.protocol.specs import Caption, CaptionPicture

__all__ = ["Tagging"]


class Tagging:
    def __init__(
        self,
        *,
        datasets: Datasets,
        intake: Intake,
        models: Models,
        rules: ServerRuleBook,
    ) -> None:
        self._datasets = datasets
        self._intake = intake
        self._models = models
        self._rules = rules

    def taggers(self, interaction: Interaction) -> list[str]:
        """Usable here, at least one. Raises UserFacingError (`tagger_none`)."""
        facts = self._models.facts(where_of(interaction))
        return list(dict.fromkeys((find_tagger(None, facts), *names_of("tagger", facts))))

    async def begin(
        self, interaction: Interaction, dataset: Dataset, pictures: Iterable[Picture], wish: TaggerWish
    ) -> None:
        """For its user's eyes alone, as the data set is. Raises UserFacingError: those of `find_tagger`,
        `captions_all_there`, and whatever refuses a job."""
        tagger = find_tagger(wish.tagger, self._models.facts(where_of(interaction)))
        asked = [one for one in pictures if wish.existing != "ignore" or not one.caption]
        if not asked:
            raise UserFacingError("captions_all_there")
        spec = Caption(
            pictures=tuple(CaptionPicture(id=one.id, image=one.ref) for one in asked),
            tagger=tagger,
            threshold=wish.threshold,
            character=wish.character,
            additional_tags=wish.always,
            exclude_tags=wish.exclude,
            replace_underscore=not wish.underscores,
            dataset=dataset.id,
            existing=wish.existing,
        )
        await self._intake.begin(interaction, spec, Action.CAPTION, private=True)

    async def write(self, job: Job) -> Outcome:
        """Takes the job's captions into its data set, once, however often it is called."""
        assert isinstance(job.task, Caption), "a job that captioned"
        spec, found = job.task, job.captions or Captions()
        dataset = await self._datasets.get(spec.dataset)
        if dataset is None or dataset.user_id != job.user_id:
            return Outcome()
        there = {one.id: one for one in await self._datasets.pictures(dataset.id)}
        what = f"{TAGGED}{job.id}"
        done = next((one for one in await self._datasets.changes(dataset.id) if one.what == what), None)
        words = (*self._rules.of(EVERYWHERE).words, *self._rules.of(job.guild_id).words)
        parts = await asyncio.to_thread(lambda: [allowed_part(one.caption, words) for one in found.pictures])
        new: dict[PictureId, str | None] = {}
        unread: list[str] = []
        gone = refused = 0
        for one, caption in zip(found.pictures, parts, strict=True):
            picture = there.get(PictureId(one.id))
            if picture is None:
                gone += 1
            elif one.problem is not None:
                unread.append(picture.name)
            else:
                refused += caption != write_tags(read_tags(one.caption))
                new[picture.id] = _fitting(merged(picture.caption, caption, spec.existing))
        # Written before, by a bot that died before it could tell: never a second time.
        written = done.pictures if done is not None else await self._datasets.set_captions(dataset.id, new, what)
        return Outcome(
            written=written,
            kept=max(0, len(new) - written),
            unread=tuple(unread),
            gone=gone,
            refused=refused,
            dataset=dataset.name,
        )


def _fitting(caption: str | None) -> str | None:
    """As many of the tags as a caption may have signs; more than that only many additions come to."""
    if caption is None or len(caption) <= CAPTION_CHARS_MAX:
        return caption
    kept = caption[: CAPTION_CHARS_MAX + 1].rpartition(",")[0]
    return kept.strip() or caption[:CAPTION_CHARS_MAX]
