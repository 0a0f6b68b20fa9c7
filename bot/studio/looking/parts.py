"""Puts the parts together that begin with a finished picture."""

from __future__ import annotations

import discord

from bot.domain.limits import Limits
from bot.storage.database import Database
from bot.storage.facts import Timings
from bot.storage.finds import Finds
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.styles import Styles
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.looking.blending import ImagePrompting
from bot.studio.looking.describing import Describing
from bot.studio.looking.desk import LOOKING_FORMS, LOOKING_VERBS, Looking
from bot.studio.looking.enlarging import Enlarging
from bot.studio.looking.pointed import Pointed
from bot.studio.looking.sight import Sight
from bot.studio.looking.tiling import Tiling
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.reading import PictureReader
from bot.studio.requests import Requests
from bot.studio.usual import Usuals
from bot.studio.wardrobe import Wardrobe

__all__ = ["LookingParts"]


class LookingParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        database: Database,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        styles: Styles,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        usuals: Usuals,
        wardrobe: Wardrobe,
        panels: Panels,
        limits: Limits,
        timings: Timings,
    ) -> None:
        self.requests = Requests(models=models, usuals=usuals, wardrobe=wardrobe, limits=limits)
        self.pointed = Pointed(client=client, jobs=jobs, images=images, inputs=inputs, attachments=attachments)
        self.sight = Sight(jobs=jobs, images=images, pointed=self.pointed, intake=intake)
        reader = PictureReader()
        self.describing = Describing(
            pointed=self.pointed, attachments=attachments, requests=self.requests, intake=intake, models=models
        )
        self.enlarging = Enlarging(
            pointed=self.pointed,
            attachments=attachments,
            reader=reader,
            requests=self.requests,
            intake=intake,
            models=models,
            limits=limits,
        )
        self.tiling = Tiling(
            pointed=self.pointed,
            attachments=attachments,
            reader=reader,
            requests=self.requests,
            intake=intake,
            models=models,
            limits=limits,
            jobs=jobs,
            images=images,
            timings=timings,
        )
        self.prompting = ImagePrompting(
            pointed=self.pointed, attachments=attachments, requests=self.requests, intake=intake, models=models
        )
        self.desk = Looking(
            finds=Finds(database),
            jobs=jobs,
            styles=styles,
            pointed=self.pointed,
            reader=reader,
            requests=self.requests,
            models=models,
            panels=panels,
            describing=self.describing,
            enlarging=self.enlarging,
            prompting=self.prompting,
            tiling=self.tiling,
        )
        self.presses = dict.fromkeys(LOOKING_VERBS, self.desk)
        self.forms = dict.fromkeys(LOOKING_FORMS, self.desk)
