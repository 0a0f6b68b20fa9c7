"""A machine's real agent as a process that can be killed; its cards' processes are `card.py`."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.agent.serve import serve_agent
from gpu_worker.agent.stock import StockPlaces, StockRules
from gpu_worker.agent.times import AgentTimes
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.subjects import Subjects
from gpu_worker.protocol.outbox import INPUTS
from tests.chaos.bot import link_times
from tests.chaos.clocks import skew_clock

__all__ = ["MachineLife", "run_machine"]

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class MachineLife:
    name: str
    cards: int
    data: str
    logs: str
    """A folder on a disk that is never full."""
    journal: str
    url: str
    prefix: str
    scale: float
    skew_s: int
    jump_s: int


def run_machine(life: MachineLife) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    skew_clock(life.skew_s, life.jump_s)
    data, scale, usual = Path(life.data), life.scale, AgentTimes()
    outbox = data / "outbox"
    times = AgentTimes(
        heartbeat_s=usual.heartbeat_s * scale, retry_s=usual.retry_s * scale, resend_s=usual.resend_s * scale,
        mail_first_s=usual.mail_first_s * scale, start_s=usual.start_s * scale, silence_s=usual.silence_s * scale,
        stable_s=usual.stable_s * scale, backoff_s=tuple(each * scale for each in usual.backoff_s),
        grace_s=usual.grace_s * scale, close_s=usual.close_s * scale,
    )  # fmt: skip
    commands = [
        ChildCommand(
            argv=(
                sys.executable, str(CHECKOUT / "tests" / "chaos" / "card.py"), "--outbox", str(outbox), "--journal",
                life.journal, "--skew", str(life.skew_s),
            ),
            log_file=Path(life.logs) / f"{life.name}.{number + 1}.card.log",
            environment={"PYTHONPATH": str(CHECKOUT)},
        )
        for number in range(life.cards)
    ]  # fmt: skip
    places = StockPlaces(fetched=data / "fetched", inputs=outbox / INPUTS, models=data / "models")
    return serve_agent(
        life.url, life.name, commands=commands, outbox=outbox, places=places, subjects=Subjects(life.prefix),
        rules=StockRules(retry_s=scale, rest_s=StockRules().rest_s * scale), times=times,
        link_times=link_times(scale), lock_s=5.0,
    )  # fmt: skip
