"""Wires the door of new jobs and what sends people through it: panels, buttons, forms, reactions."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.domain.limits import Limits
from bot.storage.combinations import CombinationWishes
from bot.storage.last_tweaks import LastTweaks
from bot.studio.attachments import Attachments
from bot.studio.combinations import COMBINE_VERBS, Combinations
from bot.studio.conversions import Conversions
from bot.studio.gate import ModelGate
from bot.studio.intake import Intake
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.originals import Originals
from bot.studio.panel_lists import PanelLists
from bot.studio.panels import PANEL_FORMS, PANEL_VERBS, Panels
from bot.studio.picture_parts import PictureParts
from bot.studio.pressed import Pressed
from bot.studio.publishing import Publishing
from bot.studio.reactions import Reactions
from bot.studio.router import Forms
from bot.studio.safety import SafetyParts
from bot.studio.submitted import Submitted
from bot.studio.tweaks import Remix
from bot.studio.wardrobe import Wardrobe
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.library import LibraryParts
from bot.studio.wiring.line import LineParts
from bot.studio.wiring.words import Words
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["DrawingParts"]


class DrawingParts:
    """`presses` and `forms` are who answers which verb."""

    def __init__(
        self,
        *,
        client: discord.Client,
        kept: Kept,
        files: LibraryParts,
        line: LineParts,
        words: Words,
        safety: SafetyParts,
        models: Models,
        names: ModelNames,
        wardrobe: Wardrobe,
        limits: Limits,
    ) -> None:
        jobs, images, inputs, judge = kept.jobs, kept.images, kept.inputs, safety.judge
        self.intake = intake = Intake(
            dynamic=words.dynamic,
            habits=words.habits,
            jobs=jobs,
            inputs=inputs,
            dispatcher=line.dispatcher,
            deliverer=line.deliverer,
            editor=line.editor,
            poster=line.poster,
            machine=line.machine,
            limits=limits,
            gate=ModelGate(models, files.library),
            preferences=kept.preferences,
            private_jobs=kept.private_jobs,
            queue_gates=kept.gates,
            door=safety.door,
        )
        self.combinations = intake.combinations = Combinations(
            dynamic=words.dynamic,
            intake=intake,
            jobs=jobs,
            drafts=kept.drafts,
            wishes=CombinationWishes(kept.database),
            inputs=inputs,
            timings=kept.timings,
            limits=limits,
        )
        self.conversions = Conversions(
            intake=intake,
            jobs=jobs,
            library=files.library,
            models=models,
            room=files.room,
            limits=limits,
            poster=line.poster,
        )
        line.deliverer.follow = self.conversions.follow
        self.attachments = Attachments(inputs, limits)
        self.panels = Panels(
            drafts=kept.drafts,
            jobs=jobs,
            inputs=inputs,
            intake=intake,
            models=models,
            lists=PanelLists(models, names, wardrobe),
            attachments=self.attachments,
            last_tweaks=LastTweaks(kept.database),
            limits=limits,
        )
        self.pressed = Pressed(
            jobs=jobs,
            images=images,
            inputs=inputs,
            dispatcher=line.dispatcher,
            editor=line.editor,
            intake=intake,
            models=models,
            panels=self.panels,
            remix=Remix(intake=intake, panels=self.panels, preferences=kept.preferences),
            limits=limits,
        )
        self.submitted = Submitted(
            pressed=self.pressed,
            intake=intake,
            images=images,
            styles=kept.styles,
            models=models,
            panels=self.panels,
            limits=limits,
        )
        self.reactions = Reactions(
            client=client,
            jobs=jobs,
            images=images,
            favourites=kept.favourites,
            users=kept.users,
            intake=intake,
            pressed=self.pressed,
        )
        picture_presses, picture_forms = PictureParts(
            jobs=jobs,
            images=images,
            inputs=inputs,
            favourites=kept.favourites,
            attachments=self.attachments,
            intake=intake,
            models=models,
            limits=limits,
        ).answering()
        self.presses: Mapping[str, Presses] = {
            **picture_presses,
            **dict.fromkeys(PANEL_VERBS, self.panels),
            **dict.fromkeys(COMBINE_VERBS, self.combinations),
            Verb.ORIGINAL: Originals(jobs=jobs, images=images, intake=intake, judge=judge),
            Verb.PUBLISH: Publishing(
                client=client,
                jobs=jobs,
                images=images,
                deliverer=line.deliverer,
                intake=intake,
                judge=judge,
                private_jobs=kept.private_jobs,
            ),
        }
        self.forms: Mapping[str, Forms] = {**picture_forms, **dict.fromkeys(PANEL_FORMS, self.panels)}
