"""Names on the broker. Each of a worker's subjects holds its name, so that a key can be allowed these and no others."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_worker.protocol.outbox import KEPT_SUFFIX, OUTBOX_SUFFIX

__all__ = ["CHUNK_BYTES", "Entry", "Subjects", "inbox_of", "is_embedded_name", "is_worker_name", "parse_entry"]

CHUNK_BYTES = 512 * 1024
"""Of what is sent in chunks: below the broker's usual limit of 1 MiB a message."""

_WORKER = re.compile(r"[A-Za-z0-9_-]{1,32}")
_EMBEDDED = re.compile(r"[wt]\d+")
_ENTRY = re.compile(
    rf"([A-Za-z0-9_-]{{1,25}})\.(\d{{1,9}})(?:\.k(\d{{1,6}}){re.escape(KEPT_SUFFIX)}|{re.escape(OUTBOX_SUFFIX)})"
)


def is_embedded_name(name: str) -> bool:
    """Names of the workers that a bot starts itself."""
    return _EMBEDDED.fullmatch(name) is not None


def is_worker_name(name: str) -> bool:
    """It becomes a part of subjects and a folder of the bot's."""
    return _WORKER.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """An outbox entry by its name: the end of an attempt, or a part of it."""

    job: str
    attempt: int
    part: int | None


def parse_entry(name: str) -> Entry | None:
    found = _ENTRY.fullmatch(name)
    if found is None:
        return None
    return Entry(found[1], int(found[2]), int(found[3]) if found[3] is not None else None)


@dataclass(frozen=True, slots=True)
class Subjects:
    prefix: str = "pincel"
    """One bot's; several bots can share a broker under different ones."""

    @property
    def mailbox(self) -> str:
        """Name of the stream that holds entries until the bot has them."""
        return f"{self.prefix.upper()}_FIN"

    @property
    def store(self) -> str:
        """Name of the stream that holds the chunks of their files."""
        return f"{self.prefix.upper()}_BLOB"

    def commands(self, worker: str) -> str:
        """Bot → worker; an assignment is a request there."""
        return f"{self.prefix}.cmd.{worker}"

    def events(self, worker: str) -> str:
        """Worker → bot, lossy."""
        return f"{self.prefix}.ev.{worker}"

    def entry(self, worker: str, name: str) -> str:
        """Worker → mailbox; `name` is the entry's file name, or `>`."""
        return f"{self.prefix}.fin.{worker}.{name}"

    def chunk(self, worker: str, file: str, number: int | str) -> str:
        """Worker → store; `number` counts from 0, or is `>`."""
        return f"{self.prefix}.blob.{worker}.{file}.{number}"

    def inputs(self, worker: str) -> str:
        """Worker → bot, a request for a chunk of an input."""
        return f"{self.prefix}.get.{worker}"

    def worker_of(self, subject: str) -> str:
        """Who sent it: the broker has checked it where keys are used."""
        return subject.removeprefix(f"{self.prefix}.").split(".")[1]

    def entry_of(self, subject: str) -> str:
        return subject.removeprefix(f"{self.prefix}.").split(".", 2)[2]

    def permissions(self, worker: str, inbox: str) -> dict[str, list[str]]:
        """All that a worker's key has to be allowed; beside it, one answer to each request (`allow_responses`)."""
        publish = [self.events(worker), self.entry(worker, ">"), f"{self.prefix}.blob.{worker}.>", self.inputs(worker)]
        return {"publish": publish, "subscribe": [self.commands(worker), f"{inbox}.>"]}


def inbox_of(worker: str) -> str:
    """Prefix of the subjects on which a worker awaits answers; the usual one would let it hear everybody's."""
    return f"_INBOX_{worker}"
