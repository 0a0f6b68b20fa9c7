"""What would become of a desk's wish right now: its plan, the time it takes, and whatever stands in its way."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.domain.ids import UserId
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.model_rules import Where
from bot.domain.models import NONE
from bot.domain.training.datasets import Folder, Picture
from bot.domain.training.planning import Plan, build_train, planned
from bot.domain.training.sampling import build_samples, default_samples
from bot.domain.training.wishes import NAME_CHARS_MAX, TrainingWish
from bot.errors import UserFacingError
from bot.storage.datasets import Datasets
from bot.storage.trainings import Trainings
from bot.studio.models import Models
from gpu_worker.language.training.parameters import SEED_MAX
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["Outlook", "Outlooks"]

_UNFIT = re.compile(r"[\x00-\x1f/\\:*?\"<>|,]+")
"""In a file's name, or in a prompt's tag of it."""

EstimateS = Callable[[str, float], float | None]


@dataclass(frozen=True, slots=True)
class Outlook:
    """`plan` and `sampled` are None where `problem` says why."""

    samples: tuple[str, ...]
    """Lines, those that the trigger word makes included."""
    plan: Plan | None = None
    sampled: Txt2Img | None = None
    """What an epoch draws, without its LoRA; None, too, without lines."""
    seconds: float | None = None
    """Of training, about; None before one was learnt from."""
    problem: UserFacingError | None = None
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the pictures, by the hashes of their files."""


class Outlooks:
    def __init__(
        self,
        *,
        datasets: Datasets,
        trainings: Trainings,
        models: Models,
        limits: Limits,
        steps_max: int,
        estimate_s: EstimateS,
        age_restricted: Callable[[Where], bool],
    ) -> None:
        self._datasets = datasets
        self._trainings = trainings
        self._models = models
        self._limits = limits
        self._steps_max = steps_max
        self._estimate_s = estimate_s
        self._age_restricted = age_restricted
        self._rng = random.SystemRandom()

    async def of(self, wish: TrainingWish, user_id: UserId, where: Where) -> Outlook:
        """Never raises UserFacingError: that is its `problem`."""
        samples: tuple[str, ...] = wish.samples or ()
        try:
            folders, pictures = await self._held(wish, user_id, where)
            samples = wish.samples or default_samples(wish, folders, pictures)
            facts = self._models.facts(where)
            seed = self._rng.randrange(SEED_MAX)
            spec = await asyncio.to_thread(build_train, wish, folders, pictures, facts, seed)
            if await self.is_taken(spec.output_name):
                raise UserFacingError("train_name_taken", name=spoken(spec.output_name))
            plan = await asyncio.to_thread(planned, spec, wish, pictures, self._steps_max)
            sampled = None
            if samples:
                sampled = build_samples(
                    samples, spec.checkpoint, spec.vae, spec.parameters.clip_skip, facts, self._limits
                )
        except UserFacingError as problem:
            return Outlook(samples, problem=problem)
        names = {one.sha256: one.name for one in pictures}
        return Outlook(samples, plan, sampled, self._estimate_s(spec.checkpoint, plan.units), names=names)

    async def _held(
        self, wish: TrainingWish, user_id: UserId, where: Where
    ) -> tuple[Sequence[Folder], Sequence[Picture]]:
        dataset = await self._datasets.get(wish.dataset_id) if wish.dataset_id else None
        if dataset is None or dataset.user_id != user_id:
            raise UserFacingError("train_dataset_gone")
        if dataset.nsfw and not self._age_restricted(where):  # its words and samples would stand here
            raise UserFacingError("dataset_elsewhere", name=spoken(dataset.name))
        return await self._datasets.folders(dataset.id), await self._datasets.pictures(dataset.id)

    async def free_name(self, wanted: str) -> str:
        """A name for the file, as near to `wanted` as one is free."""
        plain = _UNFIT.sub(" ", wanted).strip(" .")[: NAME_CHARS_MAX - 4].strip() or "lora"
        plain = "lora" if plain.casefold() == NONE.casefold() else plain
        name, n = plain, 2
        while await self.is_taken(name):
            name, n = f"{plain}-{n}", n + 1
        return name

    async def is_taken(self, name: str) -> bool:
        """By a LoRA of the library, even one that may not be used here, or by anybody's training: a prompt would not
        know which of the two it names."""
        folded = name.casefold()
        loras = [fact for fact in self._models.facts() if fact.kind == "lora" and fact.trained_in is None]
        if any(folded in (fact.name.casefold(), (fact.alias or "").casefold()) for fact in loras):
            return True
        return await self._trainings.name_taken(name)
