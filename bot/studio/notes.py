"""What a user is told beside a card or in a panel, within what Discord takes."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.notes import Note
from bot.i18n import Texts

__all__ = ["joined", "told"]

_CUT = "…"


def told(notes: Sequence[Note], texts: Texts) -> list[str]:
    return [texts(f"note.{note.key}", **note.values) for note in notes]


def joined(notes: Sequence[str], limit_chars: int, before: str = "") -> str:
    """One a line, each behind `before`; cut where they are too many or too long."""
    text = "\n".join(before + note for note in notes)
    return text if len(text) <= limit_chars else text[: limit_chars - len(_CUT)] + _CUT
