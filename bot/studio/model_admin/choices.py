"""What the commands of /model-admin offer while somebody types."""

from __future__ import annotations

from discord import app_commands

from bot.domain.model_ranking import Candidate, rank
from bot.domain.shelves import base_of
from bot.i18n import Texts
from bot.library import Library, LibraryFile
from bot.storage.model_rules import ModelRules
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.model_admin.telling import texts_of
from bot.studio.model_names import ModelNames
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.commands import CHOICES_LIMIT, NAME_LIMIT, choices

__all__ = ["AdminChoices"]

Choices = list[app_commands.Choice[str]]


class AdminChoices:
    def __init__(
        self,
        library: Library,
        rules: ModelRules,
        names: ModelNames,
        catalogue: LiveCatalogue,
        stewards: Stewards,
    ) -> None:
        self._library = library
        self._rules = rules
        self._names = names
        self._catalogue = catalogue
        self._stewards = stewards

    def files(self, interaction: Interaction, typed: str, *, own: bool) -> Choices:
        """The value is a file's id: two kinds may have files of one name. With `own` what they may change alone."""
        steward = self._stewards.commands(interaction)
        if steward is None:
            return []
        files = [file for file in self._library.files() if not own or steward.may_touch(file)]
        favourites = self._rules.favourites(interaction.guild_id)
        candidates = [_candidate(file, favourite=file.id in favourites) for file in files]
        places = {id(candidate): file for candidate, file in zip(candidates, files, strict=True)}
        found = [places[id(row)] for row in rank(typed, candidates, CHOICES_LIMIT)]
        texts = texts_of(interaction)
        return [app_commands.Choice(name=_row_text(file, texts), value=file.id) for file in found]

    async def catalogue(self, typed: str) -> Choices:
        """Sets first, then all that can be installed."""
        catalogue = await self._catalogue.current()
        titles = {entry.key: f"{entry.key} · {entry.title}" for entry in catalogue.entries if entry.installable}
        sets = [name for name, entries in catalogue.sets.items() if any(entry.installable for entry in entries)]
        return [
            app_commands.Choice(name=titles.get(row.value, row.value)[:NAME_LIMIT], value=row.value)
            for row in choices(typed, [*sets, *titles])
        ]

    async def loras(self, interaction: Interaction, typed: str) -> Choices:
        """Several with commas: what stands before the last one is kept in front of each row."""
        before, comma, last = typed.rpartition(",")
        rows = await self._names.choices(interaction, "lora", last.strip())
        kept = f"{before}{comma} " if comma else ""
        found = [f"{kept}{self._names.named('lora', row.value)}" for row in rows]
        return [app_commands.Choice(name=text, value=text) for text in found if len(text) <= NAME_LIMIT]


def _row_text(file: LibraryFile, texts: Texts) -> str:
    return " · ".join(filter(None, (file.name, texts(f"kind.{file.kind}"), base_of(file))))[:NAME_LIMIT]


def _candidate(file: LibraryFile, *, favourite: bool) -> Candidate:
    words = " ".join(filter(None, (file.kind, file.title, base_of(file))))
    return Candidate(file.name, words=words, favourite=favourite, all_uses=file.times_used)
