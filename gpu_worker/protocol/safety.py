"""What a worker's classifier says of a picture. The bot decides what that means; an older worker says nothing."""

from __future__ import annotations

from pydantic import Field

from gpu_worker.protocol.specs import Wire

__all__ = ["Looked"]


class Looked(Wire):
    by: str
    """Name of the classifier, as in `Hello.safety`."""
    nude: float = Field(default=0.0, ge=0, le=1)
    """How certain it is of uncovered genitals, breasts or buttocks."""
    suggestive: float = Field(default=0.0, ge=0, le=1)
    """The same of underwear and the like; for the record alone."""
    failed: bool = False
    """It was asked and could not look."""
