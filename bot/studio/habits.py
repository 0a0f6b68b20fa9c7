"""Tags that people draw with again and again, counted from what they ask for."""

from __future__ import annotations

import logging

from bot.domain.tag_uses import tags_of
from bot.storage.tag_uses import TagUses
from bot.tags.book import TagBook
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Habits"]

log = logging.getLogger(__name__)


class Habits:
    def __init__(self, tags: TagBook, uses: TagUses) -> None:
        self._tags = tags
        self._uses = uses

    async def used(self, spec: JobSpec, user_id: int) -> None:
        """Never raises: a picture is worth more than the order of suggestions."""
        try:
            index = self._tags.index
            named = (index.named(text) for text in tags_of(spec.prompt))
            names = [tag.name for tag in named if tag is not None]
            if names:
                await self._uses.count(user_id, names)
        except Exception:
            log.exception("the tags of a prompt could not be counted")

    async def of(self, user_id: int) -> dict[str, int]:
        return await self._uses.of(user_id)
