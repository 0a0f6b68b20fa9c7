"""Puts the parts of one bot together. Everything is injected here; nothing reaches for anything else."""

from __future__ import annotations

import asyncio

import discord

from bot.domain.content import judge
from bot.domain.limits import Limits
from bot.domain.preferences import Level
from bot.domain.training.datasets import Dataset
from bot.i18n import LANGUAGES, load_language
from bot.storage.training_results import TrainingResults
from bot.studio.again import Again
from bot.studio.captions.cards import editor_button
from bot.studio.captions.parts import CaptionParts
from bot.studio.control.parts import ControlParts
from bot.studio.datasets.parts import DatasetParts
from bot.studio.details.parts import DetailParts
from bot.studio.fleet.parts import FleetParts
from bot.studio.history.parts import HistoryParts
from bot.studio.languages import Languages
from bot.studio.layouts.parts import LayoutParts
from bot.studio.looking.parts import LookingParts
from bot.studio.mapping.parts import MappingParts
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.monitoring.parts import Monitoring
from bot.studio.operations.parts import Operations
from bot.studio.plots.parts import PlotParts
from bot.studio.router import Router
from bot.studio.safety import SafetyParts
from bot.studio.scripts.parts import ScriptParts
from bot.studio.settings_desk import SETTINGS_VERBS, SettingsDesk
from bot.studio.stewards import Stewards
from bot.studio.styles.parts import StyleParts
from bot.studio.trainings.parts import TrainingParts
from bot.studio.trainings.result_parts import TrainingResultParts
from bot.studio.unpublished import Unpublished
from bot.studio.usual import Usuals
from bot.studio.wardrobe import Wardrobe
from bot.studio.wiring.drawing import DrawingParts
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.library import LibraryParts
from bot.studio.wiring.line import LineParts
from bot.studio.wiring.model_desks import ModelDesks
from bot.studio.wiring.opened import StudioParts
from bot.studio.wiring.words import WordDesks, Words
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from gpu_worker.language.classifiers import installed_classifier

__all__ = ["Studio", "StudioParts"]


class Studio:
    """What cogs, events and the composition root may use of it has no underscore."""

    def __init__(self, client: discord.Client, parts: StudioParts) -> None:
        settings, database = parts.settings, parts.database
        self.limits = Limits(
            max_side_px=settings.max_side,
            max_queued_per_user=settings.max_queued_per_user,
            max_script_cells=settings.script_cells_max,
        )
        self._kept = kept = Kept(settings, database)
        self.facts, self.jobs, self.images = kept.facts, kept.jobs, kept.images
        self.favourites, self.preferences = kept.favourites, kept.preferences
        self.gates, self.next_pictures = kept.gates, kept.next_pictures
        self.languages = Languages(self.preferences)
        self.stewards = Stewards(settings.operators, playground=not settings.token.get_secret_value())

        self._files = files = LibraryParts(parts, kept)
        self.library, self.downloads = files.library, files.downloads
        own_classifier = installed_classifier(settings.models_dir)
        self.safety = SafetyParts(
            client=client,
            database=database,
            jobs=self.jobs,
            images=self.images,
            timings=kept.timings,
            stewards=self.stewards,
            dispatcher=lambda: self.dispatcher,
            own_classifier=own_classifier.name if own_classifier is not None else None,
        )
        self._line = line = LineParts(
            client=client, opened=parts, kept=kept, library=self.library, judge=self.safety.judge,
            catalogue=self._files.catalogue, classifies=self.safety.looks_itself,
        )  # fmt: skip
        self.dispatcher, self.deliverer, self.machine = line.dispatcher, line.deliverer, line.machine

        self._unpublished = Unpublished(TrainingResults(database), settings.operators)
        self.models = Models(
            self.dispatcher, library=self.library, rules=kept.model_rules, unpublished=self._unpublished
        )
        self.safety.origins.unpublished = self.models.unpublished
        self.model_names = ModelNames(self.models, self.library, kept.model_rules)
        self.wardrobe = Wardrobe(kept.styles)
        self.usuals = Usuals(self.preferences, self.models)
        words = Words(data=settings.data, database=database, models=self.models, limits=self.limits)
        self.tag_book = words.tag_book

        drawing = DrawingParts(
            client=client,
            kept=kept,
            files=files,
            line=line,
            words=words,
            safety=self.safety,
            models=self.models,
            names=self.model_names,
            wardrobe=self.wardrobe,
            limits=self.limits,
        )
        self.intake, self.attachments, self.combinations = drawing.intake, drawing.attachments, drawing.combinations
        self.panels, self.pressed, self.reactions = drawing.panels, drawing.pressed, drawing.reactions

        self.scripts = ScriptParts(
            kept=kept,
            line=line,
            safety=self.safety,
            words=words,
            intake=self.intake,
            attachments=self.attachments,
            models=self.models,
            usuals=self.usuals,
            wardrobe=self.wardrobe,
            limits=self.limits,
        )
        self.plots = PlotParts(
            bases=self.scripts.bases,
            intake=self.intake,
            models=self.models,
            wardrobe=self.wardrobe,
            jobs=self.jobs,
            images=self.images,
            limits=self.limits,
        )

        desks = ModelDesks(
            client=client,
            settings=settings,
            kept=kept,
            files=files,
            drawing=drawing,
            models=self.models,
            names=self.model_names,
            stewards=self.stewards,
            limits=self.limits,
        )
        self.browser, self.admin, self._board = desks.browser, desks.admin, desks.board
        self.settings_desk = SettingsDesk(
            preferences=self.preferences,
            languages=self.languages,
            models=self.models,
            ruling=self.admin.ruling,
            stewards=self.stewards,
            limits=self.limits,
            check_styles=self.wardrobe.check,
            previews=settings.previews,
        )
        self.looking = LookingParts(
            client=client,
            database=database,
            jobs=self.jobs,
            images=self.images,
            inputs=kept.inputs,
            styles=kept.styles,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            usuals=self.usuals,
            wardrobe=self.wardrobe,
            panels=self.panels,
            limits=self.limits,
            timings=kept.timings,
        )
        self.mapping = MappingParts(
            database=database,
            jobs=self.jobs,
            pointed=self.looking.pointed,
            sight=self.looking.sight,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
        )
        self.control = ControlParts(
            database=database,
            jobs=self.jobs,
            images=self.images,
            inputs=kept.inputs,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            names=self.model_names,
            panels=self.panels,
            requests=self.looking.requests,
            pointed=self.looking.pointed,
            sight=self.looking.sight,
        )
        self.details = DetailParts(
            jobs=self.jobs,
            images=self.images,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            panels=self.panels,
            requests=self.looking.requests,
            pointed=self.looking.pointed,
            limits=self.limits,
        )
        self.layouts = LayoutParts(
            panels=self.panels,
            requests=self.looking.requests,
            intake=self.intake,
            models=self.models,
            limits=self.limits,
        )
        self.looking.desk.restored = self.control.opening.restored
        self.again = Again(
            jobs=self.jobs,
            pressed=self.pressed,
            intake=self.intake,
            models=self.models,
            requests=self.looking.requests,
            wildcards=words.wildcards,
            limits=self.limits,
        )
        self.trainings = TrainingParts(
            settings=settings,
            kept=kept,
            line=line,
            safety=self.safety,
            intake=self.intake,
            models=self.models,
            attachments=self.attachments,
            pressed=self.pressed,
            stewards=self.stewards,
            limits=self.limits,
        )
        self.trained = TrainingResultParts(
            client=client,
            settings=settings,
            kept=kept,
            files=files,
            line=line,
            scripts=self.scripts,
            safety=self.safety,
            trainings=self.trainings,
            unpublished=self._unpublished,
            intake=self.intake,
            models=self.models,
            stewards=self.stewards,
            limits=self.limits,
        )
        self.operations = Operations(
            client=client,
            settings=settings,
            database=database,
            jobs=self.jobs,
            dispatcher=self.dispatcher,
            gates=self.gates,
            machine=self.machine,
            pressed=self.pressed,
            models=self.models,
            intake=self.intake,
            limits=self.limits,
            safety=self.safety,
            facts=self.facts,
            language_of=self.preferences.language,
            stewards=self.stewards,
        )
        self.fleet = FleetParts(kept=kept, dispatcher=self.dispatcher, keys=parts.keys, stewards=self.stewards)
        backups = self.operations.backups
        self.monitoring = parts.meters and Monitoring(
            client=client,
            settings=settings,
            meters=parts.meters,
            kept=kept,
            line=line,
            backed_up_at=lambda: backups.newest.made_at if backups.newest else None,
            broker_up=(lambda: parts.transport.connected) if parts.keys is not None else None,
        )
        self.datasets = DatasetParts(
            settings=settings,
            database=database,
            datasets=kept.datasets,
            inputs=kept.inputs,
            attachments=self.attachments,
            pointed=self.looking.pointed,
            intake=self.intake,
            safety=self.safety,
            limits=self.limits,
            train=self._train_on,
            more=(editor_button,),
        )
        self.captions = CaptionParts(
            database=database,
            datasets=kept.datasets,
            jobs=self.jobs,
            inputs=kept.inputs,
            intake=self.intake,
            models=self.models,
            rules=self.datasets.rules,
            safety=self.safety,
        )
        self.deliverer.write_captions = self.captions.tagging.write
        self.history = HistoryParts(
            client=client,
            database=database,
            settings=settings,
            jobs=self.jobs,
            images=self.images,
            inputs=kept.inputs,
            favourites=self.favourites,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            limits=self.limits,
            dispatcher=self.dispatcher,
            deliverer=self.deliverer,
            showing=self.safety.judge.shown,
            press=self._press,
            into_dataset=self.datasets.desk.into,
            also_sweep=(self.datasets.sweep, self.trained.keeping.sweep),
            first_forget=(self.trained.keeping.forget,),
            also_forget=(lambda user_id: self.preferences.forget(Level.USER, user_id),),
        )
        styles = StyleParts(
            client=client,
            database=database,
            styles=kept.styles,
            wardrobe=self.wardrobe,
            preferences=self.preferences,
            users=kept.users,
            images=self.images,
            thumbnails=self.history.thumbnails,
            intake=self.intake,
            stewards=self.stewards,
        )
        self.style_desk, self.style_trade = styles.desk, styles.trade
        tags = WordDesks(
            words=words,
            database=database,
            models=self.models,
            library=self.library,
            places=self.safety.places,
            requests=self.looking.requests,
            intake=self.intake,
            attachments=self.attachments,
            stewards=self.stewards,
        )
        self.completion, self.tag_builder, self.wildcard_desk = tags.completion, tags.builder, tags.wildcards
        self.router = Router(
            self.pressed,
            drawing.submitted,
            presses={
                **drawing.presses,
                **self.scripts.presses,
                **self.plots.presses,
                **self.trainings.presses,
                **self.trained.presses,
                **desks.presses,
                **dict.fromkeys(SETTINGS_VERBS, self.settings_desk),
                **self.safety.presses,
                **self.looking.presses,
                **self.control.presses,
                **self.details.presses,
                **self.layouts.presses,
                **self.mapping.presses,
                **self.operations.presses,
                **self.fleet.presses,
                **self.datasets.presses,
                **self.captions.presses,
                **self.history.presses,
                **styles.presses,
                **tags.presses,
            },
            forms={
                **drawing.forms,
                **desks.forms,
                Verb.SETTINGS_FORM: self.settings_desk,
                Verb.SAFETY_FORM: self.safety.panel,
                **self.looking.forms,
                **self.plots.forms,
                **self.trainings.forms,
                **self.trained.forms,
                **self.control.forms,
                **self.details.forms,
                **self.layouts.forms,
                **self.mapping.forms,
                **self.datasets.forms,
                **self.captions.forms,
                **self.history.forms,
                **styles.forms,
                **tags.forms,
            },
            before=self.languages.apply,
        )

    async def _train_on(self, interaction: Interaction, dataset: Dataset, trigger: str) -> None:
        await self.trainings.desk.open(
            interaction, dataset=dataset.name, base=None, preset_name="character", name=None, trigger=trigger
        )

    async def _press(self, interaction: Interaction, address: Address) -> None:
        """The router is made last, because it knows everybody."""
        await self.router.pressed(interaction, address)

    async def start(self) -> None:
        """Called once the client knows its application id, before it is connected."""
        await self._kept.timings.load()
        await self._files.catalogue.current()
        await self.library.load()
        await self._kept.model_rules.load()
        await self._unpublished.load()
        await self.gates.load()
        await self.preferences.load()
        await self.safety.start()
        await asyncio.to_thread(judge, "")  # builds the word lists before anybody waits for them
        for language in LANGUAGES:
            await asyncio.to_thread(load_language, language)
        await self.panels.forget_old()
        await self._kept.inputs.sweep()
        await self._kept.private_jobs.stay_private()
        for job in await self.jobs.queue():
            if job.script_id is None:  # a sheet has no card
                self._line.editor.watch(job.id)
        self._line.editor.start(self.dispatcher, self.machine)
        await self.fleet.roll.prepare()
        await self.dispatcher.start()
        await self.fleet.roll.start()
        await self.deliverer.start()
        await self.scripts.start()
        await self.trainings.start()
        await self.trained.start()
        self.library.subscribe_files(self.dispatcher.rescan)
        self.tag_book.look()
        await self.library.start()
        await self.downloads.start()
        await self._board.start()
        await self.operations.start()
        await self.datasets.start()
        await self.history.start()

    async def stop(self) -> None:
        """Bounded by the parts' own bounds."""
        await self.tag_book.stop()
        await self.history.stop()
        await self.operations.stop()
        await self._board.stop()
        await self.downloads.stop()
        await self.library.stop()
        await self.trained.stop()
        await self.trainings.stop()
        await self.scripts.stop()
        await self.fleet.roll.stop()
        await self.dispatcher.stop()
        await self.deliverer.stop()
        await self.safety.stop()
        await self._line.editor.stop()
