"""A small picture that shows whether a model works, before it is enabled."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import DISABLED, suits
from bot.domain.parameters import Parameters
from bot.domain.shelves import trained_words
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.library import LibraryFile
from bot.storage.model_audit import ModelAudit, ModelTest
from bot.studio.intake import Intake
from bot.studio.model_admin.files import entry_of
from bot.studio.models import Models
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.language.models import default_checkpoint
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = ["TESTABLE", "Trials", "trial_options"]

PROMPT = "a red apple on a blue background"
STEPS = 12
TESTABLE: frozenset[ModelKind] = frozenset({"checkpoint", "vae", "lora", "embedding", "upscaler"})
"""Kinds that a picture shows by themselves."""


class Trials:
    def __init__(self, models: Models, intake: Intake, audit: ModelAudit, limits: Limits) -> None:
        self._models = models
        self._intake = intake
        self._audit = audit
        self._limits = limits
        self._rng = random.SystemRandom()

    async def draw(self, interaction: Interaction, file: LibraryFile, steward: Steward) -> None:
        """A job as any other, except that the tested model need not be enabled. Raises UserFacingError: those of
        `trial_options`, and whatever refuses a job."""
        everything = self._models.facts()
        tested = next((fact for fact in everything if (fact.kind, fact.name) == (file.kind, file.name)), None)
        if tested is None:
            raise UserFacingError("model_not_ready", name=spoken(file.name))
        facts = tuple(
            tested if (fact.kind, fact.name) == (file.kind, file.name) else fact
            for fact in self._models.facts(where_of(interaction))
        )
        options = trial_options(file, tested, facts)
        built = build_imagine(options, facts=facts, limits=self._limits, rng=self._rng)
        job_id = await self._intake.begin(interaction, built.spec, Action.TEST, exempt={(file.kind, file.name)})
        if job_id is not None:
            await self._audit.add_test(ModelTest(job_id, file.id, steward.place))
            await self._audit.add(entry_of("test", steward, file))


def trial_options(file: LibraryFile, tested: ModelFact, facts: tuple[ModelFact, ...]) -> ImagineOptions:
    """Raises UserFacingError: `model_damaged`, `model_untestable`, `model_no_checkpoint`."""
    name = spoken(file.name)
    if tested.problem not in (None, DISABLED):
        raise UserFacingError("model_damaged", name=name)
    wishes: dict[str, Any] = {"steps": STEPS, "count": 1}
    if file.kind == "checkpoint":
        return ImagineOptions(PROMPT, wishes=Parameters(checkpoint=file.name, **wishes))
    if file.kind not in TESTABLE:
        raise UserFacingError("model_untestable", name=name)
    partner = _partner(tested, facts)
    if partner is None:
        raise UserFacingError("model_no_checkpoint", name=name)
    options = ImagineOptions(PROMPT, wishes=Parameters(checkpoint=partner, **wishes))
    match file.kind:
        case "vae":
            return replace(options, wishes=replace(options.wishes, vae=file.name))
        case "upscaler":
            return replace(options, wishes=replace(options.wishes, hires_upscaler=file.name, hires_scale=1.5))
        case "lora":
            return replace(options, loras=(file.name,), words=", ".join(trained_words(file)))
        case _:
            return replace(options, words=file.name)


def _partner(tested: ModelFact, facts: tuple[ModelFact, ...]) -> str | None:
    """The default checkpoint, if the model fits it, else the first that it fits."""
    default = default_checkpoint(facts)
    usable = [fact for fact in facts if fact.kind == "checkpoint" and fact.problem is None]
    for fact in sorted(usable, key=lambda fact: (fact.name != default, fact.variant is not None)):
        if suits(tested, fact):
            return fact.name
    return None
