"""Saved epochs of trainings as LoRAs: in nobody's library, so there for their own people and for operators alone.

Whoever else names one is answered as for a name that nothing has. Held in memory: models are asked for while somebody
types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.domain.ids import JobId
from bot.storage.training_results import SavedName, TrainingResults
from gpu_worker.protocol.messages import ModelFact

__all__ = ["Unpublished"]


class Unpublished:
    def __init__(self, results: TrainingResults, operators: Iterable[int]) -> None:
        self._results = results
        self._operators = frozenset(operators)
        self._saved: dict[JobId, list[SavedName]] = {}

    async def load(self) -> None:
        saved: dict[JobId, list[SavedName]] = {}
        for one in await self._results.names():
            saved.setdefault(one.job_id, []).append(one)
        self._saved = saved

    async def look(self, job_id: JobId) -> None:
        """A file of this training came or went."""
        names = await self._results.names_of(job_id)
        if names:
            self._saved[job_id] = names
        else:
            self._saved.pop(job_id, None)

    def seen(self, facts: Sequence[ModelFact], viewer: int | None) -> tuple[ModelFact, ...]:
        """What of all models, as workers tell them, `viewer` sees; None: everything. A saved epoch is there as soon as
        its file is, whether or not a worker has looked since. One that is called like a LoRA of the library is not.
        To whoever may not see it a LoRA of the library has no second name that is its: a worker takes names first, and
        what is published of a training has the training's."""
        public = tuple(fact for fact in facts if fact.trained_in is None)
        if len(public) == len(facts) and not self._saved:
            return public
        others = self._others(viewer)
        public = tuple(
            fact.model_copy(update={"alias": None}) if fact.kind == "lora" and fact.alias in others else fact
            for fact in public
        )
        told = {(fact.trained_in, fact.name): fact for fact in facts if fact.trained_in is not None}
        taken = {fact.name.casefold() for fact in public if fact.kind == "lora"}
        bases = {fact.name: fact for fact in public if fact.kind == "checkpoint"}
        own = [
            told.get((one.job_id, one.name)) or _fact(one, bases.get(one.checkpoint))
            for names in self._saved.values()
            for one in names
            if self._may_see(one, viewer) and one.name.casefold() not in taken
        ]
        return (*public, *own)

    def hidden(self, facts: Sequence[ModelFact], viewer: int) -> set[str]:
        """Names and aliases of LoRAs that `viewer` may not name. Asked for each cell of a plot."""
        others = self._others(viewer)
        if not others:
            return set()
        aliases = {fact.name: fact.alias for fact in facts if fact.trained_in is not None and fact.alias}
        return {name for other in others for name in (other, aliases.get(other)) if name} - _called(
            self.seen(facts, viewer)
        )

    def _others(self, viewer: int | None) -> set[str]:
        """Names of those that `viewer` may not see."""
        return {one.name for names in self._saved.values() for one in names if not self._may_see(one, viewer)}

    def own(self, facts: Sequence[ModelFact], viewer: int) -> set[str]:
        """Names and aliases of the saved epochs that `viewer` may name."""
        return _called([fact for fact in self.seen(facts, viewer) if fact.trained_in is not None])

    def _may_see(self, one: SavedName, viewer: int | None) -> bool:
        return viewer is None or viewer == one.user_id or viewer in self._operators


def _fact(one: SavedName, base: ModelFact | None) -> ModelFact:
    family, context = (base.family, base.context) if base else (None, None)
    return ModelFact(kind="lora", name=one.name, family=family, context=context, trained_in=one.job_id)


def _called(facts: Sequence[ModelFact]) -> set[str]:
    loras = [fact for fact in facts if fact.kind == "lora"]
    return {name for fact in loras for name in (fact.name, fact.alias) if name}
