"""What travels beside the frames of `messages.py`: manifests of outbox entries, their receipts, requests for inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_worker.protocol.messages import MODEL_BYTES_MAX
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES
from gpu_worker.protocol.specs import Wire

__all__ = ["ENTRY_FILE", "GONE", "HERE", "InputWanted", "Landed", "Manifest", "SentFile"]

ENTRY_FILE = "entry"
"""Suffix of the file that an entry itself becomes where it is too large for its manifest."""
HERE, GONE = b"+", b"-"
"""First byte of the answer to `InputWanted`; the chunk follows."""


class SentFile(Wire):
    name: str = Field(max_length=200)
    size_bytes: int = Field(ge=0, le=MODEL_BYTES_MAX)
    chunk_bytes: int = Field(default=CHUNK_BYTES, ge=1, le=16 * 2**20)

    @property
    def chunks(self) -> int:
        return -(-self.size_bytes // self.chunk_bytes)


class Manifest(Wire):
    """worker → mailbox: an outbox entry, whose files lie in the store by now."""

    v: int = 1
    entry: bytes | None = None
    """The message as it lies in the outbox; None where it is the last of the files."""
    files: tuple[SentFile, ...] = Field(default=(), max_length=1024)


class Landed(Wire):
    """bot → worker: it lies on the bot's own disk; or it did not arrive whole, and has to be sent again."""

    t: Literal["landed"] = "landed"
    entry: str
    whole: bool = True


class InputWanted(Wire):
    ref: str = Field(pattern=r"^[0-9a-f]{64}$")
    offset: int = Field(ge=0)
