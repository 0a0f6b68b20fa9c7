"""What becomes of a training's files: compared, published, handed out, judged, tried again, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import discord
from discord import app_commands

from bot.domain.amounts import size_text
from bot.domain.ids import GuildId, JobId, UserId
from bot.domain.job import Job
from bot.domain.mentions import spoken
from bot.domain.stewards import Steward
from bot.domain.training.suggestions import suggested
from bot.domain.training.wishes import TrainingWish, changed
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.jobs import Jobs
from bot.storage.training_results import TrainingResults
from bot.storage.trainings import SavedFile, Training, Trainings
from bot.studio.hidden import acknowledged
from bot.studio.model_admin.reports import plain_card
from bot.studio.stewards import Stewards
from bot.studio.trainings.comparing import Comparing
from bot.studio.trainings.keeping import Keeping
from bot.studio.trainings.publishing import Publisher, PublishWish
from bot.studio.trainings.result_rows import (
    RETRY_FROM,
    TrainedDo,
    diagnosis_of,
    diagnosis_text,
    epoch_rows,
    retry_buttons,
)
from bot.ui.buttons import AddressButton, button
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.commands import CHOICES_LIMIT
from bot.ui.forms import fields_of, form_of, text_field
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value, select_row

__all__ = ["TRAINED_FORMS", "TRAINED_VERBS", "TrainedFiles"]

TRAINED_VERBS = (Verb.TRAINED, Verb.TRAINED_PICK)
TRAINED_FORMS = (Verb.TRAINED_FORM,)
DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024
ADMINS_ROWS = 50
MARGIN_BYTES = 64 * 1024
"""Of a request beside its file."""

WishOf = Callable[[Job], Awaitable[TrainingWish]]


class TrainedFiles:
    def __init__(
        self,
        *,
        trainings: Trainings,
        results: TrainingResults,
        jobs: Jobs,
        comparing: Comparing,
        publisher: Publisher,
        keeping: Keeping,
        stewards: Stewards,
        wish_of: WishOf,
        open_desk: Callable[[Interaction, TrainingWish], Awaitable[None]],
    ) -> None:
        """`wish_of` gives what a training was asked for as; `open_desk` shows such a wish with its cost."""
        self._trainings = trainings
        self._results = results
        self._jobs = jobs
        self._comparing = comparing
        self._publisher = publisher
        self._keeping = keeping
        self._stewards = stewards
        self._wish_of = wish_of
        self._open_desk = open_desk

    # --- commands -----------------------------------------------------------------------------------------------------

    async def publish(
        self,
        interaction: Interaction,
        training: str,
        epoch: str | None,
        *,
        name: str | None,
        trigger: str | None,
        weight: float | None,
    ) -> None:
        """Raises UserFacingError: `train_unknown`, `trained_publish_right`, `trained_no_files`, `trained_epoch`, those
        of `Publisher.publish`."""
        job, found = await self._named(interaction, training, publishing=True)
        steward = self._steward(interaction, found)
        saved = _file_named(await self._files(found), epoch)
        await self._publish(
            interaction, steward, job, found, saved,
            PublishWish(
                name or found.name,
                found.trigger_words if trigger is None else trigger,
                1.0 if weight is None else weight,
            ),
        )  # fmt: skip

    async def file(self, interaction: Interaction, training: str, epoch: str | None) -> None:
        """Raises UserFacingError: `train_unknown`, `trained_no_files`, `trained_epoch`, `trained_too_large`."""
        _, found = await self._named(interaction, training)
        await self._hand_out(interaction, found, _file_named(await self._files(found), epoch))

    async def delete(self, interaction: Interaction, training: str) -> None:
        """Asks first. Raises UserFacingError: `train_unknown`, `trained_no_files`."""
        _, found = await self._named(interaction, training)
        await self._ask_to_delete(interaction, found)

    async def compare(self, interaction: Interaction, training: str) -> None:
        """Raises UserFacingError as `Comparing.offer`, and `train_unknown`."""
        job, found = await self._named(interaction, training)
        await self._comparing.offer(interaction, job, found)

    async def epochs(self, interaction: Interaction, training: str) -> list[str]:
        """Names of the files, the newest first; for a list while somebody types."""
        try:
            _, found = await self._named(interaction, training, publishing=True)
        except UserFacingError:
            return []
        return [file.name for file in reversed(await self._trainings.files(found.job_id))]

    async def choices(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """One's own trainings by name; for whoever administers, those of others here by id, with their person's."""
        mine = await self._trainings.of_user(UserId(interaction.user.id))
        rows = [(one.name, one.name) for one in mine]
        steward = self._stewards.manages(interaction)
        if steward is not None and interaction.guild_id is not None:
            own = {one.job_id for one in mine}
            for job_id in await self._results.of_server(GuildId(interaction.guild_id), ADMINS_ROWS):
                other = await self._trainings.get(job_id) if job_id not in own else None
                if other is not None:
                    rows.append((f"{other.name} · {job_id} · {self._person(interaction, other.user_id)}", job_id))
        wanted = typed.strip().casefold()
        found = [app_commands.Choice(name=label[:100], value=value) for label, value in dict(rows).items()
                 if wanted in label.casefold()]  # fmt: skip
        return found[:CHOICES_LIMIT]

    @staticmethod
    def _person(interaction: Interaction, user_id: int) -> str:
        member = interaction.guild.get_member(user_id) if interaction.guild is not None else None
        return member.display_name if member is not None else str(user_id)

    # --- presses ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `train_unknown`, `train_not_yours`, `button_unknown`, those of the commands."""
        if address.verb == Verb.TRAINED_PICK:
            await self._picked(interaction, address)
            return
        job, training = await self._addressed(interaction, address, publishing=address.n == TrainedDo.PUBLISH)
        texts = texts_for(str(interaction.locale))
        match address.n:
            case TrainedDo.COMPARE:
                await self._comparing.offer(interaction, job, training)
            case TrainedDo.PUBLISH:
                self._steward(interaction, training)
                await self._ask_which(interaction, training, TrainedDo.PUBLISH, texts)
            case TrainedDo.GET:
                await self._ask_which(interaction, training, TrainedDo.GET, texts)
            case TrainedDo.FINDINGS:
                await self._tell_findings(interaction, job, training, texts)
            case TrainedDo.DELETE:
                await self._ask_to_delete(interaction, training)
            case TrainedDo.DELETED:
                await self._delete(interaction, training, texts)
            case TrainedDo.KEPT:
                await redraw(interaction, plain_card(texts("trained.kept")))
            case int(n) if n >= RETRY_FROM:
                await self._retry(interaction, job, training, n - RETRY_FROM)
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """The form behind the list of epochs to publish. Raises UserFacingError as `publish`, and
        `trained_weight`."""
        job, training = await self._addressed(interaction, address, publishing=True)
        steward = self._steward(interaction, training)
        files = await self._files(training)
        if address.n is None or not 0 <= address.n < len(files):
            raise UserFacingError("trained_epoch")
        fields = fields_of(interaction)
        wish = PublishWish(fields.get("name", ""), fields.get("trigger", ""), _weight(fields.get("weight", "")))
        await self._publish(interaction, steward, job, training, files[address.n], wish)

    async def _picked(self, interaction: Interaction, address: Address) -> None:
        publishing = address.n == TrainedDo.PUBLISH
        _, training = await self._addressed(interaction, address, publishing=publishing)
        files = await self._files(training)
        saved = _file_named(files, chosen_value(interaction))
        if not publishing:
            await self._hand_out(interaction, training, saved)
            return
        self._steward(interaction, training)
        texts = texts_for(str(interaction.locale))
        form = form_of(
            texts("trained.form.title"), encode(Verb.TRAINED_FORM, training.job_id, files.index(saved))
        )  # fmt: skip
        hint = texts("trained.form.name_hint")
        text_field(form, "name", texts("trained.form.name"), hint, training.name, paragraph=False, required=True,
                   max_length=60)  # fmt: skip
        text_field(form, "trigger", texts("trained.form.trigger"), texts("trained.form.trigger_hint"),
                   training.trigger_words, paragraph=False, required=False, max_length=200)  # fmt: skip
        text_field(form, "weight", texts("trained.form.weight"), texts("trained.form.weight_hint"), "1",
                   paragraph=False, required=False, max_length=10)  # fmt: skip
        await interaction.response.send_modal(form)

    # --- what they do -------------------------------------------------------------------------------------------------

    async def _publish(
        self, interaction: Interaction, steward: Steward, job: Job, training: Training, saved: SavedFile,
        wish: PublishWish,
    ) -> None:  # fmt: skip
        texts = texts_for(str(interaction.locale))
        base = job.training.checkpoint if job.training is not None else ""
        note = texts("trained.note", name=saved.name, epoch=saved.epoch, step=saved.step, base=spoken(base))
        async with acknowledged(interaction, hidden=True):
            done = await self._publisher.publish(
                steward, training, saved, PublishWish(wish.name, wish.trigger, wish.weight, note)
            )
            lines = [texts("trained.published", name=spoken(done.file.name))]
            if done.held:
                lines.append(texts("trained.published_held"))
            elif not done.has_picture:
                lines.append("-# " + texts("trained.published_plain"))
            lines.append("-# " + texts("trained.published_undo"))
            buttons: list[AddressButton] = []
            if done.held:
                buttons.append(button(Verb.MODEL_ENABLE, done.file.id, texts("button.enable"), emoji="✅"))
            await interaction.edit_original_response(view=plain_card("\n".join(lines), buttons))
        await self._keeping.changed(training.job_id)

    async def _hand_out(self, interaction: Interaction, training: Training, saved: SavedFile) -> None:
        limit = (interaction.filesize_limit or DEFAULT_LIMIT_BYTES) - MARGIN_BYTES
        if saved.size_bytes > limit:
            raise UserFacingError(
                "trained_too_large", size=size_text(saved.size_bytes), limit=size_text(limit), job=training.job_id,
                name=spoken(saved.name),
            )  # fmt: skip
        async with acknowledged(interaction, hidden=True):
            if not await asyncio.to_thread(saved.path.is_file):
                raise UserFacingError("train_file_gone")
            texts = texts_for(str(interaction.locale))
            file = discord.File(saved.path, f"{saved.name}.safetensors")
            await interaction.followup.send(texts("trained.file", name=spoken(saved.name)), file=file, ephemeral=True)

    async def _ask_which(self, interaction: Interaction, training: Training, n: int, texts: Texts) -> None:
        files = await self._files(training)
        diagnosis = diagnosis_of(training)
        rows = epoch_rows(files, diagnosis.best if diagnosis is not None else None, texts)
        key = "publish" if n == TrainedDo.PUBLISH else "get"
        view = plain_card(texts(f"trained.which.{key}"))
        view.add_item(select_row(Verb.TRAINED_PICK, training.job_id, texts("trained.which.pick"), rows, n=n))
        await interaction.response.send_message(view=view, ephemeral=True)

    async def _tell_findings(self, interaction: Interaction, job: Job, training: Training, texts: Texts) -> None:
        diagnosis = diagnosis_of(training)
        if diagnosis is None or job.training is None:
            raise UserFacingError("trained_no_findings")
        given = job.training.parameters
        view = plain_card(
            diagnosis_text(diagnosis, given, texts), retry_buttons(training.job_id, diagnosis, given, texts)
        )
        await interaction.response.send_message(view=view, ephemeral=True)

    async def _retry(self, interaction: Interaction, job: Job, training: Training, place: int) -> None:
        """Opens a desk with the change, so that its cost is seen first."""
        diagnosis = diagnosis_of(training)
        if diagnosis is None or job.training is None or place >= len(diagnosis.findings):
            raise UserFacingError("trained_no_findings")
        changes = suggested(diagnosis.findings[place], job.training.parameters)
        await self._open_desk(interaction, changed(await self._wish_of(job), changes))

    async def _ask_to_delete(self, interaction: Interaction, training: Training) -> None:
        texts = texts_for(str(interaction.locale))
        files = await self._files(training)
        size = size_text(sum(file.size_bytes for file in files))
        lines = [texts("trained.delete.ask", n=len(files), name=spoken(training.name), size=size)]
        if self._publisher.is_there(training):
            lines.append("-# " + texts("trained.delete.published", name=spoken(training.published or "")))
        buttons = [
            button(
                Verb.TRAINED, training.job_id, texts("trained.delete.yes"), n=TrainedDo.DELETED, emoji="🗑️",
                style=discord.ButtonStyle.danger,
            ),
            button(Verb.TRAINED, training.job_id, texts("trained.delete.no"), n=TrainedDo.KEPT),
        ]  # fmt: skip
        view = plain_card("\n".join(lines), buttons)
        if interaction.response.is_done():
            await interaction.followup.send(view=view, ephemeral=True)
        else:
            await interaction.response.send_message(view=view, ephemeral=True)

    async def _delete(self, interaction: Interaction, training: Training, texts: Texts) -> None:
        await begin_redraw(interaction)
        await self._keeping.delete_files(training.job_id)
        await redraw(interaction, plain_card(texts("trained.delete.done", name=spoken(training.name))))

    # --- whose, and which ---------------------------------------------------------------------------------------------

    async def _addressed(
        self, interaction: Interaction, address: Address, *, publishing: bool = False
    ) -> tuple[Job, Training]:
        job, training = await self._found(JobId(address.id))
        if self._may_see(interaction, job, training, publishing=publishing):
            return job, training
        raise UserFacingError("train_not_yours")

    async def _named(self, interaction: Interaction, value: str, *, publishing: bool = False) -> tuple[Job, Training]:
        """By the name of one's own, or by the id of any that this person may have to do with: whoever administers may
        publish what was trained in the open, and that alone."""
        wanted = value.strip()
        for one in await self._trainings.of_user(UserId(interaction.user.id)):
            if wanted.casefold() in (one.name.casefold(), one.job_id):
                return await self._found(one.job_id)
        job, training = await self._found(JobId(wanted))
        if not self._may_see(interaction, job, training, publishing=publishing):
            raise UserFacingError("train_unknown")  # as if there was none: whose it is, is nobody's business
        return job, training

    async def _found(self, job_id: JobId) -> tuple[Job, Training]:
        job, training = await self._jobs.get(job_id), await self._trainings.get(job_id)
        if job is None or training is None:
            raise UserFacingError("train_unknown")
        return job, training

    async def _files(self, training: Training) -> list[SavedFile]:
        files = await self._trainings.files(training.job_id)
        if not files:
            raise UserFacingError("trained_no_files")
        return files

    def _may_see(self, interaction: Interaction, job: Job, training: Training, *, publishing: bool) -> bool:
        if training.user_id == interaction.user.id or self._stewards.is_operator(interaction):
            return True
        steward = self._stewards.manages(interaction) if publishing and not job.private else None
        return steward is not None and steward.guild_id is not None and steward.guild_id == training.guild_id

    def _steward(self, interaction: Interaction, training: Training) -> Steward:
        """Whoever may add models where they are. Raises UserFacingError (`trained_publish_right`)."""
        steward = self._stewards.manages(interaction)
        if steward is None:
            raise UserFacingError("trained_publish_right", id=training.job_id)
        return steward


def _file_named(files: list[SavedFile], epoch: str | None) -> SavedFile:
    """By its name or by its epoch's number; None is the last. Raises UserFacingError (`trained_epoch`)."""
    if epoch is None or not epoch.strip():
        return files[-1]
    wanted = epoch.strip()
    found = next((file for file in files if file.name.casefold() == wanted.casefold()), None)
    if found is None and wanted.isdecimal():
        found = next((file for file in files if file.epoch == int(wanted)), None)
    if found is None:
        raise UserFacingError("trained_epoch")
    return found


def _weight(text: str) -> float:
    """Raises UserFacingError (`train_publish_weight`)."""
    if not text.strip():
        return 1.0
    try:
        return float(text.strip().replace(",", "."))
    except ValueError as error:
        raise UserFacingError("train_publish_weight", limit="4") from error
