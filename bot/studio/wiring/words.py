"""Wires what prompts are written with: wildcards, tags, their completion and the desks around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.domain.limits import Limits
from bot.dynamic.expander import Expander
from bot.dynamic.wildcards import WildcardBook
from bot.library import Library
from bot.storage.database import Database
from bot.storage.tag_boards import TagBoards
from bot.storage.tag_uses import TagUses
from bot.studio.attachments import Attachments
from bot.studio.completion import Completion
from bot.studio.dynamic import Dynamic
from bot.studio.habits import Habits
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.requests import Requests
from bot.studio.router import Forms
from bot.studio.safety.places import Places
from bot.studio.stewards import Stewards
from bot.studio.tag_board import TAG_FORMS, TAG_VERBS, TagBuilder
from bot.studio.wildcard_desk import WildcardDesk
from bot.tags.book import TagBook
from bot.ui.client import Presses

__all__ = ["WordDesks", "Words"]


class Words:
    """What every new job needs of them."""

    def __init__(self, *, data: Path, database: Database, models: Models, limits: Limits) -> None:
        self.wildcards = WildcardBook(data / "wildcards")
        self.dynamic = Dynamic(
            Expander(self.wildcards, longest_chars=limits.max_expanded_chars),
            self.wildcards,
            models,
            limits,
        )
        self.tag_book = TagBook(data / "tags")
        self.habits = Habits(self.tag_book, TagUses(database))


class WordDesks:
    """What answers people."""

    def __init__(
        self,
        *,
        words: Words,
        database: Database,
        models: Models,
        library: Library,
        places: Places,
        requests: Requests,
        intake: Intake,
        attachments: Attachments,
        stewards: Stewards,
    ) -> None:
        self.completion = Completion(
            words.tag_book,
            words.habits,
            words.wildcards,
            models,
            library,
            places.adult_allowed,
        )
        self.builder = TagBuilder(
            boards=TagBoards(database),
            completion=self.completion,
            wildcards=words.wildcards,
            requests=requests,
            intake=intake,
        )
        self.wildcards = WildcardDesk(words.wildcards, attachments, stewards)
        self.presses: Mapping[str, Presses] = dict.fromkeys(TAG_VERBS, self.builder)
        self.forms: Mapping[str, Forms] = dict.fromkeys(TAG_FORMS, self.builder)
