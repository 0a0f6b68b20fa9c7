"""The models folders: what can be drawn with, the way out for each file that cannot be used, the room they take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bot.catalogue import CatalogueError, operators_catalogue
from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.library.sizes import file_bytes
from bot.operator_language import plain
from bot.settings import Settings
from gpu_worker.language.models import scan_model_files
from gpu_worker.language.taggers import table_path
from gpu_worker.language.trees import find_tree

__all__ = ["check_models"]

_NAMES_SHOWN = 8
_BUDGET_WARNING = 0.9
"""Of the disk budget: full soon."""


def check_models(say: Texts, settings: Settings) -> list[Check]:
    """One check for what is usable, one for each further folder, for each problem file, and for the budget if any."""
    files = scan_model_files(settings.models_dir, settings.demo_dir, extra_folders=settings.model_folders)
    facts = [file.fact for file in files]
    usable = [file for file in files if file.fact.kind == "checkpoint" and file.fact.problem is None]
    own = [file.fact.name for file in usable if file.root is not None]
    installed = [file.fact.kind for file in files if file.fact.problem is None and file.root is not None]
    loras = installed.count("lora")
    others = len(installed) - installed.count("checkpoint") - loras
    folder = settings.models_dir / "checkpoints"
    if own:
        names = ", ".join(own[:_NAMES_SHOWN]) + (", …" if len(own) > _NAMES_SHOWN else "")
        first = finding(say, "models", State.OK, "good", names=names, count=len(own), loras=loras, others=others)
    elif usable:
        first = finding(say, "models", State.OK, "demo", folder=folder)
    else:
        first = finding(say, "models", State.FAIL, "none", folder=folder)
    problems = [_problem(say, fact.name, fact.problem) for fact in facts if fact.problem is not None]
    taggers = [file for file in files if file.fact.kind == "tagger" and file.fact.problem is None]
    problems += [_problem(say, file.fact.name, "no_tags") for file in taggers if table_path(file.path) is None]
    room = _room(say, settings, {file.path for file in files if file.root is not None and not file.root.extra})
    return [first, *_folders(say, settings), *_catalogue(say, settings), *problems, *room]


def _folders(say: Texts, settings: Settings) -> Iterator[Check]:
    for folder in settings.model_folders:
        layout = find_tree(folder).layout
        state = State.WARN if layout == "missing" else State.OK
        yield finding(say, "models", state, f"folder_{layout}", folder=plain(str(folder)))


def _catalogue(say: Texts, settings: Settings) -> Iterator[Check]:
    """Only where an operator's own file is wrong."""
    try:
        operators_catalogue(settings.data)
    except CatalogueError as error:
        yield finding(say, "models", State.WARN, "catalogue", sentence=plain(error.sentence(say)))


def _room(say: Texts, settings: Settings, paths: set[Path]) -> Iterator[Check]:
    """Only what lies in our own folder counts: the others are not ours to fill or to empty."""
    if settings.disk_budget_gb is None:
        return
    used, budget = sum(map(file_bytes, paths)) / 10**9, settings.disk_budget_gb
    state = State.WARN if used > budget * _BUDGET_WARNING else State.OK
    what = "budget_good" if state is State.OK else "budget_over" if used > budget else "budget_tight"
    yield finding(say, "models", state, what, used=f"{used:.1f}", budget=f"{budget:g}")


def _problem(say: Texts, name: str, problem: str) -> Check:
    what = problem if say.has(f"startup.doctor.models.{problem}_fix") else "other"
    return finding(say, "models", State.WARN, what, name=plain(name), problem=problem)
