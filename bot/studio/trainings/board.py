"""Trainings of somebody: listed, shown, paused, continued, cancelled, tried again."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from typing import Any

import discord

from bot.delivery.post import Card
from bot.delivery.progress import CardEditor
from bot.delivery.training_card import TrainingDo, training_state
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import JobId, MessageId, UserId
from bot.domain.job import Job, JobStatus, TokenGrant
from bot.domain.mentions import neutral
from bot.domain.training.wishes import Part, TrainingWish, changed
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.trainings import Trainings
from bot.studio.intake import Intake
from bot.studio.new_jobs import TOKEN_LIFE_S
from bot.studio.pressed import Pressed, is_moderator
from bot.studio.trainings.desk import TrainingDeskBoard
from bot.studio.trainings.fields import field_named
from bot.studio.trainings.forms import parameter_refusal
from bot.studio.trainings.outlook import Outlooks
from bot.studio.trainings.rows import fix_of
from bot.studio.trainings.showing import TrainingCards
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from bot.ui.redraw import redraw
from bot.ui.selects import chosen_value, select_row
from gpu_worker.language.training.config_errors import ConfigError

__all__ = ["TRAINING_VERBS", "TrainingBoard"]

TRAINING_VERBS = (Verb.TRAINING, Verb.TRAINING_PICK)
BLUE = 0x5865F2
LISTED = 25
LINES = 10
NAME_CHARS = 60
FILES_AT_ONCE = 10


class TrainingBoard:
    def __init__(
        self,
        *,
        trainings: Trainings,
        jobs: Jobs,
        images: Images,
        cards: TrainingCards,
        editor: CardEditor,
        dispatcher: Dispatcher,
        pressed: Pressed,
        desk: TrainingDeskBoard,
        outlooks: Outlooks,
        intake: Intake,
    ) -> None:
        self._trainings = trainings
        self._jobs = jobs
        self._images = images
        self._cards = cards
        self._editor = editor
        self._dispatcher = dispatcher
        self._pressed = pressed
        self._desk = desk
        self._outlooks = outlooks
        self._intake = intake

    # --- commands -----------------------------------------------------------------------------------------------------

    async def listed(self, interaction: Interaction) -> None:
        texts = texts_for(str(interaction.locale))
        mine = await self._trainings.of_user(UserId(interaction.user.id))
        if not mine:
            await say(interaction, texts("train.list.none"))
            return
        view = discord.ui.LayoutView(timeout=None)
        view.stop()  # its list is found by its address
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
        lines = [texts("train.list.title")]
        lines += [
            texts(
                "train.list.line", name=neutral(one.name, NAME_CHARS), state=training_state(one, texts),
                when=f"<t:{int(one.created_at)}:R>",
            )
            for one in mine[:LINES]
        ]  # fmt: skip
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
        rows = [(str(one.job_id), one.name, training_state(one, texts)) for one in mine[:LISTED]]
        box.add_item(select_row(Verb.TRAINING_PICK, "all", texts("train.list.pick"), rows))
        view.add_item(box)
        await interaction.response.send_message(view=view, ephemeral=True)

    async def show(self, interaction: Interaction, name: str | None) -> None:
        """Raises UserFacingError (`train_unknown`), as do the next three."""
        await self._shown(interaction, await self._mine(interaction, name))

    async def pause(self, interaction: Interaction, name: str | None) -> None:
        await self._pause(interaction, await self._mine(interaction, name, waiting=True))

    async def resume(self, interaction: Interaction, name: str | None) -> None:
        await self._resume(interaction, await self._mine(interaction, name, waiting=True))

    async def cancel(self, interaction: Interaction, name: str | None) -> None:
        """Raises UserFacingError: `train_unknown`, `train_over`."""
        job = await self._mine(interaction, name, waiting=True)
        if not job.status.waiting:
            raise UserFacingError("train_over")
        texts = texts_for(str(interaction.locale))
        status = await self._pressed.cancel(job, UserId(interaction.user.id), moderator=False)
        match status:
            case JobStatus.CANCELLED:
                await say(interaction, texts("reply.cancelled"))
            case JobStatus.ASSIGNED:
                await say(interaction, texts("reply.cancel_sent"))
            case _:
                raise UserFacingError("train_over")

    # --- presses ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `train_unknown`, `train_not_yours`, `button_unknown`, and what refuses a training."""
        if address.verb == Verb.TRAINING_PICK:
            found = await self._trainings.get(JobId(chosen_value(interaction)))
            job = await self._jobs.get(found.job_id) if found is not None else None
            if job is None or job.user_id != interaction.user.id:
                raise UserFacingError("train_unknown")
            await self._shown(interaction, job)
            return
        job = await self._jobs.get(JobId(address.id))
        if job is None or job.training is None:
            raise UserFacingError("train_unknown")
        match address.n:
            case TrainingDo.PAUSE:
                self._require(interaction, job, moderator=is_moderator(interaction))
                await self._pause(interaction, job)
            case TrainingDo.RESUME:
                self._require(interaction, job, moderator=is_moderator(interaction))
                await self._resume(interaction, job)
            case TrainingDo.LOOK:
                self._require(interaction, job)
                await self._shown(interaction, job, again=True)
            case TrainingDo.SAMPLES:
                await self._samples(interaction, job)
            case TrainingDo.AGAIN:
                self._require(interaction, job)
                await self._desk.show_new(interaction, await self.wish_of(job))
            case TrainingDo.FIX:
                self._require(interaction, job)
                await self._fixed(interaction, job)
            case TrainingDo.RETRY:
                self._require(interaction, job)
                await self._desk.start_new(interaction, await self.wish_of(job), private=job.private)
            case _:
                raise UserFacingError("button_unknown")

    # --- what they do -------------------------------------------------------------------------------------------------

    async def _pause(self, interaction: Interaction, job: Job) -> None:
        texts = texts_for(str(interaction.locale))
        if not await self._dispatcher.pause(job.id, UserId(interaction.user.id)):
            now = await self._jobs.get(job.id)
            if now is None or not now.status.waiting:
                raise UserFacingError("train_over")
        now = await self._jobs.get(job.id)
        running = now is not None and now.status is JobStatus.ASSIGNED
        self._editor.training_changed(job.id)
        await say(interaction, texts("train.reply.pausing" if running else "train.reply.paused"))

    async def _resume(self, interaction: Interaction, job: Job) -> None:
        if not await self._dispatcher.resume(job.id):
            now = await self._jobs.get(job.id)
            waiting = now is not None and now.status.waiting
            raise UserFacingError("train_not_paused" if waiting else "train_over")
        self._editor.training_changed(job.id)
        await say(interaction, texts_for(str(interaction.locale))("train.reply.resumed"))

    async def _shown(self, interaction: Interaction, job: Job, *, again: bool = False) -> None:
        """For its user alone. A private training's own card is out of reach once its token is over: then this becomes
        it."""
        if not interaction.response.is_done():
            await interaction.response.defer(ephemeral=True, thinking=not again or interaction.message is None)
        card = await self._card(replace(job, locale=str(interaction.locale)))
        await redraw(interaction, card.view, card.files())
        if job.private and job.status.waiting:
            message = await interaction.original_response()
            grant = TokenGrant(interaction.token, interaction.created_at.timestamp() + TOKEN_LIFE_S)
            await self._jobs.set_grant(job.id, grant)
            await self._jobs.set_message(job.id, MessageId(message.id))
            self._editor.watch(job.id)

    async def _card(self, job: Job) -> Card:
        if not job.status.waiting:
            return await self._cards.ended(job)
        state = self._editor.state_of(job.id)
        found = await self._cards.live(job, state, job.cancel_by is not None, fresh=True)
        if found is None:
            raise UserFacingError("train_unknown")
        return found[1]

    async def _samples(self, interaction: Interaction, job: Job) -> None:
        """Those of the newest epoch that has any, at their size, for whoever asks; veiled as everywhere."""
        if job.private:
            self._require(interaction, job)
        texts = texts_for(str(interaction.locale))
        await interaction.response.defer(ephemeral=True, thinking=True)
        sampled = await self._cards.sampled(await self._trainings.files(job.id))
        if not sampled:
            await say(interaction, texts("train.reply.no_samples"))
            return
        newest = sampled[-1]
        veiled = await self._intake.veiled([image.id for image in newest.images], where_of(interaction))
        shown = [image for image in newest.images if image.id not in veiled]
        if not shown:
            await say(interaction, texts("train.reply.samples_hidden"))
            return
        data: list[bytes] = []
        for image in shown:
            with contextlib.suppress(MissingPictureError):
                data.append(await self._images.read(image))
        if not data:
            await say(interaction, texts("train.reply.no_samples"))
            return
        files = [discord.File(io.BytesIO(each), f"sample-{n}.png") for n, each in enumerate(data[:FILES_AT_ONCE], 1)]
        await interaction.followup.send(
            texts("train.card.samples", name=neutral(newest.file.name, NAME_CHARS)), files=files, ephemeral=True
        )

    async def _fixed(self, interaction: Interaction, job: Job) -> None:
        """Starts it anew with the changes that its failure asks for."""
        fix = fix_of(job)
        if not fix:
            raise UserFacingError("button_unknown")
        found = {key: field for key in fix if (field := field_named(key)) is not None}
        changes: dict[tuple[Part, str], Any] = {
            (part, key): read(fix[name]) for name, (part, key, read) in found.items()
        }
        try:
            wish = changed(await self.wish_of(job), changes)
        except ConfigError as error:
            raise parameter_refusal(error) from error
        await self._desk.start_new(interaction, wish, private=job.private)

    async def wish_of(self, job: Job) -> TrainingWish:
        """As it was asked for; under a name that is free."""
        training = await self._trainings.get(job.id)
        spec = job.training
        if training is None or spec is None:
            raise UserFacingError("train_unknown")
        (dataset, *_) = spec.datasets
        return TrainingWish(
            dataset_id=training.dataset_id or "",
            checkpoint=spec.checkpoint,
            vae=spec.vae,
            preset=training.preset,
            name=await self._outlooks.free_name(training.name),
            trigger=training.trigger_words,
            parameters=spec.parameters,
            rules=dataset.rules,
            subset=dataset.subsets[0].rules,
            samples=training.samples or None,
            compare=training.compare,
            retry_of=job.id,
        )

    # --- what is meant ------------------------------------------------------------------------------------------------

    async def _mine(self, interaction: Interaction, name: str | None, *, waiting: bool = False) -> Job:
        """By name, or the newest; `waiting` prefers one that is not over."""
        mine = await self._trainings.of_user(UserId(interaction.user.id))
        if name is not None:
            wanted = name.strip().casefold()
            mine = [one for one in mine if wanted in (one.name.casefold(), one.job_id)]
        mine.sort(key=lambda one: waiting and not one.status.waiting)
        job = await self._jobs.get(mine[0].job_id) if mine else None
        if job is None:
            raise UserFacingError("train_unknown")
        return job

    @staticmethod
    def _require(interaction: Interaction, job: Job, *, moderator: bool = False) -> None:
        if job.user_id != interaction.user.id and not moderator:
            raise UserFacingError("train_not_yours")
