"""What a transport brings to the contract suite. A new transport adds a kit to `KITS`; no test changes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Protocol

from bot.dispatch.pipe import PipeTimes, PipeTransport
from bot.dispatch.transport import BotTransport
from gpu_worker.protocol.child import ChildCommand
from tests.contract.nats_kit import NatsKit

CHECKOUT = Path(__file__).parents[2]
WORKER = CHECKOUT / "tests" / "contract" / "stub_worker.py"


class Kit(Protocol):
    """Makes transports and treats their workers badly. `root` is the same for every transport of one test."""

    outlives_bots: bool
    """Whether its workers go on, and keep what they hold, when a bot dies."""

    def make(self, root: Path, names: tuple[str, ...]) -> BotTransport: ...
    def signal(self, transport: BotTransport, worker: str, number: int) -> bool:
        """False where that worker is not running just now."""
        ...

    def box(self, root: Path, worker: str) -> Path:
        """Where results lie that the bot has not stored yet; empty once all is settled."""
        ...

    def clear(self, root: Path) -> None:
        """After the test: nothing of it runs any more."""
        ...


class PipeKit:
    outlives_bots = False
    times = PipeTimes(
        assign_timeout_s=1.0, backoff_s=(0.05, 0.05, 0.05), redeliver_s=0.1, stop_grace_s=4.0, silence_s=30.0
    )

    def make(self, root: Path, names: tuple[str, ...]) -> PipeTransport:
        command = ChildCommand(
            argv=(sys.executable, str(WORKER), "--outbox", str(root / "outbox"), "--journal", str(root / "journal")),
            log_file=root / "worker.log",
            environment={"PYTHONPATH": str(CHECKOUT)},
        )
        return PipeTransport(command=command, names=names, outbox_dir=root / "outbox", times=self.times)

    def signal(self, transport: BotTransport, worker: str, number: int) -> bool:
        assert isinstance(transport, PipeTransport)
        pid = transport.pids().get(worker)
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def box(self, root: Path, worker: str) -> Path:
        return root / "outbox" / worker

    def clear(self, root: Path) -> None:
        pass  # its workers end with their bot


KITS: dict[str, Kit] = {"pipe": PipeKit(), "nats": NatsKit()}
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows os.kill ends a process at once with any number
STOP = getattr(signal, "SIGSTOP", 0)
"""0 where a process cannot be stopped (Windows)."""
CONTINUE = getattr(signal, "SIGCONT", 0)
