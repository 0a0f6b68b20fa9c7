"""Files of a broker that we look after: what it reads, and beside it what only the bot does.

The authority's key and the seeds lie in a folder of their own, because the broker's may be shared with a container.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.addresses import Listener
from bot.broker import configuration
from bot.broker.certificates import Pair, new_authority, new_certificate, serves
from bot.broker.configuration import ServerKind
from bot.broker.seeds import is_public_key, is_seed, new_seed, public_key
from gpu_worker.protocol.nats.subjects import Subjects, is_machine_name

__all__ = ["AuthorityDamagedError", "BrokerFolder", "Seeds"]

_AUTHORITY, _AUTHORITY_KEY, _SEEDS, _MACHINES = "ca.pem", "ca.key", "keys.json", "machines.json"


class AuthorityDamagedError(Exception):
    """A new one would make all invites worthless, so somebody has to decide."""


@dataclass(frozen=True, slots=True)
class Seeds:
    bot: str
    system: str
    """May have the broker read its configuration again, and nothing else."""


class BrokerFolder:
    """Each method blocks, and raises OSError."""

    def __init__(self, served: Path, private: Path, subjects: Subjects) -> None:
        self.served, self._private, self._subjects = served, private, subjects

    def prepare(self, listeners: tuple[Listener, ...], hosts: Iterable[str], kind: ServerKind) -> tuple[Seeds, str]:
        """All that the broker needs to start; our seeds and the authority's certificate. The machines are those that
        were allowed last. Raises AuthorityDamagedError."""
        for folder in (self.served, self._private):
            folder.mkdir(parents=True, exist_ok=True)
        self._private.chmod(0o700)
        authority = self._authority()
        hosts = tuple(hosts)
        at = self.served / configuration.CERTIFICATE, self.served / configuration.KEY
        pair = _pair(*at)
        try:
            if pair is None or not serves(pair, authority.certificate_pem, hosts):
                pair = new_certificate(authority, hosts)
                _write(at[1], pair.key_pem)
                _write(at[0], pair.certificate_pem)
        except ValueError as error:
            raise AuthorityDamagedError(str(error)) from error
        self._seeds = self._read_seeds()
        self._write_users(self.machines())
        # Last: who waits for it finds all the others.
        _write(self.served / configuration.MAIN, configuration.main_text(self.served, listeners, kind).encode())
        return self._seeds, authority.certificate_pem.decode()

    def allow(self, machines: Mapping[str, str]) -> bool:
        """After `prepare`; whether that changed anything."""
        if dict(machines) == self.machines():
            return False
        self._write_users(machines)
        _write(self._private / _MACHINES, json.dumps(dict(machines), indent=1, sort_keys=True).encode())
        return True

    def machines(self) -> dict[str, str]:
        """Public keys; the bot's table has the say, and this is until it speaks."""
        found = _json(self._private / _MACHINES)
        return {name: key for name, key in found.items() if is_machine_name(name) and is_public_key(key)}

    def _write_users(self, machines: Mapping[str, str]) -> None:
        ours = public_key(self._seeds.bot), public_key(self._seeds.system)
        _write(
            self.served / configuration.USERS, configuration.users_text(*ours, machines, self._subjects).encode()
        )  # fmt: skip

    def _authority(self) -> Pair:
        at = self._private / _AUTHORITY, self._private / _AUTHORITY_KEY
        found = _pair(*at)
        if found is not None:
            return found
        if any(path.exists() for path in at):
            raise AuthorityDamagedError("one of its two files is missing")
        made = new_authority()
        _write(at[1], made.key_pem)
        _write(at[0], made.certificate_pem)
        return made

    def _read_seeds(self) -> Seeds:
        """New ones where they were lost: a broker that reads its files at its next start takes those."""
        found = _json(self._private / _SEEDS)
        seeds = Seeds(*(found[name] if is_seed(found.get(name, "")) else new_seed() for name in ("bot", "system")))
        if (seeds.bot, seeds.system) != (found.get("bot"), found.get("system")):
            _write(self._private / _SEEDS, json.dumps({"bot": seeds.bot, "system": seeds.system}).encode())
        return seeds


def _pair(certificate: Path, key: Path) -> Pair | None:
    try:
        return Pair(certificate.read_bytes(), key.read_bytes())
    except FileNotFoundError:
        return None


def _json(path: Path) -> dict[str, str]:
    """Texts by name; none of what is damaged."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): str(value) for name, value in found.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and for its owner alone."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
