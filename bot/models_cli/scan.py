"""`models scan`: the folders, what is in them, and why a file cannot be used."""

from __future__ import annotations

from collections import Counter

from bot.models_cli.console import Console, size
from bot.models_cli.listing import model_row
from bot.models_cli.there import There
from bot.operator_language import plain
from bot.settings import Settings
from gpu_worker.language.models import KINDS, ModelFile
from gpu_worker.language.trees import find_tree

__all__ = ["scan"]


def scan(console: Console, settings: Settings, there: There, *, as_json: bool) -> None:
    trees = [find_tree(folder) for folder in settings.model_folders]
    if as_json:
        console.json({
            "folders": [{"path": str(settings.models_dir), "layout": "pincel"}]
            + [{"path": str(tree.path), "layout": tree.layout} for tree in trees],
            "models": [model_row(model) for model in there.models],
        })  # fmt: skip
        return
    say = console.say
    console.tell(say("models_cli.scan.ours", folder=settings.models_dir))
    for tree in trees:
        console.tell(say(f"models_cli.scan.layout.{tree.layout}", folder=plain(str(tree.path)), n=len(tree.roots)))
    console.tell()
    counts = Counter(model.fact.kind for model in there.own)
    if not counts:
        console.tell(say("models_cli.list.nothing"))
    for kind in KINDS:
        if not counts[kind]:
            continue
        label = say(f"kind.{kind}")
        console.tell(f"  {label:<16} {counts[kind]:>6}  {size(there.size_bytes(kind)):>9}")
    console.tell()
    if not there.unusable:
        console.tell(say("models_cli.scan.sound"))
        return
    console.tell(say("models_cli.scan.unusable", n=len(there.unusable)))
    for model in there.unusable:
        console.tell(f"  {plain(str(model.path))}")
        for line in _reason(console, model):
            console.tell(f"      {line}")


def _reason(console: Console, model: ModelFile) -> tuple[str, str]:
    """What is wrong and what to do, in the doctor's words."""
    key = "startup.doctor.models"
    what = model.fact.problem if console.say.has(f"{key}.{model.fact.problem}_fix") else "other"
    values = {"name": plain(model.fact.name), "problem": model.fact.problem}
    return console.say(f"{key}.{what}", **values), console.say(f"{key}.{what}_fix", **values)
