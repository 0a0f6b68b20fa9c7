"""A machine's real agent, whose child is the stub worker."""

from __future__ import annotations

import sys
from pathlib import Path

from gpu_worker.agent.serve import serve_agent
from gpu_worker.agent.stock import StockPlaces
from gpu_worker.agent.times import AgentTimes
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.invite import is_invite, read_invite
from gpu_worker.protocol.outbox import INPUTS
from tests.contract.nats_kit import CHECKOUT, LINK_TIMES, child_pid_file, outbox_of, subjects_of

TIMES = AgentTimes(
    heartbeat_s=0.1, retry_s=0.05, resend_s=1.0, mail_first_s=5.0, silence_s=3.0, backoff_s=(0.05, 0.05, 0.05),
    grace_s=6.0, close_s=5.0,
)  # fmt: skip


def child_command(root: Path, name: str) -> ChildCommand:
    worker = CHECKOUT / "tests" / "contract" / "stub_worker.py"
    return ChildCommand(
        argv=(
            sys.executable, str(worker), "--outbox", str(outbox_of(root, name)), "--journal", str(root / "journal"),
            "--pid", str(child_pid_file(root, name)),
        ),
        log_file=root / f"{name}.log",
        environment={"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip


def places_of(root: Path, name: str) -> StockPlaces:
    folder = outbox_of(root, name)
    return StockPlaces(fetched=folder / "fetched", inputs=folder / INPUTS, models=root / "models")


def serve(root: Path, name: str, url: str) -> int:
    """`url` may be an invite."""
    access = read_invite(url).access if is_invite(url) else url
    return serve_agent(
        access, name, commands=[child_command(root, name)], outbox=outbox_of(root, name), places=places_of(root, name),
        subjects=subjects_of(root), times=TIMES, link_times=LINK_TIMES,
    )  # fmt: skip
