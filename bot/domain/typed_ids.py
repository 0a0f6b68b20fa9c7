"""Discord's ids as people type them. Pure."""

from __future__ import annotations

from bot.errors import UserFacingError

__all__ = ["server_id"]

_BITS = 63
"""What the database holds."""


def server_id(text: str) -> int:
    """Raises UserFacingError (`server_id_unreadable`)."""
    wanted = text.strip()
    if not (wanted.isascii() and wanted.isdecimal()) or int(wanted) >= 1 << _BITS:
        raise UserFacingError("server_id_unreadable")
    return int(wanted)
