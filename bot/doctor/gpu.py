"""The card, its driver, torch, and whether a worker starts. torch is only ever loaded in a child process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import CHECKOUT, Settings

__all__ = [
    "Card", "TorchFacts", "check_card", "check_torch", "check_worker", "find_card", "judge_torch",
    "judge_training_device", "read_torch",
]  # fmt: skip

_QUESTION = (
    "import json, torch\n"
    "gpu = torch.cuda.is_available()\n"
    "print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, 'hip': torch.version.hip,"
    " 'devices': [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if gpu else []}))"
)
_TORCH_LIMIT_S = 120
"""A cold start from a slow disk takes most of a minute."""


@dataclass(frozen=True, slots=True)
class Card:
    maker: str
    """`nvidia`, `amd` or `none`."""
    name: str = ""
    driver: str = ""
    memory: str = ""


@dataclass(frozen=True, slots=True)
class TorchFacts:
    version: str
    cuda: str | None
    """The CUDA it was built for; None for a build without."""
    hip: str | None
    devices: tuple[str, ...]
    """Cards that torch can use now."""


def _run(command: list[str], limit_s: float) -> subprocess.CompletedProcess[str] | None:
    """None where it is missing or does not end in time."""
    try:
        return subprocess.run(  # noqa: S603 - fixed commands; the values in them are the operator's own
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=limit_s,
            check=False, cwd=CHECKOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None


def find_card() -> Card:
    asked = _run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"], 30)
    if asked and asked.returncode == 0 and asked.stdout.strip():
        name, driver, memory = [*asked.stdout.splitlines()[0].split(", "), "", ""][:3]
        return Card("nvidia", name, driver, memory)
    return Card("amd") if Path("/dev/kfd").exists() else Card("none")


def check_card(say: Texts, card: Card) -> Check:
    if card.maker == "nvidia":
        return finding(say, "gpu", State.OK, "nvidia", name=card.name, driver=card.driver, memory=card.memory)
    if card.maker == "amd":
        return finding(say, "gpu", State.OK, "amd")
    return finding(say, "gpu", State.WARN, "none")


def read_torch(python: str = sys.executable) -> TorchFacts | None:
    """None where torch cannot be loaded."""
    asked = _run([python, "-c", _QUESTION], _TORCH_LIMIT_S)
    if asked is None or asked.returncode != 0:
        return None
    facts = json.loads(asked.stdout.splitlines()[-1])
    return TorchFacts(facts["version"], facts["cuda"], facts["hip"], tuple(facts["devices"]))


def judge_torch(say: Texts, facts: TorchFacts | None, card: Card, device: str) -> Check:
    """`device` is the setting PINCEL_DEVICE."""
    if facts is None:
        return finding(say, "torch", State.FAIL, "broken")
    wanted = re.fullmatch(r"cuda(?::(\d+))?", device)
    index = int(wanted[1] or 0) if wanted else 0
    if facts.devices and (not wanted or index < len(facts.devices)):
        if device == "cpu":
            return finding(say, "torch", State.WARN, "cpu_by_choice", version=facts.version)
        return finding(say, "torch", State.OK, "good", version=facts.version, device=facts.devices[index])
    if facts.devices:
        return finding(say, "torch", State.FAIL, "no_such_card", device=device, count=len(facts.devices))
    state = State.FAIL if wanted else State.WARN
    if card.maker == "none":
        what = "no_card" if wanted else "cpu"
        return finding(say, "torch", state if wanted else State.OK, what, version=facts.version, device=device)
    if facts.cuda is None and facts.hip is None:
        return finding(say, "torch", state, "cpu_build", version=facts.version)
    if card.maker == "amd":
        return finding(say, "torch", state, "amd", version=facts.version)
    return finding(say, "torch", state, "old_driver", version=facts.version, cuda=facts.cuda, driver=card.driver)


def judge_training_device(say: Texts, facts: TorchFacts | None, device: str, drawing: str) -> Check | None:
    """`device` and `drawing` are PINCEL_TRAINING_DEVICE and PINCEL_DEVICE. None where nothing is to be said of it."""
    if facts is None or not device:
        return None
    index, draws = _index(device), _index("cuda" if drawing == "auto" and facts.devices else drawing)
    if index is not None and index >= len(facts.devices):
        return finding(say, "training", State.FAIL, "no_such_card", device=device, count=len(facts.devices))
    if index == draws:
        return finding(say, "training", State.WARN, "shared", device=device)
    return finding(say, "training", State.OK, "good", device=facts.devices[index] if index is not None else device)


def _index(device: str) -> int | None:
    """Of a card among torch's; None for the processor."""
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    return int(found[1] or 0) if found else None


def check_torch(say: Texts, settings: Settings, card: Card) -> list[Check]:
    """With the card that is set aside for trainings, where there is one."""
    if settings.workers == 0:
        return [finding(say, "torch", State.OK, "unneeded")]
    facts = read_torch()
    training = judge_training_device(say, facts, settings.training_device, settings.device)
    return [judge_torch(say, facts, card, settings.device), *([training] if training is not None else [])]


def check_worker(say: Texts, settings: Settings) -> Check:
    """Starts a worker as far as its model list, and lets it end."""
    if settings.workers == 0:
        return finding(say, "worker", State.OK, "unneeded")
    command = [sys.executable, "-m", "gpu_worker", "--check", "--data", str(settings.data)]
    asked = _run([*command, "--demo", str(settings.demo_dir), *settings.engine_arguments()], _TORCH_LIMIT_S)
    if asked is None:
        return finding(say, "worker", State.FAIL, "slow", seconds=_TORCH_LIMIT_S)
    last = next((line.strip() for line in reversed(asked.stderr.splitlines()) if line.strip()), "")
    if asked.returncode != 0:
        return finding(say, "worker", State.FAIL, "broken", code=asked.returncode, last=last)
    return finding(say, "worker", State.OK, "good", last=last)
