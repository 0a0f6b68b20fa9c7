"""Which checkpoints and LoRAs are there: the folders scanned, each model named and judged by its header alone.

Layout: `checkpoints/**/*.safetensors` (original key layout), `checkpoints/<folder>/model_index.json` (diffusers),
`loras/**/*.safetensors`, and the demo checkpoint that ships with the project. Pickles are listed as such, never opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gpu_worker.language.layouts import (
    PICKLE_SUFFIXES,
    Reading,
    folder_weights,
    read_checkpoint_file,
    read_checkpoint_folder,
    read_lora_file,
)
from gpu_worker.protocol.messages import ModelFact

__all__ = ["DEMO_NAME", "ModelFile", "default_checkpoint", "demo_folder", "scan_model_files", "scan_models"]

DEMO_NAME = "pincel-demo"
_DEMO_DEFAULTS = {
    "sampler": "DPM++ 2M", "schedule": "Karras", "steps": 20, "cfg_scale": 5.0, "width": 128, "height": 128,
    # It has seen nothing but 128 px: with more, a second pass draws each object several times over.
    "upscale_denoising": 0.2,
}  # fmt: skip
"""What its authors measured it with."""

_MODEL_SUFFIXES = PICKLE_SUFFIXES | {".safetensors"}


@dataclass(frozen=True)
class ModelFile:
    """A model, where it lies (a file, or a diffusers folder), and the one file whose hash stands for it."""

    fact: ModelFact
    path: Path
    weights: Path


Stamp = tuple[str, int, int]
"""Path, size in bytes, modification time in ns: equal stamps are taken for equal contents."""


def scan_models(models_dir: Path, demo_dir: Path) -> tuple[ModelFact, ...]:
    return tuple(model.fact for model in scan_model_files(models_dir, demo_dir))


def scan_model_files(
    models_dir: Path, demo_dir: Path, known: dict[Stamp, Reading] | None = None
) -> tuple[ModelFile, ...]:
    """All models in a stable order, checkpoints before LoRAs, the demo last of the checkpoints. Never raises.

    `known` is filled with what was read, so that a later scan opens only files that changed.
    """
    memory = {} if known is None else known
    demo = demo_folder(demo_dir)
    taken: set[str] = {DEMO_NAME} if demo else set()
    checkpoints = _named("checkpoint", models_dir / "checkpoints", _checkpoints, taken, memory)
    if demo:
        reading = _remember(memory, demo, folder_weights(demo / "unet") or demo, read_checkpoint_folder)
        checkpoints.append(_model("checkpoint", DEMO_NAME, demo, reading, _DEMO_DEFAULTS))
    loras = _named("lora", models_dir / "loras", _files, set(), memory)
    return (*checkpoints, *loras)


def default_checkpoint(facts: tuple[ModelFact, ...]) -> str | None:
    """The first usable checkpoint that somebody installed, else the demo, else None."""
    usable = [fact.name for fact in facts if fact.kind == "checkpoint" and fact.problem is None]
    return next((name for name in usable if name != DEMO_NAME), usable[0] if usable else None)


def demo_folder(demo_dir: Path) -> Path | None:
    """`demo_dir` is either the demo's diffusers folder or the folder that holds it."""
    return next((path for path in (demo_dir, demo_dir / "sd-mini") if (path / "model_index.json").is_file()), None)


def _named(
    kind: Literal["checkpoint", "lora"],
    root: Path,
    find: Callable[[Path], Iterator[Path]],
    taken: set[str],
    memory: dict[Stamp, Reading],
) -> list[ModelFile]:
    """Models below `root`. Of two with one stem the usable, then the less deeply nested, then the first by path keeps
    it; the other carries its folder, or its suffix, in brackets."""
    found: list[tuple[bool, int, str, Path, Reading]] = []
    for path in find(root):
        read = read_lora_file if kind == "lora" else read_checkpoint_folder if path.is_dir() else read_checkpoint_file
        weights = (folder_weights(path / "unet") or path) if path.is_dir() else path
        reading = _remember(memory, path, weights, read)
        place = path.relative_to(root).as_posix()
        found.append((reading.problem is not None, place.count("/"), place, path, reading))
    models: list[tuple[str, ModelFile]] = []
    for _, _, place, path, reading in sorted(found, key=lambda entry: entry[:3]):
        stem = path.name if path.is_dir() else path.stem
        parent = place.rpartition("/")[0]
        options = [stem, f"{stem} ({parent})" if parent else stem, f"{stem} ({path.suffix})", f"{stem} ({place})"]
        name = next((option for option in options if option not in taken), place)
        taken.add(name)
        models.append((name, _model(kind, name, path, reading)))
    return [model for _, model in sorted(models, key=lambda entry: (entry[0].casefold(), entry[0]))]


def _model(
    kind: Literal["checkpoint", "lora"],
    name: str,
    path: Path,
    reading: Reading,
    defaults: dict[str, str | int | float] | None = None,
) -> ModelFile:
    fact = ModelFact(
        kind=kind,
        name=name,
        family=reading.family,
        native_px=reading.native_px,
        problem=reading.problem,
        defaults=dict(defaults) if defaults else None,
    )
    return ModelFile(fact, path, (folder_weights(path / "unet") or path) if path.is_dir() else path)


def _remember(memory: dict[Stamp, Reading], path: Path, weights: Path, read: Callable[[Path], Reading]) -> Reading:
    try:
        stat = weights.stat()
        stamp = (str(path), stat.st_size, stat.st_mtime_ns)
    except OSError:
        return Reading(problem="corrupt")
    if stamp not in memory:
        try:
            memory[stamp] = read(path)
        except OSError:
            return Reading(problem="corrupt")
    return memory[stamp]


def _checkpoints(root: Path) -> Iterator[Path]:
    """Single files, and folders with a model index, whose own files are not looked at one by one."""
    folders: list[Path] = []
    yield from _files(root, folders)
    yield from folders


def _files(root: Path, diffusers: list[Path] | None = None) -> Iterator[Path]:
    seen: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or (diffusers is not None and "model_index.json" in files):
            folders.clear()
            if real not in seen and diffusers is not None and place != str(root):
                diffusers.append(Path(place))
            seen.add(real)
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() not in _MODEL_SUFFIXES or name.startswith("."):
                continue
            # A broken link is listed as unusable; a pipe or a device would be waited for without end.
            if path.is_file() or not path.exists():
                yield path
