"""Autocomplete of models: usable here, and in the order that is most likely wanted."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from discord import app_commands

from bot.domain.lora_list import complete_loras, last_lora
from bot.domain.model_ranking import Candidate, rank
from bot.domain.model_rules import Where
from bot.domain.models import names_of, suits
from bot.domain.shelves import base_of
from bot.library import Library, LibraryFile
from bot.storage.model_rules import ModelRules
from bot.studio.models import Models
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import CHOICES_LIMIT, NAME_LIMIT
from gpu_worker.language.models import default_checkpoint
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = ["ModelNames"]

_BY_ID = "#"
"""Begins a value that is a file's id, because its name is too long for Discord."""
_STAR = "⭐ "


class ModelNames:
    def __init__(self, models: Models, library: Library, rules: ModelRules) -> None:
        self._models = models
        self._library = library
        self._rules = rules

    async def choices(
        self,
        interaction: Interaction,
        kind: ModelKind,
        typed: str,
        *,
        more: Sequence[str] = (),
        only: Collection[str] | None = None,
    ) -> list[app_commands.Choice[str]]:
        """At most 25. `more` are words that need no file; they stand before everything while nothing is typed. `only`
        leaves out every other name."""
        words = [Candidate(word, marked=not typed.strip()) for word in more]
        chosen = getattr(interaction.namespace, "checkpoint", None)
        found = await self.ranked(where_of(interaction), kind, typed, checkpoint=chosen, words=words, only=only)
        if not typed.strip():
            found = [*words, *(row for row in found if row not in words)][:CHOICES_LIMIT]
        files = {file.name: file for file in self._library.files(kind)}
        return [_choice(row, files.get(row.name)) for row in found]

    async def ranked(
        self,
        where: Where,
        kind: ModelKind,
        typed: str,
        *,
        checkpoint: str | None = None,
        words: Sequence[Candidate] = (),
        limit: int = CHOICES_LIMIT,
        only: Collection[str] | None = None,
    ) -> list[Candidate]:
        """Usable ones; what does not fit `checkpoint`, or else the default one, comes last."""
        facts = self._models.facts(where)
        usable = [fact for fact in facts if fact.kind == kind and fact.problem is None]
        usable = usable if only is None else [fact for fact in usable if fact.name in only]
        files = {file.name: file for file in self._library.files(kind)}
        favourites = self._rules.favourites(where.guild_id)
        history = await self._library.history_of(where.user_id)
        default = self._models.defaults(where, facts).checkpoint or default_checkpoint(facts)
        chosen = checkpoint or default
        draws = next((fact for fact in facts if (fact.kind, fact.name) == ("checkpoint", chosen)), None)
        candidates = [
            _candidate(
                fact,
                files.get(fact.name),
                favourites,
                own_uses=history.get((kind, fact.name), 0),
                fits=draws is None or kind == "checkpoint" or suits(fact, draws),
                marked=kind == "checkpoint" and fact.name == default,
            )
            for fact in usable
        ]
        return rank(typed, [*candidates, *words], limit)

    def value(self, kind: ModelKind, name: str) -> str:
        """What `named` takes for this name, within what Discord takes."""
        file = next((file for file in self._library.files(kind) if file.name == name), None)
        return _value(name, file)

    async def lora_lines(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """For an option that takes several LoRAs: what its whole text may become."""
        names = names_of("lora", self._models.facts(where_of(interaction)))
        rows = await self.choices(interaction, "lora", last_lora(typed, names))
        found = [row.value for row in rows]
        lines = complete_loras(typed, names, lambda _, left: [name for name in found if name in left], CHOICES_LIMIT)
        shown = {row.value: row.name for row in rows}
        # A name too long for Discord goes by its id, and alone.
        lines += [value for value in found if value.startswith(_BY_ID) and "," not in typed]
        return [app_commands.Choice(name=shown.get(line, line), value=line) for line in lines[:CHOICES_LIMIT]]

    def named(self, kind: ModelKind, value: str | None) -> str | None:
        """What a chosen row names; anything else is given back as it was typed."""
        file = self._library.get(value.removeprefix(_BY_ID)) if value and value.startswith(_BY_ID) else None
        return file.name if file is not None and file.kind == kind else value


def _candidate(
    fact: ModelFact,
    file: LibraryFile | None,
    favourites: frozenset[str],
    *,
    own_uses: int,
    fits: bool,
    marked: bool,
) -> Candidate:
    words = () if file is None else (file.title, base_of(file), *file.trigger_words[:10])
    return Candidate(
        name=fact.name,
        words=" ".join(filter(None, (fact.alias, *words))),
        favourite=file is not None and file.id in favourites,
        own_uses=own_uses,
        all_uses=file.times_used if file else 0,
        fits=fits,
        marked=marked,
    )


def _choice(row: Candidate, file: LibraryFile | None) -> app_commands.Choice[str]:
    value = _value(row.name, file)
    shown = f"{_STAR}{row.name}" if row.favourite else row.name
    return app_commands.Choice(name=shown[:NAME_LIMIT], value=value[:NAME_LIMIT])


def _value(name: str, file: LibraryFile | None) -> str:
    return name if len(name) <= NAME_LIMIT or file is None else f"{_BY_ID}{file.id}"
