"""What becomes of the pictures that a worker brings: kept and shown, shown veiled, or never kept at all."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from bot.dispatch.verdicts import Verdict
from bot.domain.content import judge, names_minor
from bot.domain.ids import ImageId
from bot.domain.job import Image, Job, JobTask
from bot.domain.model_rules import EVERYWHERE, Where
from bot.domain.safety.rules import Shown
from bot.domain.safety.showing import Circumstances, Reason, fate_of, is_nude
from bot.domain.safety.texts import steering_of
from bot.storage.picture_looks import PictureLook, PictureLooks
from bot.storage.safety_events import SafetyEvent
from bot.storage.server_rules import ServerRuleBook
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.origins import Origins
from bot.studio.safety.places import Places
from gpu_worker.protocol import messages as m

__all__ = ["PictureJudge"]


class PictureJudge:
    def __init__(
        self, *, places: Places, origins: Origins, rules: ServerRuleBook, looks: PictureLooks, audit: SafetyLog
    ) -> None:
        self._places = places
        self._origins = origins
        self._rules = rules
        self._looks = looks
        self._audit = audit

    async def judge(self, job: Job, outputs: Sequence[m.Output]) -> Verdict:
        """Which of a finished job's pictures are kept, before any of them is. One nude picture where a minor is named
        spoils all of them: the others are of the same prompt."""
        around = await self._around(job.task, await self._places.where_of_job(job))
        strict = around.names_minor or around.from_upload
        fates = [fate_of(output.safety, around) for output in outputs]
        reasons = [fate.reason for fate in fates if fate.reason is not None]
        spoilt = Reason.MINOR in reasons
        kept = {
            index: PictureLook(output.safety, strict) if output.safety is not None else None
            for index, (output, fate) in enumerate(zip(outputs, fates, strict=True))
            if fate.shown is not Shown.BLOCK and not spoilt
        }
        if not reasons:
            return Verdict(kept)
        reason = Reason.MINOR if spoilt else reasons[0]
        return Verdict(kept, str(reason))

    async def told(self, job: Job, verdict: Verdict) -> None:
        """Once it is committed."""
        if verdict.reason is not None:
            event = SafetyEvent(f"withheld_{verdict.reason}", job.guild_id or EVERYWHERE, job.user_id)
            await self._audit.record(event)

    async def shown(self, images: Collection[Image], where: Where) -> dict[ImageId, Shown]:
        """How each kept picture may be shown in that place now: the rules of a place may have changed since, and a
        picture may be asked for in another place than it was drawn in. For cards, history, originals, everything."""
        looks = await self._looks.of([image.id for image in images])
        around = self._place(where)
        return {image.id: self._now(looks, image.id, around) for image in images}

    def _place(self, where: Where) -> Circumstances:
        rules = self._rules.of(where.guild_id)
        return Circumstances(
            names_minor=False,
            from_upload=False,
            adult_place=self._places.adult_place(where),
            expected=False,  # pictures from before there was a classifier were shown already
            adult_shown=rules.adult_shown,
            elsewhere_shown=rules.elsewhere_shown,
        )

    async def veiled(self, image_ids: Collection[ImageId], where: Where) -> frozenset[ImageId]:
        """Those that may not be seen there as they are."""
        looks = await self._looks.of(image_ids)
        around = self._place(where)
        shown = {image_id: self._now(looks, image_id, around) for image_id in looks}
        return frozenset(one for one, how in shown.items() if how in (Shown.BLUR, Shown.BLOCK))

    async def of_job(self, job: Job, images: Sequence[Image]) -> Mapping[ImageId, Shown]:
        """As `shown`, where the job's card goes."""
        return await self.shown(images, await self._places.where_of_job(job))

    async def nude(self, images: Sequence[Image]) -> bool:
        looks = await self._looks.of([image.id for image in images])
        return any(is_nude(look.looked, strict=False) for look in looks.values())

    def _now(self, looks: Mapping[ImageId, PictureLook], image_id: ImageId, around: Circumstances) -> Shown:
        look = looks.get(image_id)
        if look is None:
            return Shown.PLAIN
        if look.strict and is_nude(look.looked, strict=True):
            return Shown.BLOCK
        return fate_of(look.looked, around).shown

    async def wish(self, job: Job) -> m.PreviewWish:
        """Previews while it is drawn. Where a nude picture would not be shown plainly, only those that the classifier
        has looked at; and none at all where a minor is named or somebody's own picture is edited, since a preview
        is too coarse to be sure of."""
        around = await self._around(job.task, await self._places.where_of_job(job))
        if not self._places.classified:
            return m.PreviewWish()
        if around.names_minor or around.from_upload:
            return m.PreviewWish(hz=0.0)
        return m.PreviewWish(guarded=not (around.adult_place and around.adult_shown is Shown.PLAIN))

    async def _around(self, task: JobTask, where: Where) -> Circumstances:
        rules = self._rules.of(where.guild_id)
        texts = steering_of(task).whole
        minor, adult = await asyncio.to_thread(
            lambda: (any(map(names_minor, texts)), any(not judge(text).allowed for text in texts))
        )
        return Circumstances(
            names_minor=minor,
            adult_text=adult,
            from_upload=await self._origins.from_upload(task, where.user_id),
            adult_place=self._places.adult_place(where),
            expected=self._places.classified,
            adult_shown=rules.adult_shown,
            elsewhere_shown=rules.elsewhere_shown,
        )
