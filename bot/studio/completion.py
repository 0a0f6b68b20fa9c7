"""What a prompt can go on with while it is typed: tags, wildcards, LoRAs, embeddings, flags; as a list of whole values.

A choice replaces everything that stands in the option, and Discord shows its name there to be typed on from; so name
and value are the same text. Both hold 100 characters: what is longer is completed in `tags`, or in the panel of /tags.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from discord import app_commands

from bot.domain.content import judge
from bot.domain.flags import FLAGS
from bot.domain.model_rules import Where
from bot.domain.tag_texts import Piece, inserted, piece_of
from bot.domain.tag_uses import lifted
from bot.dynamic.wildcards import WildcardBook
from bot.library import Library
from bot.studio.habits import Habits
from bot.studio.models import Models
from bot.studio.where import where_of
from bot.tags.book import LOOK_EVERY_S, TagBook
from bot.ui.client import Interaction
from bot.ui.commands import CHOICES_LIMIT

__all__ = ["VALUE_LIMIT", "Completion", "Offer"]

VALUE_LIMIT = 100
EMBEDDINGS = 3
"""Of them among the tags; `<e:` lists all."""
_LORA = ("", "l", "lo", "lor", "lora", "lyco")
_EMBEDDING = ("", "e", "emb", "embedding", "ti")


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that can be put into a prompt; `kind` as `inserted` takes it."""

    name: str
    kind: str
    weight: float = 1


class Completion:
    def __init__(
        self,
        tags: TagBook,
        habits: Habits,
        wildcards: WildcardBook,
        models: Models,
        library: Library,
        adult_allowed: Callable[[Where], bool],
    ) -> None:
        self._adult_allowed = adult_allowed
        self.tags = tags
        self._habits = habits
        self._wildcards = wildcards
        self._models = models
        self._library = library
        self._names: dict[int | None, tuple[float, list[str]]] = {}
        """Of wildcards, by server, and when they were read."""

    async def choices(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """Whole values for the option; what is there now comes first, so that nobody loses it with the return key."""
        self.tags.look()
        if len(current) > VALUE_LIMIT or not current.strip():
            return []
        piece = piece_of(current)
        where = where_of(interaction)
        adult = self._adult_allowed(where)
        values = [current, *self._values(current, piece, await self.offers(piece, where), adult=adult)]
        kept = [value for value in dict.fromkeys(values) if len(value) <= VALUE_LIMIT]
        return [app_commands.Choice(name=value, value=value) for value in kept[:CHOICES_LIMIT]] if len(kept) > 1 else []

    async def offers(self, piece: Piece, where: Where, limit: int = CHOICES_LIMIT) -> list[Offer]:
        """What fits, best first, without what no picture may be steered toward."""
        match piece.kind:
            case "flag" | "none":
                return []
            case "network":
                return self._networks(piece.typed, where, limit)
            case "wildcard":
                names = await self.wildcards(where)
                return [Offer(name, "wildcard") for name in self.ranked(piece.typed, names)][:limit]
            case _:
                found = [Offer(name, "tag") for name in await self._tags(piece, where.user_id, limit)]
                offers = [*self.models("embedding", piece.typed, where)[:EMBEDDINGS], *found]
                adult = self._adult_allowed(where)
                return [offer for offer in offers[:limit] if may_be_offered(offer.name, adult=adult)]

    async def _tags(self, piece: Piece, user_id: int, limit: int) -> list[str]:
        """By rank, but for what this person uses often."""
        index = self.tags.index
        # What has several words may be a sentence, which resembles many tags.
        found = [hit.tag for hit in index.search(piece.typed, limit, alike=piece.word in ("", piece.typed))]
        uses = await self._habits.of(user_id)
        if uses:
            own = (tag for name in uses if (tag := index.named(name)) is not None and index.fits(tag, piece.typed))
            found += [tag for tag in own if tag not in found]
        return lifted([(tag.name, tag.count) for tag in found], uses)

    def _values(self, text: str, piece: Piece, offers: Sequence[Offer], *, adult: bool) -> Iterator[str]:
        for offer in offers:
            yield inserted(text, piece.start, len(text), offer.name, offer.kind, weight=offer.weight)[0].rstrip()
        if piece.kind == "tag" and piece.word and piece.word != piece.typed:
            # The whole may be a sentence; then its last word is what a tag begins with.
            for hit in self.tags.index.search(piece.word):
                if may_be_offered(hit.tag.name, adult=adult):
                    yield inserted(text, piece.word_start, len(text), hit.tag.name)[0].rstrip()
        if piece.kind == "flag":
            typed = text[text.rstrip().rfind(" ") + 1 :].lstrip("-—–―")
            names = (flag.names[0] for flag in FLAGS)
            for name in self.ranked(typed, [*names]):
                yield f"{text[: len(text) - len(typed)].rstrip('—–―-')}--{name}"

    def _networks(self, typed: str, where: Where, limit: int) -> list[Offer]:
        kind, colon, name = typed.removeprefix("<").partition(":")
        kind, name = kind.casefold(), name if colon else ""
        found: list[Offer] = []
        if kind in _LORA:
            found += self.models("lora", name, where)
        if kind in _EMBEDDING:
            found += self.models("embedding", name, where)
        return found[:limit]

    def models(self, kind: Literal["lora", "embedding"], typed: str, where: Where) -> list[Offer]:
        """Those that may be used there."""
        names = self.ranked(typed, self._models.names(kind, where))
        return [Offer(name, kind, self.weight(name) if kind == "lora" else 1) for name in names]

    def may_be_offered(self, tag: str, where: Where) -> bool:
        return may_be_offered(tag, adult=self._adult_allowed(where))

    def weight(self, lora: str) -> float:
        """The one that the file's notes ask for."""
        file = next((file for file in self._library.files("lora") if file.name == lora), None)
        try:
            return float(file.metadata.get("preferred_weight", 1)) if file else 1
        except (TypeError, ValueError):
            return 1

    @staticmethod
    def ranked(typed: str, names: Sequence[str]) -> list[str]:
        """Those that begin with it, then those that hold it."""
        wanted = typed.casefold()
        begin = [name for name in names if name.casefold().startswith(wanted)]
        return [*begin, *(name for name in names if wanted in name.casefold() and name not in begin)]

    async def wildcards(self, where: Where) -> list[str]:
        """Names, as they were some seconds ago at most."""
        guild_id = where.guild_id
        known, now = self._names.get(guild_id), time.monotonic()
        if known is None or now - known[0] > LOOK_EVERY_S:
            known = self._names[guild_id] = (now, await asyncio.to_thread(self._wildcards.names, guild_id))
        return known[1]


def may_be_offered(tag: str, *, adult: bool) -> bool:
    """Nothing is suggested that the rules refuse as a prompt; `adult`: where adult content is allowed."""
    return judge(tag.replace("_", " "), adult_allowed=adult).allowed
