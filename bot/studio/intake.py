"""One door for every new job: limits and content rules, commit, then the answer with its card."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

import aiohttp
import discord

from bot.delivery.cards import queued_card
from bot.delivery.deliver import Deliverer
from bot.delivery.extras import waiting_card
from bot.delivery.machine import Machine
from bot.delivery.post import Card, Poster
from bot.delivery.progress import CardEditor
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId, new_job_id
from bot.domain.job import Action, JobTask, Lane, NewJob
from bot.domain.limits import Limits
from bot.domain.model_rules import Where
from bot.domain.preferences import PRIVATE
from bot.domain.scripts import Script, ScriptSpec
from bot.domain.templates import to_be_drawn
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.storage.preferences import Preferences
from bot.storage.private_jobs import PrivateJobs
from bot.storage.queue_gates import QueueGates
from bot.studio.dynamic import Dynamic, in_time
from bot.studio.gate import ModelGate
from bot.studio.habits import Habits
from bot.studio.hidden import answer_hidden
from bot.studio.new_jobs import TOKEN_LIFE_S, job_from
from bot.studio.notes import joined, told
from bot.studio.offers import Offers, ScriptOffering
from bot.studio.safety.request import Door, JobRequest, TextsOnly
from bot.studio.scripts.preparing import judged_of
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.door import TEXT_LIMIT, say
from bot.ui.waiting import answered
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import FileSpec, FileTask, Img2Img, JobSpec, PictureTask, Sheet, Train, Txt2Img, Ultimate

__all__ = ["TOKEN_LIFE_S", "Intake"]

log = logging.getLogger(__name__)


class Intake:
    def __init__(
        self,
        *,
        jobs: Jobs,
        inputs: InputPictures,
        dispatcher: Dispatcher,
        deliverer: Deliverer,
        editor: CardEditor,
        poster: Poster,
        machine: Machine,
        limits: Limits,
        gate: ModelGate,
        dynamic: Dynamic,
        habits: Habits,
        preferences: Preferences,
        private_jobs: PrivateJobs,
        queue_gates: QueueGates | None = None,
        door: Door | None = None,
    ) -> None:
        self._door: Door = door or TextsOnly()
        self._queue_gates = queue_gates
        self._preferences = preferences
        self._private = private_jobs
        self._dynamic = dynamic
        self._habits = habits
        self.combinations: Offers
        self.scripts: ScriptOffering
        """Both set by whoever wires the parts, since what they offer comes back here."""
        self._gate = gate
        self._jobs = jobs
        self._inputs = inputs
        self._dispatcher = dispatcher
        self._deliverer = deliverer
        self._editor = editor
        self._poster = poster
        self._machine = machine
        self._limits = limits

    async def begin(
        self,
        interaction: Interaction,
        spec: JobSpec | FileSpec | PictureTask | ScriptSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        parent_id: JobId | None = None,
        notes: Sequence[str] = (),
        exempt: AbstractSet[tuple[ModelKind, str]] = frozenset(),
        private: bool | None = None,
    ) -> JobId | None:
        """Commits the job, then answers with its card. The presser owns the job; None where it was there already.

        `notes` are sentences only the user sees (what was rounded or left out); `exempt` as in `ModelGate.require`.
        `private`: for the user's eyes alone; None: as `is_private` says. Raises UserFacingError.
        """
        if private is None:
            private = await self.is_private(interaction, parent_id, source_image_id)
        private = private and not isinstance(spec, FileTask) and not _alone(interaction)
        if isinstance(spec, Script):  # as everything that costs much
            await self.scripts.offer(
                interaction, spec, action, source_image_id=source_image_id, parent_id=parent_id, notes=notes,
                private=private,
            )  # fmt: skip
            return None
        user_id = UserId(interaction.user.id)
        if isinstance(spec, Txt2Img | Img2Img) and to_be_drawn(spec):
            if spec.template is not None:  # combinations cost as much as there are: they are shown first
                await self.combinations.offer(
                    interaction, spec, action, source_image_id=source_image_id, notes=notes, private=private
                )
                return None
            await self.require_room(user_id)
            spec, more = await in_time(interaction, self._dynamic.drawn(spec, where_of(interaction)), hidden=private)
            notes = (*notes, *told(more, texts_for(str(interaction.locale))))
        if isinstance(spec, Ultimate) and to_be_drawn(spec.drawing):
            drawing = self._dynamic.drawn(spec.drawing, where_of(interaction))
            drawn, more = await in_time(interaction, drawing, hidden=private)
            spec = spec.model_copy(update={"drawing": drawn.model_copy(update={"texts": ()})})
            notes = (*notes, *told(more, texts_for(str(interaction.locale))))
        request = JobRequest(user_id, spec, action, where_of(interaction), str(interaction.locale))
        await self.check(request, exempt)
        lane = Lane.INTERACTIVE if not isinstance(spec, FileTask) else Lane.BATCH
        new = job_from(
            interaction, spec, action, lane=lane, source_image_id=source_image_id, parent_id=parent_id, private=private
        )
        job_id = await self.commit(interaction, request, new)
        if job_id is None:
            return None
        if notes:
            try:
                await interaction.followup.send(joined(notes, TEXT_LIMIT), ephemeral=True)
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                log.warning("job %s: its notes could not be told (%s)", job_id, error)
        if not isinstance(spec, FileTask):
            await self._gate.used(spec, user_id)
        if action is Action.IMAGINE and isinstance(spec, Txt2Img | Img2Img):
            await self._habits.used(spec, user_id)
        return job_id

    async def commit(
        self, interaction: Interaction, request: JobRequest, new: NewJob, sheets: Sequence[NewJob] = ()
    ) -> JobId | None:
        """Commits what was checked, with its sheets where it is a script, and answers with its card. None where this
        interaction had its job already. Raises UserFacingError where it is too much now."""
        self._deliverer.answering(new.id, interaction.filesize_limit)
        try:
            async with self._door.turn(request), self._inputs.holding(given_pictures(new.task)):
                await self.require_room(new.user_id)
                job_id, added = await self._dispatcher.submit(new, sheets)
            if not added:
                await say(interaction, texts_for(str(interaction.locale))("reply.already_queued"))
                return None
            await self._answer(interaction, job_id)
        finally:
            self._deliverer.answered(new.id)
        return job_id

    async def begin_by_reaction(
        self,
        *,
        user_id: UserId,
        channel_id: ChannelId,
        guild_id: GuildId | None,
        where: Where,
        message_id: MessageId | None,
        locale: str,
        spec: JobSpec,
        action: Action,
        source_image_id: ImageId | None,
        job_id: JobId | None = None,
        parent_id: JobId | None = None,
        exempt: AbstractSet[tuple[ModelKind, str]] = frozenset(),
        private: bool = False,
    ) -> None:
        """The same without an interaction: the card is a reply to the message that was reacted to, or to that of the
        job before it. With `job_id` this was asked for before, perhaps, and is not asked for twice."""
        if job_id is not None and await self._jobs.get(job_id) is not None:
            return
        if to_be_drawn(spec):
            spec, _ = await self._dynamic.drawn(spec, where)
        request = JobRequest(user_id, spec, action, where, locale)
        await self.check(request, exempt)
        new = NewJob(
            id=job_id or new_job_id(),
            action=action,
            user_id=user_id,
            channel_id=channel_id,
            guild_id=guild_id,
            locale=locale,
            task=spec,
            source_image_id=source_image_id,
            parent_id=parent_id,
            reply_to_id=message_id,
            private=private,
        )
        await self.commit_unasked(request, new)
        await self._gate.used(spec, user_id)

    async def commit_unasked(self, request: JobRequest, new: NewJob, sheets: Sequence[NewJob] = ()) -> None:
        """Commits what was checked and no interaction waits for, with its sheets where it is a script; its card is a
        reply. Raises UserFacingError where it is too much now."""
        self._deliverer.answering(new.id, None)
        try:
            async with self._door.turn(request), self._inputs.holding(given_pictures(new.task)):
                await self.require_room(new.user_id)
                await self._dispatcher.submit(new, sheets)
            job = await self._jobs.get(new.id)
            # A card for one alone that no interaction carries would be a direct message, which nobody edits any more.
            if job is not None and not job.private:
                if job.script is None:
                    card = queued_card(job, None, self._machine.state)
                else:
                    card = waiting_card(job, None, self._machine.state, only_by_token=False)
                posted = await self._poster.post(job, Card(card), nonce=f"{job.id}q")
                if posted is not None:
                    await self._jobs.set_message(new.id, posted.message_id)
            self._editor.watch(new.id)
        finally:
            self._deliverer.answered(new.id)

    async def check(self, request: JobRequest, exempt: AbstractSet[tuple[ModelKind, str]] = frozenset()) -> None:
        """Everything but amounts. Raises UserFacingError."""
        # An epoch's samples are part of a training that was let in, and are asked for once.
        if self._queue_gates is not None and request.action is not Action.SAMPLE:
            self._queue_gates.require_open(request.where.guild_id)
        await self._door.require(request)
        if not isinstance(request.task, FileTask):
            self._gate.require(request.task, request.where, exempt)
            self._gate.require_units(request.task)

    async def require_shown(self, spec: JobTask, where: Where, locale: str = "en-US") -> None:
        """That its result may be seen there, which is asked again before it is published; of a grid each cell, whose
        words its axes made. Raises UserFacingError."""
        for task in await asyncio.to_thread(judged_of, spec) if isinstance(spec, Script) else (spec,):
            await self._door.require(JobRequest(UserId(where.user_id), task, Action.IMAGINE, where, locale))
            if not isinstance(task, FileTask):
                self._gate.require(task, where)

    async def veiled(self, image_ids: Collection[ImageId], where: Where) -> frozenset[ImageId]:
        """Which of these pictures may not be seen there as they are: everything that shows a picture asks."""
        return await self._door.veiled(image_ids, where)

    async def is_private(
        self, interaction: Interaction, parent_id: JobId | None = None, source_image_id: ImageId | None = None
    ) -> bool:
        """Whether what comes of this interaction is for its user alone: because they prefer that, or because it comes
        from a job, a picture or a card that is. Whoever defers asks before, and defers accordingly (`hidden` in
        Attachments.given)."""
        if _alone(interaction):
            return False
        if self._preferences.get(where_of(interaction), PRIVATE):
            return True
        message_id = interaction.message.id if interaction.message is not None else None
        return await self._private.comes_of_private(UserId(interaction.user.id), parent_id, source_image_id, message_id)

    async def used(self, task: JobSpec | PictureTask | Sheet | Train, user_id: UserId) -> None:
        """Its models are counted as used. Never raises."""
        await self._gate.used(task, user_id)

    async def answers_over(self) -> None:
        """A card may be on the screen a moment before its message is stored: whoever misses one waits for that."""
        await self._deliverer.answers_over()

    async def require_room(self, user_id: UserId) -> None:
        """Raises UserFacingError (`queue_full`)."""
        waiting = await self._jobs.count_waiting_of(user_id)
        if waiting >= self._limits.max_queued_per_user:
            raise UserFacingError("queue_full", n=waiting)

    async def _answer(self, interaction: Interaction, job_id: JobId) -> None:
        job = await self._jobs.get(job_id)
        assert job is not None
        standing = (await self._dispatcher.standings()).get(job_id)
        only = self._poster.only_by_token(job) if job.guild_id is not None or job.private else False
        card = waiting_card(job, standing, self._machine.state, only_by_token=only)
        try:
            if job.private:
                message_id = await answer_hidden(interaction, card)
            elif interaction.response.is_done():  # a given picture was fetched meanwhile
                answered(interaction)
                message_id = (await interaction.edit_original_response(view=card)).id
            else:
                message_id = (await interaction.response.send_message(view=card)).message_id
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            # The job is committed, and the answer may have arrived all the same (its receipt was lost): the result
            # tries the token, which knows that message, and then goes its other ways.
            log.warning("job %s: its first answer failed (%s); its result finds another way", job_id, error)
        else:
            if message_id is not None:
                await self._jobs.set_message(job_id, MessageId(message_id))
        self._editor.watch(job_id)


def _alone(interaction: Interaction) -> bool:
    """In a direct message with us nobody else is there to see anything."""
    return interaction.guild_id is None and interaction.context.dm_channel
