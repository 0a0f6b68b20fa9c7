"""What travels beside the frames of `messages.py`: manifests of outbox entries, their receipts, requests for inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_worker.protocol.messages import MODEL_BYTES_MAX, MODEL_FILE_BYTES_MAX
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES
from gpu_worker.protocol.specs import Wire

__all__ = [
    "ENTRY_FILE", "GONE", "HERE", "INLINE_BYTES", "InputWanted", "Landed", "Manifest", "ModelWanted", "SentFile",
    "Wanted", "chunk_of", "parse_wanted",
]  # fmt: skip

ENTRY_FILE = "entry"
"""Suffix of the file that an entry itself becomes where it is too large for its manifest."""
INLINE_BYTES = 256 * 1024
"""So much of an entry and its small files goes in the manifest itself: the broker writes it to its disk once, and has
nothing else to write and to clear away."""
HERE, GONE = b"+", b"-"
"""First byte of the answer to a `Wanted`; the chunk follows."""


class SentFile(Wire):
    name: str = Field(max_length=200)
    size_bytes: int = Field(ge=0, le=MODEL_BYTES_MAX)
    chunk_bytes: int = Field(default=CHUNK_BYTES, ge=1, le=16 * 2**20)
    data: bytes | None = None
    """All of a small one, which then has no chunks."""

    @property
    def chunks(self) -> int:
        return -(-self.size_bytes // self.chunk_bytes) if self.data is None else 0


class Manifest(Wire):
    """worker → mailbox: an outbox entry, whose files lie in the store by now, but for small ones."""

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
    """worker → bot: a chunk of an input, from `offset`."""

    t: Literal["input"] = "input"
    ref: str = Field(pattern=r"^[0-9a-f]{64}$")
    offset: int = Field(ge=0, le=MODEL_FILE_BYTES_MAX)


class ModelWanted(Wire):
    """worker → bot: a chunk of a file of the bot's library that a job of this machine needs."""

    t: Literal["model"] = "model"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    offset: int = Field(ge=0, le=MODEL_FILE_BYTES_MAX)


Wanted = InputWanted | ModelWanted


def parse_wanted(raw: dict[str, object]) -> Wanted:
    """Raises pydantic.ValidationError."""
    return (ModelWanted if raw.get("t") == "model" else InputWanted).model_validate(raw)


def chunk_of(answer: bytes) -> bytes:
    """Raises FileNotFoundError where the bot does not give it."""
    if answer[:1] != HERE:
        raise FileNotFoundError("the bot does not give this")
    return answer[1:]
