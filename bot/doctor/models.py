"""The models folder: what can be drawn with, and each file that cannot be used with the way out."""

from __future__ import annotations

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings
from gpu_worker.language.models import DEMO_NAME, scan_models

__all__ = ["check_models"]

_NAMES_SHOWN = 8


def check_models(say: Texts, settings: Settings) -> list[Check]:
    """One check for what is usable, and one for each problem file."""
    facts = scan_models(settings.models_dir, settings.demo_dir)
    usable = [fact.name for fact in facts if fact.kind == "checkpoint" and fact.problem is None]
    own = [name for name in usable if name != DEMO_NAME]
    loras = sum(fact.kind == "lora" and fact.problem is None for fact in facts)
    others = sum(fact.kind not in ("checkpoint", "lora") and fact.problem is None for fact in facts)
    folder = settings.models_dir / "checkpoints"
    if own:
        names = ", ".join(own[:_NAMES_SHOWN]) + (", …" if len(own) > _NAMES_SHOWN else "")
        first = finding(say, "models", State.OK, "good", names=names, count=len(own), loras=loras, others=others)
    elif usable:
        first = finding(say, "models", State.OK, "demo", folder=folder)
    else:
        first = finding(say, "models", State.FAIL, "none", folder=folder)
    return [first, *(_problem(say, fact.name, fact.problem) for fact in facts if fact.problem is not None)]


def _problem(say: Texts, name: str, problem: str) -> Check:
    what = problem if say.has(f"startup.doctor.models.{problem}_fix") else "other"
    # A file's name may hold anything, even what a terminal would obey.
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
    return finding(say, "models", State.WARN, what, name=shown, problem=problem)
