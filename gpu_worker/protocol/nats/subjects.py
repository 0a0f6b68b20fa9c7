"""Names on the broker. Each of a machine's subjects holds its name, so that its key can be allowed these alone.

A machine has one key and serves as a worker with each of its cards: `garage` with the first, `garage.2` with another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_worker.protocol.outbox import KEPT_SUFFIX, OUTBOX_SUFFIX

__all__ = [
    "CARDS_MAX", "CHUNK_BYTES", "Entry", "Subjects", "inbox_of", "is_embedded_name", "is_machine_name",
    "is_worker_name", "machine_and_card", "parse_entry", "worker_name",
]  # fmt: skip

CHUNK_BYTES = 512 * 1024
"""Of what is sent in chunks: below the broker's usual limit of 1 MiB a message."""

CARDS_MAX = 99

_MACHINE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_WORKER = re.compile(rf"({_MACHINE.pattern})(?:\.([2-9]|[1-9]\d))?")
_EMBEDDED = re.compile(r"[wt]\d+")
_ENTRY = re.compile(
    rf"([A-Za-z0-9_-]{{1,25}})\.(\d{{1,9}})(?:\.k(\d{{1,6}}){re.escape(KEPT_SUFFIX)}|{re.escape(OUTBOX_SUFFIX)})"
)


def is_embedded_name(name: str) -> bool:
    """Names of the workers that a bot starts itself."""
    return _EMBEDDED.fullmatch(name) is not None


def is_machine_name(name: str) -> bool:
    """It becomes a part of subjects, and of names of the bot's folders."""
    return _MACHINE.fullmatch(name) is not None


def is_worker_name(name: str) -> bool:
    """A machine's, with the number of its card where that is not the first."""
    return _WORKER.fullmatch(name) is not None


def worker_name(machine: str, card: int) -> str:
    """`card` counts from 1, to `CARDS_MAX`."""
    return machine if card == 1 else f"{machine}.{card}"


def machine_and_card(worker: str) -> tuple[str, int]:
    """Raises ValueError for what is no worker's name."""
    found = _WORKER.fullmatch(worker)
    if found is None:
        raise ValueError(f"{worker!r} is no worker's name")
    return found[1], int(found[2] or 1)


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

    def every(self, kind: str) -> str:
        """All workers' subjects of one kind: `ev`, `get`."""
        return f"{self.prefix}.{kind}.*.*"

    def commands(self, worker: str) -> str:
        """Bot → worker; an assignment is a request there."""
        return self._of("cmd", worker)

    def events(self, worker: str) -> str:
        """Worker → bot, lossy."""
        return self._of("ev", worker)

    def entry(self, worker: str, name: str) -> str:
        """Worker → mailbox; `name` is the entry's file name, or `>`."""
        return f"{self._of('fin', worker)}.{name}"

    def chunk(self, worker: str, file: str, number: int | str) -> str:
        """Worker → store; `number` counts from 0, or is `>`."""
        return f"{self._of('blob', worker)}.{file}.{number}"

    def inputs(self, worker: str) -> str:
        """Worker → bot, a request for a chunk of an input or a model."""
        return self._of("get", worker)

    def worker_of(self, subject: str) -> str:
        """Who sent it: the broker has checked the machine where keys are used. Perhaps no worker's name."""
        _, machine, card, *_ = [*subject.removeprefix(f"{self.prefix}.").split("."), "", ""]
        return machine if card == "1" else f"{machine}.{card}"

    def entry_of(self, subject: str) -> str:
        return subject.removeprefix(f"{self.prefix}.").split(".", 3)[3]

    def permissions(self, machine: str, inbox: str) -> dict[str, list[str]]:
        """All that a machine's key has to be allowed; beside it, one answer to each request (`allow_responses`)."""
        publish = [f"{self.prefix}.{kind}.{machine}.{rest}" for kind, rest in _SENT]
        return {"publish": publish, "subscribe": [f"{self.prefix}.cmd.{machine}.*", f"{inbox}.>"]}

    def _of(self, kind: str, worker: str) -> str:
        machine, _, card = worker.partition(".")
        return f"{self.prefix}.{kind}.{machine}.{card or 1}"


_SENT = (("ev", "*"), ("fin", ">"), ("blob", ">"), ("get", "*"))


def inbox_of(machine: str) -> str:
    """Prefix of the subjects on which a machine awaits answers; the usual one would let it hear everybody's."""
    return f"_INBOX_{machine}"
