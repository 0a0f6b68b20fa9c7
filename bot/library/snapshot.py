"""The library as it is shown: entries named as the worker names them, with what people did and how much they used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.library.entries import Entry
from bot.library.files import LibraryFile
from bot.library.guesses import BASES, family_of_base, guess_family, stated_base
from bot.library.paths import file_id
from bot.library.previews import Previews
from bot.storage.library import Record, Usage
from gpu_worker.language.models import ModelFile, name_models, offered
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = ["Snapshot", "Sources", "build_snapshot"]

_OF_A_FAMILY: frozenset[ModelKind] = frozenset({"checkpoint", "vae", "lora", "embedding", "controlnet"})
_OPEN = frozenset({None, "unknown_layout", "unsupported"})


@dataclass(frozen=True)
class Snapshot:
    files: tuple[LibraryFile, ...] = ()
    facts: tuple[ModelFact, ...] = ()
    """As the worker will report them."""
    by_id: Mapping[str, LibraryFile] = field(default_factory=dict[str, LibraryFile])
    by_name: Mapping[tuple[ModelKind, str], LibraryFile] = field(
        default_factory=dict[tuple[ModelKind, str], LibraryFile]
    )
    """By names, and by aliases that are no other file's name."""

    def with_usage(self, totals: Mapping[tuple[ModelKind, str], Usage]) -> Snapshot:
        """The same files, but for what these totals say of some; no I/O."""
        found = {key: file for key in totals if (file := self.by_name.get(key)) is not None and file.name == key[1]}
        new = {
            file.id: replace(file, last_used_at=totals[key].last_used_at, times_used=totals[key].times)
            for key, file in found.items()
        }
        return replace(
            self,
            files=tuple(new.get(file.id, file) for file in self.files),
            by_id={**self.by_id, **new},
            by_name={key: new.get(file.id, file) for key, file in self.by_name.items()},
        )


@dataclass(frozen=True)
class Sources:
    """What a snapshot is made of, apart from the entries."""

    models_dir: Path
    previews: Previews
    records: Mapping[str, Record]
    usage: Mapping[tuple[ModelKind, str], Usage]
    demo: tuple[ModelFile, ...]
    """What ships with the project."""
    family_by_hash: Callable[[str], str | None]
    """What the catalogue says of a file with this SHA-256."""


def build_snapshot(entries: Mapping[Path, Entry], sources: Sources) -> Snapshot:
    """Some milliseconds for a thousand files; call it off the loop."""
    readings = {path: entry.reading for path, entry in entries.items()}
    named = offered(name_models([entry.listed for entry in entries.values()], readings, sources.demo))
    real: dict[Path, str] = {}
    files = tuple(_file(model, entries.get(model.path), sources, real) for model in named)
    aliases: dict[tuple[ModelKind, str], LibraryFile] = {}
    for file in files:
        if file.alias:
            aliases.setdefault((file.kind, file.alias), file)
    names: dict[tuple[ModelKind, str], LibraryFile] = {(file.kind, file.name): file for file in files}
    return Snapshot(
        files, tuple(model.fact for model in named), {file.id: file for file in files}, {**aliases, **names}
    )


def _file(model: ModelFile, entry: Entry | None, sources: Sources, real: dict[Path, str]) -> LibraryFile:
    fact, details = model.fact, model.reading.details
    id_ = file_id(model.path, sources.models_dir)
    record = sources.records.get(id_, Record())
    usage = sources.usage.get((fact.kind, fact.name))
    sidecars = entry.sidecars if entry else None
    stated = (sidecars.base if sidecars else None) or stated_base(details.metadata)
    sha256 = entry.sha256 if entry else None
    family, guessed = _family(model, stated, sources.family_by_hash(sha256) if sha256 else None)
    words = (sidecars.trigger_words if sidecars else ()) or details.trigger_words
    preview = sources.previews.path(record.preview)
    if preview is None and sidecars and sidecars.preview:
        preview = model.path.with_name(sidecars.preview)
    metadata: dict[str, Any] = {**details.metadata, **(sidecars.metadata if sidecars else {})}
    return LibraryFile(
        id=id_,
        kind=fact.kind,
        name=fact.name,
        path=model.path,
        read_only=model.root is None or model.root.extra or _leads_out(model, real),
        family=family,
        variant=fact.variant,
        alias=fact.alias,
        guessed=guessed,
        problem=fact.problem,
        size_bytes=model.size_bytes,
        precision=details.precision,
        sha256=sha256,
        autov3=entry.autov3 if entry else None,
        metadata=metadata,
        trigger_words=words,
        preview=preview,
        title=(sidecars.title if sidecars else None) or details.metadata.get("modelspec.title"),
        base=(sidecars.base if sidecars else None) or BASES.get(family or ""),
        note=record.note,
        source=record.source or metadata.get("page"),
        added_by=record.added_by,
        added_in=record.added_in,
        added_at=record.added_at or (entry.first_seen_at if entry else 0.0),
        last_used_at=usage.last_used_at if usage else None,
        times_used=usage.times if usage else 0,
    )


def _family(model: ModelFile, stated: str | None, by_hash: str | None) -> tuple[str | None, bool]:
    """From the tensors, else metadata, else the catalogue, else the name, which is only a guess."""
    fact = model.fact
    if fact.family is not None or fact.kind not in _OF_A_FAMILY or fact.problem not in _OPEN:
        return fact.family, False
    known = (family_of_base(stated) if stated else None) or by_hash
    if known is not None:
        return known, False
    guess = guess_family(model.path.stem) or guess_family(model.path.parent.name)
    return guess, guess is not None


def _leads_out(model: ModelFile, real: dict[Path, str]) -> bool:
    """A link of the operator's to somewhere else: it is read, and not ours to move."""
    if model.root is None or model.path.is_symlink():
        return True
    for folder in (model.root.path, model.path.parent):
        if folder not in real:
            real[folder] = os.path.realpath(folder)
    root, parent = real[model.root.path], real[model.path.parent]
    return parent != root and not parent.startswith(root + os.sep)
