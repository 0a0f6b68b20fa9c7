"""What the person at the shell is told."""

from __future__ import annotations

__all__ = ["BadInputError"]


class BadInputError(Exception):
    """Its text is the sentence for the user, with the next step."""
