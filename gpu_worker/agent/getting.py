"""How the parts of this machine that fetch ask the bot."""

from __future__ import annotations

from typing import Protocol

from gpu_worker.protocol.nats.mail import Wanted

__all__ = ["Get"]


class Get(Protocol):
    async def __call__(self, wanted: Wanted) -> bytes:
        """A chunk, at most `CHUNK_BYTES`: a request on `Subjects.inputs` of any card of this machine, its answer read
        by `mail.chunk_of`. Raises FileNotFoundError where the bot does not give it, and any other OSError
        (LinkDownError) where there was no answer; then it is asked again."""
        ...
