"""Which cards this machine serves with, found without torch: the agent never loads it."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpu_worker.protocol.nats.subjects import CARDS_MAX

__all__ = ["AUTO", "CPU", "CardChoice", "CardsError", "cards", "nvidia_cards"]

log = logging.getLogger(__name__)

AUTO, CPU = "auto", "cpu"
VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
_SMI_LIMIT_S = 30
_CARD = re.compile(r"GPU (\d+): (.+?) \(UUID: ([\w-]+)\)")


class CardsError(ValueError):
    """A sentence for whoever chose."""


@dataclass(frozen=True, slots=True)
class CardChoice:
    """How a child is started so that it sees this card alone."""

    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def cards(wanted: str, device: str, environment: Mapping[str, str], found: Mapping[int, str]) -> list[CardChoice]:
    """`wanted`: `auto`, `cpu`, or numbers as `nvidia-smi` counts them; `device`: as the engine is told; `found`: what
    `nvidia_cards` says. At least one. Raises CardsError."""
    if wanted == CPU:
        return [CardChoice(("--device", "cpu"))]
    if wanted != AUTO:
        # A device that is set for whoever else works here would be counted among the one card that each child sees.
        arguments = () if device == AUTO else ("--device", AUTO)
        return [_one(number, arguments) for number in _numbers(wanted, found)]
    if device != AUTO:
        return [CardChoice()]  # it was named
    visible = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    if visible:
        return [CardChoice(environment={VISIBLE: name}) for name in visible[:CARDS_MAX]]
    if VISIBLE in environment or len(found) < 2:
        return [CardChoice()]  # none, one, or one that is not NVIDIA's: the engine finds out
    return [_one(str(number)) for number in sorted(found)[:CARDS_MAX]]


def nvidia_cards() -> dict[int, str]:
    """Names by number; empty where nothing can tell."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return {}
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command
            [smi, "-L"], capture_output=True, text=True, errors="replace", timeout=_SMI_LIMIT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("nvidia-smi gave no answer (%s); the engine looks for a card itself", error)
        return {}
    return {int(found[1]): found[2] for found in _CARD.finditer(told.stdout)} if told.returncode == 0 else {}


def _one(number: str, arguments: tuple[str, ...] = ()) -> CardChoice:
    return CardChoice(arguments, environment={ORDER: "PCI_BUS_ID", VISIBLE: number})


def _numbers(wanted: str, found: Mapping[int, str]) -> list[str]:
    numbers = [part.strip() for part in wanted.split(",")]
    if not all(part.isdecimal() for part in numbers):
        raise CardsError(f"--cards takes auto, cpu, or numbers such as 0,2; not {wanted!r}")
    numbers = list(dict.fromkeys(str(int(part)) for part in numbers))
    missing = [number for number in numbers if found and int(number) not in found]
    if missing:
        there = ", ".join(f"{number} ({name})" for number, name in sorted(found.items()))
        raise CardsError(f"there is no card {', '.join(missing)} here; nvidia-smi lists {there}")
    if len(numbers) > CARDS_MAX:
        raise CardsError(f"a machine serves with at most {CARDS_MAX} cards")
    return numbers
