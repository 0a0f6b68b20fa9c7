"""From configuration, folders and pictures to the job that the trainer takes, with what is said before it starts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpu_worker.language.training.buckets import bucket_of
from gpu_worker.language.training.config import Config
from gpu_worker.language.training.config_errors import ConfigError
from gpu_worker.language.training.dataset_config import read_dataset_config
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.language.training.steps import GUIDE_IMAGES_MAX, Length, batches_per_epoch, training_length
from gpu_worker.protocol.specs import TRAIN_IMAGES_MAX, Train, TrainDataset, TrainImage, TrainSubset
from gpu_worker.protocol.specs.training import picture_repeats
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.training.folders import FoundFolder, read_pictures, read_train_folder
from gpu_worker.shell.training.looks import Look, look_at_all
from gpu_worker.shell.training.options import read_file

__all__ = ["FEW_PICTURES", "Plan", "make_plan"]

FEW_PICTURES = 5
_EXTENSION = ".caption"
_NO_NAME = 'output_name is no name for a file. Use letters, digits, "-" and "_", and at most 100 of them.'


@dataclass(frozen=True)
class Plan:
    spec: Train
    length: Length
    buckets: Counter[tuple[int, int]]
    """Pictures, repeats counted, of each size."""
    notes: list[str] = field(default_factory=list[str])


def make_plan(config: Config, checkpoint: str, vae: str | None, output_name: str, seed: int) -> Plan:
    """Looks at every picture. Raises BadInputError and ConfigError."""
    notes: list[str] = []
    found = _from_file(config, notes) if config.places.get("dataset_config") else _from_folders(config, notes)
    looks = look_at_all(path for _, subsets in found for folder, _ in subsets for path in folder.captions)
    datasets = [_dataset(rules, subsets, looks) for rules, subsets in found]
    buckets = [_buckets(one, looks) for one in datasets]
    _check_captions(found, notes)
    batches = sum(
        batches_per_epoch([(count, 1, size) for size, count in sizes.items()], one.rules.batch_size)
        for one, sizes in zip(datasets, buckets, strict=True)
    )
    given = config.parameters
    spec = _spec(_saved_parameters(config, seed), checkpoint, vae, output_name, datasets)
    length = training_length(
        batches, max_train_epochs=given.max_train_epochs, max_train_steps=given.max_train_steps,
        accumulation=given.gradient_accumulation_steps,
    )  # fmt: skip
    _note_counts(spec, notes)
    return Plan(spec, length, sum(buckets, Counter()), notes)


_Found = list[tuple[DatasetRules, list[tuple[FoundFolder, SubsetRules]]]]


def _from_folders(config: Config, notes: list[str]) -> _Found:
    places = config.places
    if not places.get("train_data_dir"):
        raise BadInputError(
            "There are no pictures: train_data_dir and dataset_config are missing. Set train_data_dir to a folder that "
            "holds folders like 10_mychar."
        )
    extension = _extension(places.get("caption_extension", _EXTENSION))
    subsets: list[tuple[FoundFolder, SubsetRules]] = []
    for key in ("train_data_dir", "reg_data_dir"):
        if places.get(key):
            found = read_train_folder(
                key, Path(places[key]).expanduser(), extension,
                is_reg=key == "reg_data_dir", wildcards=config.subset.enable_wildcard,
            )  # fmt: skip
            subsets += [(folder, config.subset) for folder in found.folders]
            notes += found.notes
    return [(config.dataset, subsets)]


def _from_file(config: Config, notes: list[str]) -> _Found:
    places = config.places
    if key := next((key for key in ("train_data_dir", "reg_data_dir") if places.get(key)), None):
        notes.append(f"{key} is not read: dataset_config says where the pictures are.")
    text = read_file("dataset_config", Path(places["dataset_config"]).expanduser())
    found: _Found = []
    for one in read_dataset_config(text, config.dataset, config.subset, places.get("caption_extension")):
        subsets: list[tuple[FoundFolder, SubsetRules]] = []
        for subset in one.subsets:
            folder = Path(subset.image_dir).expanduser()
            captions = read_pictures(
                "image_dir", folder, _extension(subset.caption_extension),
                wildcards=subset.rules.enable_wildcard, notes=notes,
            )  # fmt: skip
            of = FoundFolder(folder, subset.num_repeats, subset.class_tokens, subset.is_reg, captions)
            subsets.append((of, subset.rules))
        found.append((one.rules, subsets))
    return found


def _extension(said: str) -> str:
    if not said.startswith(".") or "/" in said or "\\" in said or len(said) > 20:
        raise ConfigError("caption_extension", f"cannot be {said[:60]!r}", 'Write it with its dot: ".txt".')
    return said


def _dataset(
    rules: DatasetRules, subsets: Sequence[tuple[FoundFolder, SubsetRules]], looks: dict[Path, Look]
) -> TrainDataset:
    total = sum(len(folder.captions) for folder, _ in subsets)
    if total > TRAIN_IMAGES_MAX:
        raise BadInputError(f"There are {total} pictures, and {TRAIN_IMAGES_MAX} are the most. Take some out.")
    try:
        return TrainDataset(rules=rules, subsets=tuple(_subset(folder, own, looks) for folder, own in subsets))
    except ValidationError as error:
        raise BadInputError(_said(error)) from error


def _subset(folder: FoundFolder, rules: SubsetRules, looks: dict[Path, Look]) -> TrainSubset:
    return TrainSubset(
        name=(folder.path.name or folder.path.absolute().name or "pictures")[:100],
        num_repeats=folder.repeats,
        class_tokens=folder.class_tokens,
        is_reg=folder.is_reg,
        rules=rules,
        images=tuple(TrainImage(image=looks[path].ref, caption=text) for path, text in folder.captions.items()),
    )


def _buckets(dataset: TrainDataset, looks: dict[Path, Look]) -> Counter[tuple[int, int]]:
    counts: Counter[tuple[int, int]] = Counter()
    for subset, repeats in zip(dataset.subsets, picture_repeats(dataset), strict=True):
        for image, times in zip(subset.images, repeats, strict=True):
            if not times:
                continue
            wide, high = looks[Path(image.image.ref)].size
            try:
                counts[bucket_of((wide, high), dataset.rules).bucket] += times
            except ValueError as error:
                raise BadInputError(
                    f"{image.image.ref} has {wide} x {high} pixels, which leaves nothing in buckets of "
                    f"{dataset.rules.bucket_reso_steps}. Take it out, or turn bucket_no_upscale off."
                ) from error
    return counts


def _check_captions(found: _Found, notes: list[str]) -> None:
    """What is learnt needs words to be called by."""
    folders = [folder for _, subsets in found for folder, _ in subsets if not folder.is_reg]
    bare = {
        folder.path: sum(not text for text in folder.captions.values()) for folder in folders if not folder.class_tokens
    }
    count = sum(bare.values())
    if count and count == sum(len(folder.captions) for folder in folders):
        said = " ".join(notes)
        raise BadInputError(
            "No picture has a caption, and no folder's name has words for those without one, so nothing could be "
            "called by name afterwards. Put a text file beside each picture, or call the folder like 10_mychar."
            + (f" {said}" if said else "")
        )
    notes += [
        f"{number} pictures in {path} have no caption; they are seen without words."
        for path, number in bare.items()
        if number
    ]


def _note_counts(spec: Train, notes: list[str]) -> None:
    learnt = [subset for dataset in spec.datasets for subset in dataset.subsets if not subset.is_reg]
    pictures = sum(len(subset.images) for subset in learnt)
    if pictures < FEW_PICTURES:
        notes.append(
            f"{pictures} pictures are few: they are learnt by heart, backgrounds included. 15 to 30 are usual."
        )
    seen = sum(len(subset.images) * subset.num_repeats for subset in learnt)
    if seen > GUIDE_IMAGES_MAX:
        notes.append(
            f"{seen} pictures an epoch (repeats counted) are more than the usual {GUIDE_IMAGES_MAX}; fewer repeats and "
            "more epochs give more files to choose from."
        )


def _spec(
    parameters: Parameters, checkpoint: str, vae: str | None, output_name: str, datasets: Sequence[TrainDataset]
) -> Train:
    values: dict[str, Any] = {"vae": vae} if vae else {}
    try:
        return Train(
            checkpoint=checkpoint, output_name=output_name, datasets=tuple(datasets), parameters=parameters, **values
        )
    except ValidationError as error:
        raise BadInputError(_said(error)) from error


def _saved_parameters(config: Config, seed: int) -> Parameters:
    """Files are saved as often as one is kept or drawn with; `Rules` says which of them stay."""
    given = config.parameters
    epochs, steps = (
        (config.sample_every_n_epochs, config.sample_every_n_steps)
        if config.places.get("sample_prompts")
        else (None, None)
    )
    if epochs is not None:
        steps = None
    return given.model_copy(
        update={
            "seed": seed,
            "save_every_n_epochs": _common(given.save_every_n_epochs, epochs),
            "save_every_n_steps": _common(given.save_every_n_steps, steps),
            "save_last_n_epochs": None,
            "save_last_n_steps": None,
        }
    )


def _common(one: int | None, other: int | None) -> int | None:
    """How often to save, so that both are served."""
    return one or other if one is None or other is None else math.gcd(one, other)


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["loc"][:1] == ("output_name",) or "output_name" in first["msg"]:
        return _NO_NAME
    place = ".".join(str(part) for part in first["loc"])
    return (
        f"{place + ': ' if place else ''}{first.get('ctx', {}).get('error', first['msg'])}. Change it and start again."
    )
