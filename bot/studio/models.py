"""Which models a user may name: what the live workers say, and before any has spoken (they load torch for
seconds), what the library says."""

from __future__ import annotations

from collections.abc import Sequence

from bot.dispatch.dispatcher import Dispatcher
from bot.domain.model_rules import Where, defaults_at, is_enabled
from bot.domain.models import DISABLED, names_of
from bot.domain.parameters import Parameters
from bot.library import Library, LibraryFile
from bot.storage.model_rules import ModelRules
from bot.studio.unpublished import Unpublished
from gpu_worker.protocol.messages import ModelFact, ModelKind, Prediction

__all__ = ["Models"]


class Models:
    def __init__(
        self, dispatcher: Dispatcher, *, library: Library, rules: ModelRules, unpublished: Unpublished | None = None
    ) -> None:
        self._unpublished = unpublished
        self._library = library
        self._rules = rules
        self._dispatcher = dispatcher

    def facts(self, where: Where | None = None) -> tuple[ModelFact, ...]:
        """With `where`, what is disabled there has that as its problem: it stands in no list, and who types it is told
        why it cannot be used. What others have trained and not published is not there at all."""
        facts = self._everything()
        if self._unpublished is not None:
            facts = self._unpublished.seen(facts, where.user_id if where is not None else None)
        disabled = self.disabled(where) if where is not None else None
        if not disabled:
            return facts
        return tuple(
            fact.model_copy(update={"problem": DISABLED}) if _hidden(fact, disabled) else fact for fact in facts
        )

    def hidden(self, where: Where) -> set[str]:
        """Names of LoRAs that this person may not even know of: saved epochs of others' trainings."""
        return self._unpublished.hidden(self._everything(), where.user_id) if self._unpublished is not None else set()

    def unpublished(self, user_id: int) -> set[str]:
        """Names of LoRAs that this person may draw with as saved epochs: they were learnt from given pictures, and
        nobody has vouched for them yet."""
        return self._unpublished.own(self._everything(), user_id) if self._unpublished is not None else set()

    def _everything(self) -> tuple[ModelFact, ...]:
        return self._dispatcher.models() or self._library.facts()

    def disabled(self, where: Where) -> set[tuple[ModelKind, str]]:
        """Kind and name of what may not be used there; no I/O."""
        rules = self._rules.rules
        return {
            (file.kind, file.name)
            for file in self._library.files()
            if (file.added_in is not None or file.id in rules.by_file) and not is_enabled(file, where, rules)
        }

    def defaults(self, where: Where, facts: Sequence[ModelFact]) -> Parameters:
        """What the server, or this channel, draws with where a member says nothing. `facts` are those of `where`."""
        usable: dict[str, frozenset[str]] = {
            "checkpoint": frozenset(names_of("checkpoint", facts)),
            "vae": frozenset(names_of("vae", facts)),
        }
        return defaults_at(where, self._rules.defaults, usable)

    def measured(self, file: LibraryFile) -> Prediction | None:
        """What a live worker's probe told of a checkpoint that does not say it itself."""
        facts = self._dispatcher.models()
        return next((fact.prediction for fact in facts if (fact.kind, fact.name) == (file.kind, file.name)), None)

    def names(self, kind: ModelKind, where: Where | None = None) -> list[str]:
        """Usable ones only."""
        return names_of(kind, self.facts(where))


def _hidden(fact: ModelFact, disabled: set[tuple[ModelKind, str]]) -> bool:
    return fact.problem is None and (fact.kind, fact.name) in disabled
