"""What a transport is: it carries messages between dispatcher and workers and decides nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gpu_worker.protocol.messages import Assign, Done, Output, Partial, Settled, ToBot, ToWorker
from gpu_worker.protocol.specs import ImageRef

__all__ = ["BotTransport", "OnGone", "OnMessage", "WorkerGone"]


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """The transport knows for certain that a worker is dead (its process ended)."""

    worker: str
    sentence: str
    """For the operator's log."""


OnMessage = Callable[[ToBot], Awaitable[None]]
"""Returns only after the table commit, so a durable message may be dropped from the transport afterwards."""

OnGone = Callable[[WorkerGone], Awaitable[None]]


class BotTransport(Protocol):
    """The bot's end. Implementations pass tests/contract."""

    @property
    def connected(self) -> bool:
        """False while the bot itself is cut off: then nobody is blamed for silence."""
        ...

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None: ...

    async def stop(self) -> None:
        """Bounded; leaves durable messages where the next start finds them."""
        ...

    async def assign(self, worker: str, message: Assign) -> bool | None:
        """True accepted, False refused or nobody there, None unknown (keep the lease). Bounded."""
        ...

    async def send(self, worker: str, message: ToWorker) -> None:
        """Best effort, bounded, raises nothing."""
        ...

    async def fetch(self, done: Done | Partial, output: Output) -> Path:
        """A local file where the output's bytes are or were put; the caller checks their hash and may move it.

        Raises OSError where it may be there at the next try.
        """
        ...

    async def settled(self, message: Settled) -> None:
        """The table holds the end of this attempt: its outbox entry may go."""
        ...

    async def taken(self, part: Partial) -> None:
        """The table holds this part, or never will: its outbox entry may go."""
        ...

    async def put_file(self, path: Path, sha256: str, mime: str) -> ImageRef:
        """As `put_input`, for bytes that lie in a file of ours, which stays as it is. Raises OSError."""
        ...

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        """Puts an input picture where workers can read it; putting the same bytes twice gives the same ref."""
        ...
