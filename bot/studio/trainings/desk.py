"""The desk on which a training is put together; it outlives restarts. Its user alone sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import discord

from bot.domain.ids import JobId, UserId
from bot.domain.mentions import spoken
from bot.domain.models import AUTOMATIC_VAE, NONE, find_vae, names_of, share_latents
from bot.domain.notes import Note
from bot.domain.notes import named as listed
from bot.domain.text import clean
from bot.domain.training.planning import require_name, require_trainable, trainable_names
from bot.domain.training.wishes import TrainingWish, first_wish, fitted
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.datasets import Dataset, Datasets
from bot.storage.training_desks import TrainingDesk, TrainingDesks
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.trainings.cards import DeskLists, PickOf, desk_page
from bot.studio.trainings.forms import CONFIG_FIELD, FormOf, configured_by, form, named, regrouped
from bot.studio.trainings.outlook import Outlooks
from bot.studio.trainings.starting import TrainingStart
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import sentence
from bot.ui.forms import field_values, fields_of, uploads_of
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value
from gpu_worker.language.training.presets import PRESETS, Preset, preset
from gpu_worker.protocol.messages import ModelFact

__all__ = ["TRAIN_FORMS", "TRAIN_VERBS", "TrainingDeskBoard"]

TRAIN_VERBS = (Verb.TRAIN, Verb.TRAIN_PICK, Verb.TRAIN_OPEN)
TRAIN_FORMS = (Verb.TRAIN_FORM,)


class TrainingDeskBoard:
    def __init__(
        self,
        *,
        desks: TrainingDesks,
        datasets: Datasets,
        outlooks: Outlooks,
        start: TrainingStart,
        models: Models,
        intake: Intake,
        attachments: Attachments,
    ) -> None:
        self._desks = desks
        self._datasets = datasets
        self._outlooks = outlooks
        self._start = start
        self._models = models
        self._intake = intake
        self._attachments = attachments

    async def open(
        self,
        interaction: Interaction,
        *,
        dataset: str | None,
        base: str | None,
        preset_name: Preset,
        name: str | None,
        trigger: str | None,
    ) -> None:
        """/train start. Raises UserFacingError: `train_no_dataset`, `train_dataset_unknown`, `train_name`, those of
        `require_trainable` and `TrainingStart.require_allowed`."""
        self._start.require_allowed(interaction)
        found = await self._dataset(interaction, dataset)
        facts = self._models.facts(where_of(interaction))
        wish = first_wish(preset_name, self._first_base(base, facts))
        label = require_name(clean(name).text) if name else await self._outlooks.free_name(found.name)
        words = " ".join(clean(trigger or "").text.split()) or await self._usual_trigger(found)
        wish = wish.model_copy(update={"dataset_id": found.id, "name": label, "trigger": words})
        await self.show_new(interaction, wish)

    async def show_new(self, interaction: Interaction, wish: TrainingWish, notes: Sequence[str] = ()) -> None:
        """A desk of its own for that wish, as an answer for its user alone."""
        desk = await self._desks.add(UserId(interaction.user.id), wish)
        if not interaction.response.is_done():
            await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.edit_original_response(view=await self._page(interaction, desk, notes))

    async def start_new(self, interaction: Interaction, wish: TrainingWish, *, private: bool) -> None:
        """Starts that wish at once. Raises UserFacingError as `TrainingStart.begin`."""
        desk = await self._desks.add(UserId(interaction.user.id), wish)
        await self._start.begin(interaction, desk, private=private)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `train_desk_unknown`, `button_unknown`, and what refuses a training or a change."""
        desk = await self._desk(interaction, address)
        match address.verb, address.n:
            case Verb.TRAIN, 1 | 2:
                await self._start.begin(interaction, desk, private=address.n == 2)
            case Verb.TRAIN, 3:
                await self._show(interaction, desk)
            case Verb.TRAIN_PICK, _:
                await self._keep(interaction, desk, *self._picked(interaction, desk.wish, address.n))
            case Verb.TRAIN_OPEN, int(n):
                texts = texts_for(str(interaction.locale))
                samples = await self._samples(interaction, desk) if n == FormOf.NAMES else ()
                await interaction.response.send_modal(form(desk, n, samples, texts))
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the desk then stays as it was."""
        desk = await self._desk(interaction, address)
        fields, n = fields_of(interaction), address.n if address.n is not None else -1
        notes: Sequence[Note] = ()
        match n:
            case FormOf.NAMES:
                usual = await self._samples(interaction, desk)
                wish = named(desk.wish, fields)
                if desk.wish.samples is None and wish.samples == usual:
                    wish = wish.model_copy(update={"samples": None})
            case FormOf.CONFIG:
                upload = uploads_of(interaction).get(CONFIG_FIELD)
                await begin_redraw(interaction)
                data = await self._attachments.fetch(upload) if upload is not None else None
                wish, passed_over = await configured_by(desk.wish, fields.get("text", ""), data)
                if passed_over:
                    notes = [Note("train_passed_over", {"keys": ", ".join(passed_over[:20])})]
            case _:
                wish = regrouped(desk.wish, n, fields, field_values(interaction, "switches"))
        await self._keep(interaction, desk, wish, notes)

    # --- changes ------------------------------------------------------------------------------------------------------

    def _picked(self, interaction: Interaction, wish: TrainingWish, n: int | None) -> tuple[TrainingWish, list[Note]]:
        value = chosen_value(interaction)
        facts = self._models.facts(where_of(interaction))
        match n:
            case PickOf.DATASET:
                return wish.model_copy(update={"dataset_id": value[:40]}), []
            case PickOf.BASE:
                base = require_trainable(value, facts)
                after = fitted(wish, base)
                width = after.rules.resolution[0]
                notes = [] if after.rules == wish.rules else [Note("train_fitted", {"px": width})]
                if wish.vae not in (AUTOMATIC_VAE, NONE):
                    vae = next((fact for fact in facts if (fact.kind, fact.name) == ("vae", wish.vae)), None)
                    if vae is None or not share_latents(vae, base):
                        after = after.model_copy(update={"vae": AUTOMATIC_VAE})
                return after, notes
            case PickOf.VAE:
                vae_name = find_vae(value, require_trainable(wish.checkpoint, facts), facts)
                return wish.model_copy(update={"vae": vae_name}), []
            case PickOf.PRESET if value in PRESETS:
                return self._with_preset(wish, value, facts), []
            case _:
                raise UserFacingError("button_unknown")

    def _with_preset(self, wish: TrainingWish, name: Preset, facts: Sequence[ModelFact]) -> TrainingWish:
        parameters, rules, subset = preset(name)
        after = wish.model_copy(
            update={"preset": name, "parameters": parameters, "rules": rules, "subset": subset}
        )  # fmt: skip
        return fitted(after, require_trainable(wish.checkpoint, facts))

    async def _keep(
        self, interaction: Interaction, desk: TrainingDesk, wish: TrainingWish, notes: Sequence[Note] = ()
    ) -> None:
        await self._desks.change(desk.id, wish)
        await self._show(interaction, replace(desk, wish=wish), told(notes, texts_for(str(interaction.locale))))

    # --- what it shows ------------------------------------------------------------------------------------------------

    async def _show(self, interaction: Interaction, desk: TrainingDesk, notes: Sequence[str] = ()) -> None:
        await begin_redraw(interaction)
        await redraw(interaction, await self._page(interaction, desk, notes))

    async def _page(
        self, interaction: Interaction, desk: TrainingDesk, notes: Sequence[str] = ()
    ) -> discord.ui.LayoutView:
        where, texts = where_of(interaction), texts_for(str(interaction.locale))
        outlook = await self._outlooks.of(desk.wish, desk.user_id, where)
        facts = self._models.facts(where)
        before = JobId(desk.wish.retry_of) if desk.wish.retry_of else None
        advice = told(outlook.plan.notes, texts) if outlook.plan is not None else []
        problem = outlook.problem
        return desk_page(
            desk,
            DeskLists(
                await self._rows(desk, texts),
                trainable_names(facts),
                [AUTOMATIC_VAE, NONE, *_vaes(desk.wish.checkpoint, facts)],
            ),
            outlook.plan,
            outlook.seconds,
            outlook.samples,
            texts,
            problem=sentence(texts, problem, f"training desk {desk.id}") if problem is not None else "",
            notes=[*notes, *advice],
            private=await self._intake.is_private(interaction, before),
        )

    async def _rows(self, desk: TrainingDesk, texts: Texts) -> list[tuple[str, str, str]]:
        mine = await self._datasets.of_user(desk.user_id)
        mine.sort(key=lambda one: one.id != desk.wish.dataset_id)
        rows: list[tuple[str, str, str]] = []
        for one in mine[:25]:
            held = await self._datasets.held(one.id)
            rows.append((str(one.id), texts("train.dataset", name=one.name), texts("train.pictures", n=held.pictures)))
        return rows

    async def _samples(self, interaction: Interaction, desk: TrainingDesk) -> tuple[str, ...]:
        return (await self._outlooks.of(desk.wish, desk.user_id, where_of(interaction))).samples

    # --- what is meant ------------------------------------------------------------------------------------------------

    async def _desk(self, interaction: Interaction, address: Address) -> TrainingDesk:
        desk = await self._desks.get(address.id, interaction.user.id)
        if desk is None:
            raise UserFacingError("train_desk_unknown")
        return desk

    async def _usual_trigger(self, dataset: Dataset) -> str:
        """The class tokens of what is learnt, as where the desk is opened from the data set's own card."""
        return next((one.class_tokens for one in await self._datasets.folders(dataset.id) if not one.is_reg), "")

    async def _dataset(self, interaction: Interaction, name: str | None) -> Dataset:
        user_id = UserId(interaction.user.id)
        mine = await self._datasets.of_user(user_id)
        if not mine:
            raise UserFacingError("train_no_dataset")
        if name is None:
            return mine[0]
        found = await self._datasets.by_name(user_id, name)
        if found is None:
            names = listed([spoken(one.name) for one in mine])
            raise UserFacingError("train_dataset_unknown", name=spoken(name), names=names)
        return found

    def _first_base(self, wanted: str | None, facts: Sequence[ModelFact]) -> ModelFact:
        if wanted is not None:
            return require_trainable(wanted, facts)
        try:
            return require_trainable(None, facts)
        except UserFacingError:
            names = trainable_names(facts)
            return require_trainable(names[0] if names else None, facts)


def _vaes(checkpoint: str, facts: Sequence[ModelFact]) -> list[str]:
    base = next((fact for fact in facts if (fact.kind, fact.name) == ("checkpoint", checkpoint)), None)
    usable = set(names_of("vae", facts))
    return [
        fact.name
        for fact in facts
        if fact.kind == "vae" and fact.name in usable and (base is None or share_latents(fact, base))
    ]
