"""Command line → agent: what it is told itself, and what it hands on to its children."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpu_worker.agent.cards import AUTO, CardsError, cards, nvidia_cards
from gpu_worker.agent.joining import JoiningError, by_address, by_invite
from gpu_worker.agent.serve import OUTBOX, TAKEN, serve_agent
from gpu_worker.agent.stock import StockPlaces, StockRules
from gpu_worker.console import set_up_logging
from gpu_worker.language.trees import split_folders
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.subjects import worker_name
from gpu_worker.protocol.outbox import INPUTS

__all__ = ["BAD_USAGE", "add_agent_arguments", "agent_asked", "run_agent"]

log = logging.getLogger(__name__)

BAD_USAGE = 2
FETCHED = "fetched"
FROM = ("auto", "bot", "source")
BUDGET_SETTING, FROM_SETTING, FOLDERS_SETTING = "PINCEL_MODELS_BUDGET_GB", "PINCEL_MODELS_FROM", "PINCEL_MODEL_FOLDERS"


def add_agent_arguments(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """All that children are not told."""
    group = parser.add_argument_group("joining a bot on another machine")
    group.add_argument("--invite", nargs="?", const="", metavar="TEXT|FILE",
                       help="from /workers add; kept for the next start, which needs none")  # fmt: skip
    group.add_argument("--nats", metavar="URL", help="a broker without keys, such as nats://host:4222; needs --name")
    group.add_argument("--name", help="this worker's name in the bot's list")
    group.add_argument("--cards", default=AUTO, metavar="auto|cpu|0,2",
                       help="a worker for each of these cards, as nvidia-smi counts them (default: all)")  # fmt: skip
    group.add_argument("--models-budget-gb", type=_gigabytes, metavar="GB",
                       default=_gigabytes_or_none(environment.get(BUDGET_SETTING, "")),
                       help="for model files that are fetched (default: what the disk has)")  # fmt: skip
    wish = environment.get(FROM_SETTING, "").strip().lower()
    group.add_argument("--models-from", choices=FROM, default=wish if wish in FROM else FROM[0],
                       help="where they are fetched from (default: %(default)s)")  # fmt: skip


def agent_asked(arguments: argparse.Namespace) -> bool:
    return arguments.invite is not None or arguments.nats is not None


def run_agent(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    """`arguments`: all; `rest`: of the command line what is the children's. Returns the exit code."""
    data: Path = arguments.data
    try:
        if arguments.nats is not None and arguments.invite:
            raise JoiningError("--invite and --nats are two ways to join: give one of them")
        if arguments.nats is not None:
            joining = by_address(arguments.nats, arguments.name or "", os.environ)
        else:
            joining = by_invite(arguments.invite, data, os.environ)
        choices = cards(arguments.cards, arguments.device, os.environ, nvidia_cards())
    except (JoiningError, CardsError) as error:
        print(f"{error}", file=sys.stderr)  # noqa: T201
        return BAD_USAGE
    set_up_logging(joining.machine)
    for sentence in _unusable(os.environ):
        log.warning("%s", sentence)
    outbox, fetched = data / OUTBOX, data / FETCHED
    more = (*arguments.models, *split_folders(os.environ.get(FOLDERS_SETTING, ""), Path.cwd()))
    program = (
        sys.executable, "-m", "gpu_worker", *rest, "--outbox", str(outbox), "--fetched", str(fetched),
        *(word for folder in more[len(arguments.models) :] for word in ("--models", str(folder))),
    )  # fmt: skip
    commands = [
        ChildCommand(
            argv=(*program, *choice.arguments),
            log_file=data / "logs" / f"worker-{worker_name(joining.machine, number)}.log",
            environment=dict(choice.environment),
        )
        for number, choice in enumerate(choices, start=1)
    ]
    budget_gb: float | None = arguments.models_budget_gb
    log.info("%s joins at %s with %d worker(s); their own logs are in %s", joining.machine, joining.access.place,
             len(commands), data / "logs")  # fmt: skip
    try:
        return serve_agent(
            joining.access, joining.machine, commands=commands, outbox=outbox,
            places=StockPlaces(fetched=fetched, inputs=outbox / INPUTS, models=data / "models", more=more),
            rules=StockRules(
                budget_mb=None if budget_gb is None else round(budget_gb * 1024), models_from=arguments.models_from
            ),
            subjects=joining.subjects, on_start=lambda: joining.keep(data),
        )  # fmt: skip
    except JoiningError as error:
        log.critical("%s", error)
        return BAD_USAGE
    except OSError as error:
        log.critical("the data folder %s cannot be used: %s; make room, or name another with --data", data, error)
        return TAKEN


def _gigabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of gigabytes, such as 40")
    return value


def _gigabytes_or_none(text: str) -> float | None:
    try:
        return _gigabytes(text) if text.strip() else None
    except argparse.ArgumentTypeError:
        return None  # as other settings that cannot be used; `_unusable` says so


def _unusable(environment: Mapping[str, str]) -> list[str]:
    """Of this machine's disk they decide, so that nobody should believe in one that does not count."""
    budget, wish = environment.get(BUDGET_SETTING, "").strip(), environment.get(FROM_SETTING, "").strip()
    found: list[str] = []
    if budget and _gigabytes_or_none(budget) is None:
        found.append(f"{BUDGET_SETTING}={budget} is no number of gigabytes, such as 40; it is left aside")
    if wish and wish.lower() not in FROM:
        found.append(f"{FROM_SETTING}={wish} is none of {', '.join(FROM)}; it is left aside")
    return found
