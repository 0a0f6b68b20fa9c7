"""The broker's configuration as text. Its format takes JSON, so nothing is escaped by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.addresses import Listener
from gpu_worker.protocol.nats.subjects import Subjects, inbox_of

__all__ = ["CERTIFICATE", "KEY", "MAIN", "SYSTEM_INBOX", "USERS", "ServerKind", "main_text", "user", "users_text"]

MAIN, USERS, CERTIFICATE, KEY = "nats.conf", "users.conf", "broker.pem", "broker.key"
SYSTEM_INBOX = "_INBOX.keys"
_HEAD = "# Written by Pincel, and again at its next start: what you change here is lost. docs/fleet.md#the-broker\n"
_PATIENCE_S = 10
"""For a handshake over a slow link; the broker's own is two seconds."""


@dataclass(frozen=True, slots=True)
class ServerKind:
    """What a nats-server knows: it refuses a configuration with anything else in it. By default what any does that is
    told to read its configuration again, however old or new."""

    version: tuple[int, int] = (2, 10)
    log_file: Path | None = None

    @property
    def tells_system(self) -> bool:
        """Whether a key of ours may have it read its configuration again."""
        return self.version >= (2, 10)


def main_text(folder: Path, listeners: tuple[Listener, ...], kind: ServerKind) -> str:
    """Paths are those of the bot; the broker sees the folder under the same one."""
    tls = {"cert_file": str(folder / CERTIFICATE), "key_file": str(folder / KEY), "timeout": _PATIENCE_S}
    # A limit of its own: by itself a broker takes what is free when it starts, for its whole life, and on a full disk
    # that is nothing. What lies there is bounded by what machines have under way.
    store: dict[str, object] = {"store_dir": str(folder / "store"), "max_file_store": 2**40}
    if kind.version >= (2, 10):
        store["sync_interval"] = "always"  # a receipt is true through a power cut, too
    if kind.version >= (2, 11):
        # A machine may name any subject for its receipts, one that takes orders, too: what no order looks like is none.
        # From 2.12 on that is so by itself.
        store["strict"] = True
    said: dict[str, object] = {"server_name": "pincel"}
    for one in listeners:
        if one.scheme == "tls":
            said |= {"listen": one.place, "tls": tls}
        else:
            said["websocket"] = {"listen": one.place, **({"tls": tls} if one.scheme == "wss" else {"no_tls": True})}
    # The dead are noticed soon, so that an assignment to one is not waited for.
    said |= {"authorization": {"timeout": _PATIENCE_S}, "ping_interval": "10s", "jetstream": store}
    if kind.log_file is not None:
        said |= {"log_file": str(kind.log_file), "logfile_size_limit": 5 * 2**20}
        if kind.version >= (2, 10):
            said["logfile_max_num"] = 3
    lines = [f"{name}: {json.dumps(value)}" for name, value in said.items()]
    return _HEAD + "\n".join(lines) + f'\ninclude "{USERS}"\n'


def users_text(bot: str, system: str, machines: Mapping[str, str], subjects: Subjects) -> str:
    """All by their public keys."""
    reload_only = {
        "publish": {"allow": ["$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.*.RELOAD"]},
        "subscribe": {"allow": [f"{SYSTEM_INBOX}.>"]},
    }
    lines = [json.dumps({"nkey": bot}), *(user(name, machines[name], subjects) for name in sorted(machines))]
    return (
        f"{_HEAD}accounts {{\n  PINCEL {{\n    jetstream: enabled\n    users: [\n"
        + "".join(f"      {line}\n" for line in lines)
        + f"    ]\n  }}\n  SYS {{ users: [ {json.dumps({'nkey': system, 'permissions': reload_only})} ] }}\n}}\n"
        + "system_account: SYS\n"
    )


def user(machine: str, public_key: str, subjects: Subjects) -> str:
    """One line: all that this machine may."""
    allowed = subjects.permissions(machine, inbox_of(machine))
    permissions = {
        "publish": {"allow": allowed["publish"]},
        "subscribe": {"allow": allowed["subscribe"]},
        "allow_responses": {"max": 1, "expires": "30s"},
    }
    return json.dumps({"nkey": public_key, "permissions": permissions})
