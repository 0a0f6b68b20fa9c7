"""Which models there are: the folders listed, each file judged by its header alone, and named.

Bot and worker both do this, over the same folders and with these functions, so that their names are equal. VAEs may
also lie beside checkpoints, as `*.vae.pt` and the like (behaviours §11). The demo checkpoint and what was made for it
ship with the project.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from gpu_worker.language.kinds import read_file
from gpu_worker.language.layouts import PICTURE_SUFFIXES, Reading, folder_weights, read_checkpoint_folder
from gpu_worker.language.listing import Listed, Stamp, folder_bytes, list_files, stamp_of
from gpu_worker.language.trees import Root, model_roots
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = [
    "DEMO_NAME", "KINDS", "ModelFile", "Stamp", "default_checkpoint", "demo_folder", "folder_kind", "name_models",
    "offered", "read_demo", "read_listed", "scan_model_files",
]  # fmt: skip

DEMO_NAME = "pincel-demo"
_DEMO_DEFAULTS = {
    "sampler": "DPM++ 2M", "schedule": "Karras", "steps": 20, "cfg_scale": 5.0, "width": 128, "height": 128,
    # It has seen nothing but 128 px: with more, a second pass draws each object several times over.
    "upscale_denoising": 0.2,
}  # fmt: skip
"""What its authors measured it with."""

KINDS: tuple[ModelKind, ...] = get_args(ModelKind)
_VAE_MARK = ".vae"
_FOLDER_NAMES = frozenset({"model", "diffusion_pytorch_model", "pytorch_model"})
"""Files that are called after nothing; the folder they lie in has the name."""
_LDSR = "LDSR"
"""A1111's folder for that upscaler, whose file is called after nothing, too."""
_FRESH_NS = 3_000_000_000
_OF_A_TEXT: frozenset[ModelKind] = frozenset({"checkpoint", "vae", "lora", "embedding", "controlnet"})
"""Kinds that work beside some checkpoints alone."""


@dataclass(frozen=True)
class ModelFile:
    """A model, where it lies (a file, or a diffusers folder), and the one file whose hash stands for it."""

    fact: ModelFact
    path: Path
    weights: Path
    root: Root | None = None
    """None for what ships with the project."""
    reading: Reading = field(default_factory=Reading)
    neighbours: tuple[str, ...] = ()
    stamp: Stamp | None = None
    size_bytes: int = 0
    """Of a folder everything in it."""


def scan_model_files(
    models_dir: Path,
    demo_dir: Path,
    known: dict[Stamp, Reading] | None = None,
    *,
    extra_folders: Sequence[Path] = (),
) -> tuple[ModelFile, ...]:
    """All models in a stable order: by kind in the order of ModelKind, checkpoints with the demo last, each by name.
    Never raises.

    `known` is filled with what was read, so that a later scan opens only files that changed.
    """
    memory = {} if known is None else known
    listed = list_files(model_roots(models_dir, extra_folders))
    readings = {found.path: read_listed(found, memory) for found in listed}
    return name_models(listed, readings, read_demo(demo_dir, memory))


def read_listed(found: Listed, memory: dict[Stamp, Reading]) -> Reading:
    """From memory where its stamp is known."""
    if found.stamp is None:
        return Reading(problem="corrupt")
    reading = memory.get(found.stamp)
    if reading is None:
        try:
            reading = read_file(folder_kind(found), found.path)
        except OSError:
            return Reading(problem="corrupt")  # perhaps it can be opened next time
        # A file that is still being written may change again without a new time.
        if reading.problem is None or time.time_ns() - found.stamp[2] > _FRESH_NS:
            memory[found.stamp] = reading
    return reading


def folder_kind(found: Listed) -> ModelKind | None:
    """What the file is, by the place where it lies."""
    if found.root.kind == "checkpoint" and not found.folder and found.path.stem.lower().endswith(_VAE_MARK):
        return "vae"
    return found.root.kind


def name_models(
    listed: Sequence[Listed], readings: Mapping[Path, Reading], demo: Sequence[ModelFile]
) -> tuple[ModelFile, ...]:
    """Gives each its kind and a name that no other of its kind has. Pictures without an embedding, and files of a heap
    that do not say what they are, are left out."""
    places: dict[ModelKind, list[tuple[Listed, Reading]]] = {kind: [] for kind in KINDS}
    for found in listed:
        reading = readings[found.path]
        kind = reading.kind or folder_kind(found)
        picture = found.path.suffix.lower() in PICTURE_SUFFIXES
        if kind is not None and not (picture and reading.problem):
            places[kind].append((found, reading))
    vaes = _named("vae", places["vae"], {model.fact.name for model in demo if model.fact.kind == "vae"})
    if not any(vae.fact.problem is None for vae in vaes):
        places["checkpoint"] = [
            (found, dataclasses.replace(reading, problem=reading.problem or "no_vae") if reading.lacks_vae else reading)
            for found, reading in places["checkpoint"]
        ]
    models: list[ModelFile] = []
    for kind in KINDS:
        shipped = [model for model in demo if model.fact.kind == kind]
        taken = {model.fact.name for model in shipped}
        models += vaes if kind == "vae" else _named(kind, places[kind], taken)
        models += shipped
    return tuple(models)


def offered(models: Sequence[ModelFile]) -> tuple[ModelFile, ...]:
    """What to tell people of. Of what ships with the project the upscaler and the tagger know its toy world alone: they
    are left out as soon as somebody has installed a checkpoint."""
    if not any(model.root and model.fact.kind == "checkpoint" and model.fact.problem is None for model in models):
        return tuple(models)
    return tuple(model for model in models if model.root or model.fact.kind in _OF_A_TEXT)


def default_checkpoint(facts: Sequence[ModelFact]) -> str | None:
    """The first usable checkpoint that somebody installed, one that draws from words alone before others, else the
    demo, else None."""
    usable = [fact for fact in facts if fact.kind == "checkpoint" and fact.problem is None]

    def order(fact: ModelFact) -> tuple[bool, bool, bool]:
        ours = fact.shipped or fact.name == DEMO_NAME  # the name: a worker of an earlier version says nothing else
        return ours, fact.variant is not None or fact.family == "sdxl_refiner", fact.name != DEMO_NAME

    return min(usable, key=order).name if usable else None


def demo_folder(demo_dir: Path) -> Path | None:
    """`demo_dir` is either the demo's diffusers folder or the folder that holds it."""
    return next((path for path in (demo_dir, demo_dir / "sd-mini") if (path / "model_index.json").is_file()), None)


def read_demo(demo_dir: Path, memory: dict[Stamp, Reading]) -> tuple[ModelFile, ...]:
    """The demo checkpoint, then the models of `demo_dir` that were made for it, laid out as the operator's are; empty
    without the demo."""
    folder = demo_folder(demo_dir)
    if folder is None:
        return ()
    weights = folder_weights(folder / "unet") or folder
    stamp = stamp_of(folder, weights, "checkpoint")
    reading = memory.get(stamp) if stamp else None
    if reading is None:
        reading = read_checkpoint_folder(folder)
        if stamp:
            memory[stamp] = reading
    fact = _shipped("checkpoint", DEMO_NAME, reading)
    checkpoint = ModelFile(fact, folder, weights, None, reading, stamp=stamp, size_bytes=folder_bytes(folder))
    beside = list_files(model_roots(demo_dir)) if folder != demo_dir else []
    return (checkpoint, *(_companion(found, read_listed(found, memory), fact) for found in beside))


def _companion(found: Listed, reading: Reading, demo: ModelFact) -> ModelFile:
    kind = reading.kind or folder_kind(found)
    assert kind is not None
    if kind in _OF_A_TEXT:  # too narrow to tell a family by, or, as a VAE, of no width: the checkpoint's
        family, context = reading.family or demo.family, reading.context or demo.context
        reading = dataclasses.replace(reading, family=family, context=context)
    name = next(iter(_options(found, found.path.relative_to(found.root.path).as_posix())))
    fact = _shipped(kind, name, reading)
    return ModelFile(fact, found.path, found.weights, None, reading, stamp=found.stamp, size_bytes=found.size_bytes)


def _shipped(kind: ModelKind, name: str, reading: Reading) -> ModelFact:
    defaults = _DEMO_DEFAULTS if kind == "checkpoint" else None
    return _fact(kind, name, reading, defaults).model_copy(update={"shipped": True})


def _named(kind: ModelKind, places: Iterable[tuple[Listed, Reading]], taken: set[str]) -> list[ModelFile]:
    """Of two with one stem a model before what a training saved, then the usable, then ours before an extra folder's,
    then the less deeply nested, then the first by path keeps it; the other carries its folder, its suffix, or its place
    in brackets."""
    found = [(entry.root.trained, reading.problem is not None, entry.root.extra, place.count("/"), place, at, entry,
              reading)
             for at, (entry, reading) in enumerate(places)
             for place in [entry.path.relative_to(entry.root.path).as_posix()]]  # fmt: skip
    models: list[tuple[str, ModelFile]] = []
    for *_, place, _, entry, reading in sorted(found, key=lambda row: row[:6]):
        name = next(option for option in _options(entry, place) if option not in taken)
        taken.add(name)
        fact = _fact(kind, name, reading, None)
        if entry.root.trained:
            # All of a training's files have one `ss_output_name`, which would be a second name of each.
            fact = fact.model_copy(update={"trained_in": place.partition("/")[0], "alias": None})
        model = ModelFile(
            fact, entry.path, entry.weights, entry.root, reading, entry.neighbours, entry.stamp, entry.size_bytes
        )
        models.append((name, model))
    return [model for _, model in sorted(models, key=lambda entry: (entry[0].casefold(), entry[0]))]


def _options(entry: Listed, place: str) -> Iterable[str]:
    path = entry.path
    parent = place.rpartition("/")[0]
    stem = path.name if entry.folder else path.stem
    if stem.lower() in _FOLDER_NAMES and parent:
        stem = parent.rpartition("/")[2]
    if entry.root.path.name.casefold() == _LDSR.casefold() and stem.lower() in ("model", "last"):
        stem = _LDSR
    yield stem
    if parent:
        yield f"{stem} ({parent})"
    yield f"{stem} ({path.suffix})"
    yield f"{stem} ({place})"
    yield f"{stem} ({entry.root.path.name})"
    number = 2
    while True:
        yield f"{stem} ({number})"
        number += 1


def _fact(kind: ModelKind, name: str, reading: Reading, defaults: dict[str, str | int | float] | None) -> ModelFact:
    return ModelFact(
        kind=kind,
        name=name,
        family=reading.family,
        variant=reading.variant,
        alias=reading.alias,
        native_px=reading.native_px,
        context=reading.context,
        problem=reading.problem,
        defaults=dict(defaults) if defaults else None,
    )
