"""What the card says of itself: temperature, use, power. Whatever cannot be told stays None, and nothing is guessed.

torch's own readings (which need NVIDIA's or AMD's management library for Python) come first, then `nvidia-smi`.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Vitals", "parse_smi", "sensors"]

log = logging.getLogger(__name__)

_SMI_LIMIT_S = 10
_QUERY = "temperature.gpu,utilization.gpu,power.draw"


@dataclass(frozen=True)
class Vitals:
    temperature_c: int | None = None
    utilisation_pct: int | None = None
    power_w: int | None = None


def sensors(device: Any, uuid: str | None) -> Callable[[], Vitals] | None:
    """A reading of this torch device; None where there is no card or nothing can read it.

    `uuid` names the card to `nvidia-smi`, whose own numbering differs from torch's.
    """
    if getattr(device, "type", "cpu") != "cuda":
        return None
    if any(importlib.util.find_spec(name) for name in ("pynvml", "amdsmi")):
        reading = _torch_reading(device)
        if reading() != Vitals():
            return reading
    smi = shutil.which("nvidia-smi")
    if smi is None or uuid is None:
        return None
    command = [smi, f"--id={uuid}", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    return lambda: _ask(command)


def _torch_reading(device: Any) -> Callable[[], Vitals]:
    import torch

    def one(read: Callable[[Any], int], divide_by: int = 1) -> int | None:
        try:
            return round(read(device) / divide_by)
        except Exception:  # each of them depends on driver and card
            return None

    return lambda: Vitals(
        one(torch.cuda.temperature), one(torch.cuda.utilization), one(torch.cuda.power_draw, divide_by=1000)
    )


def _ask(command: list[str]) -> Vitals:
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command and the card's own id
            command, capture_output=True, text=True, errors="replace", timeout=_SMI_LIMIT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        log.info("nvidia-smi gave no answer: %s", error)
        return Vitals()
    return parse_smi(answer.stdout) if answer.returncode == 0 else Vitals()


def parse_smi(text: str) -> Vitals:
    """One line of three numbers; `[N/A]` and anything else that is no number is unknown."""
    fields = [field.strip() for field in (text.strip().splitlines() or [""])[0].split(",")]
    numbers = [_number(field) for field in [*fields, "", "", ""][:3]]
    return Vitals(*numbers)


def _number(text: str) -> int | None:
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        return None
