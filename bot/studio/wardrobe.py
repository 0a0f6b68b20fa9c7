"""The styles that somebody may name."""

from __future__ import annotations

from bot.domain.ids import UserId
from bot.domain.model_rules import Where
from bot.domain.preferences import Level
from bot.storage.styles import Styles

__all__ = ["Wardrobe"]


class Wardrobe:
    def __init__(self, styles: Styles) -> None:
        self._styles = styles

    async def check(self, where: Where, level: Level, names: str) -> str:
        """Names separated by commas, as they are spelt. Raises UserFacingError (`style_unknown`)."""
        found = [await self._styles.get(UserId(where.user_id), name) for name in names.split(",") if name.strip()]
        return ", ".join(style.name for style in found)
