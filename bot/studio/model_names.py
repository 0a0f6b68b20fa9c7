"""Autocomplete of models: usable here, and in the order that is most likely wanted."""

from __future__ import annotations

from collections.abc import Sequence

from discord import app_commands

from bot.domain.model_ranking import Candidate, rank
from bot.domain.models import suits
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
        self, interaction: Interaction, kind: ModelKind, typed: str, *, more: Sequence[str] = ()
    ) -> list[app_commands.Choice[str]]:
        """At most 25. `more` are words that need no file; they stand before everything while nothing is typed."""
        where = where_of(interaction)
        facts = self._models.facts(where)
        usable = [fact for fact in facts if fact.kind == kind and fact.problem is None]
        files = {file.name: file for file in self._library.files(kind)}
        favourites = self._rules.favourites(where.guild_id)
        history = await self._library.history_of(where.user_id)
        default = self._models.defaults(where, facts).checkpoint or default_checkpoint(facts)
        chosen = getattr(interaction.namespace, "checkpoint", None) or default
        checkpoint = next((fact for fact in facts if (fact.kind, fact.name) == ("checkpoint", chosen)), None)
        candidates = [
            _candidate(
                fact,
                files.get(fact.name),
                favourites,
                own_uses=history.get((kind, fact.name), 0),
                fits=checkpoint is None or kind == "checkpoint" or suits(fact, checkpoint),
                marked=kind == "checkpoint" and fact.name == default,
            )
            for fact in usable
        ]
        words = [Candidate(word, marked=not typed.strip()) for word in more]
        found = rank(typed, [*candidates, *words], CHOICES_LIMIT)
        if not typed.strip():
            found = [*words, *(row for row in found if row not in words)][:CHOICES_LIMIT]
        return [_choice(row, files.get(row.name)) for row in found]

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
    value = row.name if len(row.name) <= NAME_LIMIT or file is None else f"{_BY_ID}{file.id}"
    shown = f"{_STAR}{row.name}" if row.favourite else row.name
    return app_commands.Choice(name=shown[:NAME_LIMIT], value=value[:NAME_LIMIT])
