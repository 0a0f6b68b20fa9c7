"""`models list`: what is installed, and what the catalogue offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bot.catalogue import Catalogue, Entry
from bot.library.sizes import file_bytes
from bot.models_cli.console import Console, size
from bot.models_cli.there import There
from bot.operator_language import plain
from gpu_worker.language.models import ModelFile

__all__ = ["list_models", "model_row", "offer_line", "sum_of", "total_bytes"]


def list_models(console: Console, there: There, catalogue: Catalogue, wanted: Sequence[str], *, as_json: bool) -> None:
    """`wanted` are keys and sets; none lists everything. Raises UnknownNameError."""
    entries = catalogue.find(wanted) if wanted else catalogue.entries
    if as_json:
        console.json({"installed": [model_row(model) for model in there.own] if not wanted else [], "catalogue": [
            {**asdict(entry), "unverified": entry.unverified, "installed": there.holds(entry) is not None}
            for entry in entries
        ]})  # fmt: skip
        return
    say = console.say
    if not wanted:
        _installed(console, there)
        console.tell()
    console.tell(say("models_cli.list.catalogue", n=len(entries)))
    for entry in entries:
        console.tell(offer_line(console, entry, there))
    if not wanted:
        console.tell()
        console.tell(say("models_cli.list.sets"))
        for name, members in catalogue.sets.items():
            row = say("models_cli.list.set", n=len(members), size=sum_of(console, members))
            console.tell(f"  {name:<20} {row}")
    console.tell()
    console.tell(say("models_cli.list.hint"))
    if any(entry.unverified for entry in entries):
        console.tell(say("models_cli.list.unverified_hint"))


def offer_line(console: Console, entry: Entry, there: There) -> str:
    if there.holds(entry):
        state = console.say("models_cli.list.installed_mark")
    else:
        state = "" if entry.installable else console.say("models_cli.list.unverified_mark")
    licence = plain(entry.licence) or console.say("models_cli.list.no_licence", page=entry.page)
    return f"  {state:<14} {entry.key:<24} {size(entry.size_bytes):>8}  {entry.title}; {licence}"


def total_bytes(entries: Sequence[Entry]) -> tuple[int, bool]:
    """The sum, and whether every size is known."""
    sizes = [entry.size_bytes for entry in entries]
    return sum(filter(None, sizes)), None not in sizes


def sum_of(console: Console, entries: Sequence[Entry]) -> str:
    total, whole = total_bytes(entries)
    return size(total) if whole else console.say("models_cli.at_least", size=size(total))


def _installed(console: Console, there: There) -> None:
    say = console.say
    if not there.own:
        console.tell(say("models_cli.list.nothing"))
        return
    console.tell(say("models_cli.list.installed", n=len(there.own), size=size(there.size_bytes())))
    for model in there.own:
        kind, family = say(f"kind.{model.fact.kind}"), model.fact.family or ""
        problem = f"  {say('models_cli.list.unusable_mark')}" if model.fact.problem else ""
        console.tell(
            f"  {kind:<16} {size(file_bytes(model.path)):>8}  {plain(model.fact.name)} {family}{problem}".rstrip()
        )


def model_row(model: ModelFile) -> dict[str, object]:
    fact = model.fact
    return {
        "kind": fact.kind, "name": fact.name, "family": fact.family, "problem": fact.problem, "path": str(model.path),
        "size_bytes": file_bytes(model.path),
    }  # fmt: skip
