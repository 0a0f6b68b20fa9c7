"""What becomes of a training's wish: its spec, its steps, and what the guide would say; or why it cannot be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from bot.domain.job import work_units
from bot.domain.mentions import spoken
from bot.domain.models import NONE, find_checkpoint, find_vae
from bot.domain.notes import Note
from bot.domain.training.datasets import Folder, Picture
from bot.domain.training.names import is_plain
from bot.domain.training.wishes import NAME_CHARS_MAX, TrainingWish
from bot.errors import UserFacingError
from gpu_worker.language.training.buckets import bucket_of
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.language.training.steps import GUIDE_IMAGES_MAX, Length, batches_per_epoch, training_length
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Train, TrainDataset, TrainImage, TrainSubset
from gpu_worker.protocol.specs.training import NAME_BYTES_MAX, picture_repeats

__all__ = [
    "PICTURES_MIN", "Plan", "build_train", "planned", "require_name", "require_trainable", "trainable_names",
]  # fmt: skip

PICTURES_MIN = 3
SAVES_MAX = 50
"""Files of one training: each takes a hundred megabytes or more, and draws its samples."""
FEW_PICTURES = 10
"""Fewer teach little but themselves."""
TRAINED_FAMILIES = ("sd1", "sd2", "sdxl")
_NAME = re.compile(r"[^\x00-\x1f/\\:*?\"<>|.,][^\x00-\x1f/\\:*?\"<>|,]*")
_FOLDER_SIGNS = re.compile(r"[\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class Plan:
    spec: Train
    length: Length
    pictures: int
    """Of what is learnt, each once."""
    images_per_epoch: int
    """Pictures times repeats, those of the class as well."""
    units: float
    """As `work_units`."""
    notes: tuple[Note, ...]


def require_name(name: str) -> str:
    """Of the file. Raises UserFacingError (`train_name`)."""
    found = " ".join(name.split())
    fits = 1 <= len(found) <= NAME_CHARS_MAX and len(found.encode("utf-8", "replace")) <= NAME_BYTES_MAX
    # Plots call a picture without a LoRA "None".
    if not fits or _NAME.fullmatch(found) is None or not is_plain(found) or found.casefold() == NONE.casefold():
        raise UserFacingError("train_name", limit=NAME_CHARS_MAX)
    return found


def trainable_names(facts: Sequence[ModelFact]) -> list[str]:
    return [fact.name for fact in facts if fact.kind == "checkpoint" and fact.problem is None and _trainable(fact)]


def require_trainable(wanted: str | None, facts: Sequence[ModelFact]) -> ModelFact:
    """Raises UserFacingError: `train_base`, and those of `find_checkpoint`."""
    base = find_checkpoint(wanted, facts)
    if not _trainable(base):
        raise UserFacingError("train_base", name=spoken(base.name))
    return base


def build_train(
    wish: TrainingWish, folders: Sequence[Folder], pictures: Sequence[Picture], facts: Sequence[ModelFact], seed: int
) -> Train:
    """`seed` is taken where none is wished. Raises UserFacingError: `train_name`, `train_empty`, `train_few`,
    `train_captions_long`, those of `require_trainable` and `find_vae`."""
    base = require_trainable(wish.checkpoint or None, facts)
    vae = find_vae(wish.vae, base, facts)
    name = require_name(wish.name)
    learnt = {folder.id for folder in folders if not folder.is_reg}
    count = sum(picture.folder_id in learnt for picture in pictures)
    if count == 0:
        raise UserFacingError("train_empty")
    if count < PICTURES_MIN:
        raise UserFacingError("train_few", n=count, least=PICTURES_MIN)
    subsets: list[TrainSubset] = []
    for folder in folders:
        own = [picture for picture in pictures if picture.folder_id == folder.id]
        if own:
            subsets.append(
                TrainSubset(
                    name=_FOLDER_SIGNS.sub(" ", folder.name)[:100],
                    num_repeats=folder.repeats,
                    class_tokens=folder.class_tokens,
                    is_reg=folder.is_reg,
                    rules=wish.subset,
                    images=tuple(TrainImage(image=picture.ref, caption=picture.caption) for picture in own),
                )
            )
    drawn = wish.parameters if wish.parameters.seed is not None else wish.parameters.model_copy(update={"seed": seed})
    try:
        return Train(
            checkpoint=base.name,
            vae=vae,
            output_name=name,
            datasets=(TrainDataset(rules=wish.rules, subsets=tuple(subsets)),),
            parameters=drawn,
        )
    except ValidationError as error:
        if "captions" in str(error):
            raise UserFacingError("train_captions_long") from error
        raise


def planned(spec: Train, wish: TrainingWish, pictures: Sequence[Picture], steps_max: int) -> Plan:
    """Its steps (behaviours §24.3), and the guide's advice. `pictures` as for `build_train`.

    Raises UserFacingError: `train_narrow`, `train_steps`, `train_saves`.
    """
    sizes = {picture.sha256: (picture.width, picture.height) for picture in pictures}
    names = {picture.sha256: picture.name for picture in pictures}
    (dataset,) = spec.datasets
    seen: list[tuple[int, int, object]] = []
    for subset, repeats in zip(dataset.subsets, picture_repeats(dataset), strict=True):
        for image, times in zip(subset.images, repeats, strict=True):
            size = sizes[image.image.sha256]
            try:
                seen.append((1, times, bucket_of(size, dataset.rules).bucket))
            except ValueError as error:
                raise UserFacingError(
                    "train_narrow", name=spoken(names[image.image.sha256]), width=size[0], height=size[1],
                    step=dataset.rules.bucket_reso_steps,
                ) from error  # fmt: skip
    given = spec.parameters
    length = training_length(
        batches_per_epoch(seen, dataset.rules.batch_size),
        max_train_epochs=given.max_train_epochs,
        max_train_steps=given.max_train_steps,
        accumulation=given.gradient_accumulation_steps,
    )
    if length.total_steps > steps_max:
        raise UserFacingError("train_steps", steps=length.total_steps, limit=steps_max)
    if (saves := _saves(given, length)) > SAVES_MAX:
        raise UserFacingError("train_saves", n=saves, limit=SAVES_MAX)
    images = sum(times for _, times, _ in seen)
    own = sum(len(subset.images) for subset in dataset.subsets if not subset.is_reg)
    return Plan(spec, length, own, images, work_units(spec), tuple(_advice(spec, wish, own, images, sizes)))


def _saves(given: Parameters, length: Length) -> int:
    """How many files it saves; the last one is that of its last epoch and step."""
    epochs = (length.epochs - 1) // given.save_every_n_epochs if given.save_every_n_epochs is not None else 0
    steps = (length.total_steps - 1) // given.save_every_n_steps if given.save_every_n_steps is not None else 0
    return epochs + steps + 1


def _advice(spec: Train, wish: TrainingWish, own: int, images: int, sizes: dict[str, tuple[int, int]]) -> list[Note]:
    (dataset,) = spec.datasets
    found: list[Note] = []
    has_reg = any(subset.is_reg for subset in dataset.subsets)
    learnt = images // 2 if has_reg else images
    if own < FEW_PICTURES:
        found.append(Note("train_few_pictures", {"n": own, "usual": FEW_PICTURES}))
    if learnt > GUIDE_IMAGES_MAX:
        found.append(Note("train_many_repeats", {"n": learnt, "most": GUIDE_IMAGES_MAX}))
    captions = [
        (subset.class_tokens if image.caption is None else image.caption).strip()
        for subset in dataset.subsets
        if not subset.is_reg
        for image in subset.images
    ]
    if silent := sum(not caption for caption in captions):
        found.append(Note("train_without_caption", {"n": silent}))
    trigger = wish.trigger.strip().casefold()
    if trigger:
        untold = sum(not caption.casefold().startswith(trigger) for caption in captions)
        if untold:
            found.append(
                Note("train_trigger_missing", {"n": untold, "of": len(captions), "trigger": spoken(wish.trigger)})
            )
        if wish.subset.shuffle_caption and not wish.subset.keep_tokens:
            found.append(Note("train_keep_tokens", {}))
    width, height = dataset.rules.resolution
    small = sum(side[0] * side[1] < width * height / 4 for side in sizes.values())
    if small:
        found.append(Note("train_small_pictures", {"n": small, "px": width}))
    return found


def _trainable(fact: ModelFact) -> bool:
    return (fact.family is None or fact.family in TRAINED_FAMILIES) and fact.variant is None
