"""One finding of the doctor, and how findings are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from bot.i18n import Texts

__all__ = ["Check", "State", "finding", "row", "summary", "to_json"]


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Works, but less well than it could."""
    FAIL = "fail"
    """Pincel cannot start or cannot draw."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    """Stable across languages, for --json."""
    label: str
    state: State
    details: str
    fix: str = ""
    """The next step; never empty where the state is not ok."""

    def __post_init__(self) -> None:
        assert self.fix or self.state is State.OK, f"{self.name}: {self.details} names no next step"


def finding(say: Texts, name: str, state: State, what: str, /, **values: object) -> Check:
    """A check in the operator's language: `startup.doctor.<name>.{label,<what>,<what>_fix}`."""
    key = f"startup.doctor.{name}"
    fix = say(f"{key}.{what}_fix", **values) if say.has(f"{key}.{what}_fix") else ""
    return Check(name, say(f"{key}.label"), state, say(f"{key}.{what}", **values), fix)


def row(say: Texts, check: Check) -> str:
    mark = say(f"startup.doctor.state.{check.state}")
    lines = [f"{mark:<8} {check.label:<14} {check.details}"]
    if check.fix:
        lines.append(f"{'':<8} {'':<14} → {check.fix}")
    return "\n".join(lines)


def summary(say: Texts, checks: Sequence[Check]) -> str:
    failed = sum(check.state is State.FAIL for check in checks)
    if failed:
        return say("startup.doctor.failed", n=failed)
    return say("startup.doctor.sound")


def to_json(checks: Sequence[Check]) -> str:
    return json.dumps([asdict(check) for check in checks], ensure_ascii=False, indent=2)
