"""Which models are there: the folders scanned, each file named and judged by its header alone.

Below the models folder: `checkpoints/**` (single files in the original layout, and diffusers folders), `vae/**`,
`loras/**`, `embeddings/**`, `upscalers/**`, `faces/**`. VAEs may also lie beside checkpoints, as `*.vae.pt` and the
like (behaviours §11). The demo checkpoint ships with the project.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.language.layouts import (
    PICKLE_SUFFIXES,
    PICTURE_SUFFIXES,
    Reading,
    folder_weights,
    read_checkpoint_file,
    read_checkpoint_folder,
    read_embedding_file,
    read_lora_file,
    read_plain_file,
    read_vae_file,
)
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = ["DEMO_NAME", "ModelFile", "Stamp", "default_checkpoint", "demo_folder", "scan_model_files", "scan_models"]

DEMO_NAME = "pincel-demo"
_DEMO_DEFAULTS = {
    "sampler": "DPM++ 2M", "schedule": "Karras", "steps": 20, "cfg_scale": 5.0, "width": 128, "height": 128,
    # It has seen nothing but 128 px: with more, a second pass draws each object several times over.
    "upscale_denoising": 0.2,
}  # fmt: skip
"""What its authors measured it with."""

_SUFFIXES = PICKLE_SUFFIXES | {".safetensors"}
_VAE_MARK = ".vae"


@dataclass(frozen=True)
class ModelFile:
    """A model, where it lies (a file, or a diffusers folder), and the one file whose hash stands for it."""

    fact: ModelFact
    path: Path
    weights: Path


Stamp = tuple[str, int, int]
"""Path, size in bytes, modification time in ns: equal stamps are taken for equal contents."""

Found = tuple[Path, Path]
"""A model's path and the folder that it is named relative to."""


def scan_models(models_dir: Path, demo_dir: Path) -> tuple[ModelFact, ...]:
    return tuple(model.fact for model in scan_model_files(models_dir, demo_dir))


def scan_model_files(
    models_dir: Path, demo_dir: Path, known: dict[Stamp, Reading] | None = None
) -> tuple[ModelFile, ...]:
    """All models in a stable order: checkpoints with the demo last, VAEs, LoRAs, embeddings, upscalers, face models,
    each by name. Never raises.

    `known` is filled with what was read, so that a later scan opens only files that changed.
    """
    memory = {} if known is None else known
    root = models_dir / "checkpoints"
    places = [(path, root) for path in _checkpoints(root)]
    beside = [place for place in places if _is_vae(place[0])]
    vaes = _named("vae", [*beside, *_below(models_dir / "vae")], read_vae_file, set(), memory)
    has_vae = any(vae.fact.problem is None for vae in vaes)

    def judge(path: Path) -> Reading:
        return read_checkpoint_folder(path) if path.is_dir() else read_checkpoint_file(path)

    demo = demo_folder(demo_dir)
    alone = [place for place in places if not _is_vae(place[0])]
    checkpoints = _named("checkpoint", alone, judge, {DEMO_NAME} if demo else set(), memory, has_vae=has_vae)
    if demo:
        reading = _remember(memory, demo, folder_weights(demo / "unet") or demo, read_checkpoint_folder)
        checkpoints.append(_model("checkpoint", DEMO_NAME, demo, reading, _DEMO_DEFAULTS))
    return (
        *checkpoints,
        *vaes,
        *_named("lora", _below(models_dir / "loras"), read_lora_file, set(), memory),
        *_named("embedding", _embeddings(models_dir / "embeddings", memory), read_embedding_file, set(), memory),
        *_named("upscaler", _below(models_dir / "upscalers"), read_plain_file, set(), memory),
        *_named("face", _below(models_dir / "faces"), read_plain_file, set(), memory),
    )


def default_checkpoint(facts: tuple[ModelFact, ...]) -> str | None:
    """The first usable checkpoint that somebody installed, one that draws from words alone before others, else the
    demo, else None."""
    usable = [fact for fact in facts if fact.kind == "checkpoint" and fact.problem is None]
    order = sorted(usable, key=lambda f: (f.name == DEMO_NAME, f.variant is not None or f.family == "sdxl_refiner"))
    return order[0].name if order else None


def demo_folder(demo_dir: Path) -> Path | None:
    """`demo_dir` is either the demo's diffusers folder or the folder that holds it."""
    return next((path for path in (demo_dir, demo_dir / "sd-mini") if (path / "model_index.json").is_file()), None)


def _named(
    kind: ModelKind,
    places: list[Found],
    read: Callable[[Path], Reading],
    taken: set[str],
    memory: dict[Stamp, Reading],
    *,
    has_vae: bool = True,
) -> list[ModelFile]:
    """Of two with one stem the usable, then the less deeply nested, then the first by path keeps it; the other carries
    its folder, or its suffix, in brackets."""
    found: list[tuple[bool, int, str, Path, Reading]] = []
    for path, root in places:
        weights = (folder_weights(path / "unet") or path) if path.is_dir() else path
        reading = _remember(memory, path, weights, read)
        if reading.lacks_vae and reading.problem is None and not has_vae:
            reading = dataclasses.replace(reading, problem="no_vae")
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
    kind: ModelKind,
    name: str,
    path: Path,
    reading: Reading,
    defaults: dict[str, str | int | float] | None = None,
) -> ModelFile:
    fact = ModelFact(
        kind=kind,
        name=name,
        family=reading.family,
        variant=reading.variant,
        alias=reading.alias,
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


def _is_vae(path: Path) -> bool:
    return path.stem.lower().endswith(_VAE_MARK) and not path.is_dir()


def _below(root: Path) -> list[Found]:
    return [(path, root) for path in _files(root)]


def _embeddings(root: Path, memory: dict[Stamp, Reading]) -> list[Found]:
    """Model files, and pictures that carry an embedding and are not the preview of a file beside them."""
    files = [path for path, _ in _below(root)]
    beside = {path.with_suffix("") for path in files}
    pictures = (path for path in _files(root, suffixes=PICTURE_SUFFIXES) if path.with_suffix("") not in beside)
    named = (path for path in pictures if not path.stem.endswith(".preview"))
    kept = [path for path in named if _remember(memory, path, path, read_embedding_file).problem is None]
    return [(path, root) for path in (*files, *kept)]


def _checkpoints(root: Path) -> Iterator[Path]:
    """Single files, and folders with a model index, whose own files are not looked at one by one."""
    folders: list[Path] = []
    yield from _files(root, folders)
    yield from folders


def _files(
    root: Path, diffusers: list[Path] | None = None, *, suffixes: frozenset[str] = frozenset(_SUFFIXES)
) -> Iterator[Path]:
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
            if path.suffix.lower() not in suffixes or name.startswith("."):
                continue
            # A broken link is listed as unusable; a pipe or a device would be waited for without end.
            if path.is_file() or not path.exists():
                yield path
