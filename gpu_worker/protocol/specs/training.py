"""A LoRA that is trained (behaviours §24)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from pydantic import Field, model_validator

from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.language.training.steps import regularisation_repeats
from gpu_worker.protocol.specs.base import ImageRef, Wire

__all__ = [
    "NAME_BYTES_MAX",
    "TRAIN_IMAGES_MAX",
    "Train",
    "TrainDataset",
    "TrainImage",
    "TrainSubset",
    "picture_repeats",
]

TRAIN_IMAGES_MAX = 2000
CAPTION_MAX = 4000
CAPTIONS_BYTES_MAX = 2 * 2**20
"""Of all captions, and of what is read beside them, together: a spec travels in one frame."""
NAME_BYTES_MAX = 200
"""With what epochs and suffixes add, a file system's 255 hold it."""


class TrainImage(Wire):
    image: ImageRef
    caption: str | None = Field(default=None, max_length=CAPTION_MAX)
    """None takes the subset's class tokens."""


class TrainSubset(Wire):
    """A folder of pictures, kohya's `10_mychar`."""

    name: str = Field(min_length=1, max_length=100)
    num_repeats: int = Field(default=1, ge=1, le=10_000)
    class_tokens: str = Field(default="", max_length=CAPTION_MAX)
    is_reg: bool = False
    """Pictures of the class and not of what is learnt; they count `prior_loss_weight`."""
    rules: SubsetRules = SubsetRules()
    images: tuple[TrainImage, ...] = Field(min_length=1, max_length=TRAIN_IMAGES_MAX)


class TrainDataset(Wire):
    """Pictures of one resolution and batch size."""

    rules: DatasetRules = DatasetRules()
    subsets: tuple[TrainSubset, ...] = Field(min_length=1, max_length=64)


class Train(Wire):
    """Complete but for the base's own files: the same spec on the same machine gives the same weights."""

    kind: Literal["train"] = "train"
    checkpoint: str
    """Name as in the worker's model list."""
    vae: str = "Automatic"
    output_name: str = Field(pattern=r"^[^\x00-\x1f/\\:*?\"<>|.][^\x00-\x1f/\\:*?\"<>|]{0,99}$")
    datasets: tuple[TrainDataset, ...] = Field(min_length=1, max_length=16)
    parameters: Parameters

    @property
    def seed(self) -> int:
        assert self.parameters.seed is not None, "validated"
        return self.parameters.seed

    def images(self) -> Iterator[tuple[TrainSubset, TrainImage]]:
        for dataset in self.datasets:
            for subset in dataset.subsets:
                for image in subset.images:
                    yield subset, image

    @model_validator(mode="after")
    def _trainable(self) -> Train:
        if self.parameters.seed is None:
            raise ValueError("the seed is drawn before a job is stored")
        subsets = [subset for dataset in self.datasets for subset in dataset.subsets]
        if sum(len(subset.images) for subset in subsets) > TRAIN_IMAGES_MAX:
            raise ValueError(f"more than {TRAIN_IMAGES_MAX} pictures")
        if len(self.output_name.encode()) > NAME_BYTES_MAX:
            raise ValueError(f"output_name: longer than {NAME_BYTES_MAX} bytes")
        captions = [image.caption or "" for subset in subsets for image in subset.images]
        for subset in subsets:
            captions += [subset.class_tokens, subset.rules.caption_prefix, subset.rules.caption_suffix]
        if sum(len(caption.encode("utf-8", "replace")) for caption in captions) > CAPTIONS_BYTES_MAX:
            raise ValueError(f"captions of more than {CAPTIONS_BYTES_MAX} bytes")
        if all(subset.is_reg for subset in subsets):
            raise ValueError("no pictures of what is to be learnt")
        if self.parameters.cache_latents and any(subset.rules.random_crop for subset in subsets):
            raise ValueError("random_crop cannot be had of cached latents")
        return self


def picture_repeats(dataset: TrainDataset) -> list[list[int]]:
    """How often each picture is seen in an epoch, by subset: those of the class as often as there is something to
    learn."""
    learnt = sum(len(subset.images) * subset.num_repeats for subset in dataset.subsets if not subset.is_reg)
    of_class = [subset.num_repeats for subset in dataset.subsets if subset.is_reg for _ in subset.images]
    take: Callable[[], int] = iter(regularisation_repeats(of_class, learnt)).__next__
    return [[take() if subset.is_reg else subset.num_repeats for _ in subset.images] for subset in dataset.subsets]
