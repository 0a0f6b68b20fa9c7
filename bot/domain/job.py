"""What a job is: its states, its record, and what the user may know of its end."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId
from bot.domain.scripts import Script, ScriptSpec
from bot.domain.sizes import hires_target
from bot.errors import UserFacingError
from gpu_worker.language.networks import parse_networks
from gpu_worker.language.schedule import split_and
from gpu_worker.language.training.steps import training_length
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.results import Captions, Description
from gpu_worker.protocol.specs import (
    Caption,
    DetailFix,
    Drawing,
    FileSpec,
    FileTask,
    Img2Img,
    JobSpec,
    PictureTask,
    Preprocess,
    Sheet,
    Train,
    TrainDataset,
    Ultimate,
    Upscale,
)

__all__ = [
    "TASK_MODEL", "TRAIN_MODEL", "Action", "Image", "Job", "JobStatus", "JobTask", "Lane", "MadeModel", "NewJob",
    "NewTraining", "TokenGrant", "model_of", "work_units",
]  # fmt: skip


JobTask = JobSpec | FileSpec | PictureTask | Sheet | ScriptSpec | Train
"""What a job may be: a drawing, work on model files or on a finished picture, a script or some cells of one, a
training."""


class JobStatus(enum.StrEnum):
    """queued → assigned → done → delivering → delivered, or failed, or cancelled."""

    QUEUED = "queued"
    ASSIGNED = "assigned"
    DONE = "done"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def waiting(self) -> bool:
        """Not drawn yet: can still be cancelled."""
        return self in (JobStatus.QUEUED, JobStatus.ASSIGNED)


_TERMINAL = frozenset({JobStatus.DELIVERED, JobStatus.FAILED, JobStatus.CANCELLED})


class Lane(enum.StrEnum):
    """Strict order, but batch gets at least one start in eight, and training only what nobody else wants."""

    INTERACTIVE = "interactive"
    BATCH = "batch"
    TRAINING = "training"
    """Of trainings, which make way for everything else at their next step."""
    SCRIPT = "script"
    """Of scripts, which no worker is given: their sheets are in batch."""


class Action(enum.StrEnum):
    """How a job came to be; with its source picture this is the lineage."""

    IMAGINE = "imagine"
    UPSCALE = "upscale"
    VARY_SUBTLE = "vary_subtle"
    VARY_STRONG = "vary_strong"
    REROLL = "reroll"
    EDIT = "edit"
    UPSCALE_SUBTLE = "upscale_subtle"
    """By an upscaler alone, of a picture that was drawn here."""
    ZOOM = "zoom"
    PAN = "pan"
    SQUARE = "square"
    REGION = "region"
    CONVERT = "convert"
    MERGE = "merge"
    BAKE = "bake"
    TEST = "test"
    """An admin tries a model."""
    ENLARGE = "enlarge"
    """By an upscaler alone, without drawing."""
    DESCRIBE = "describe"
    PREPROCESS = "preprocess"
    """The map of a picture, for control."""
    DETAILS = "details"
    """Faces, hands … of a finished picture drawn once more."""
    ULTIMATE = "ultimate"
    """Enlarged, and drawn again tile by tile."""
    BLEND = "blend"
    """From pictures that were read as prompts."""
    MATRIX = "matrix"
    CAPTION = "caption"
    """Tags for the pictures of a data set."""
    PLOT = "plot"
    CELL = "cell"
    """Of a script's grid; its sheets, too."""
    TRAIN = "train"
    """Teaches a LoRA."""
    SAMPLE = "sample"
    """What a saved epoch of a training draws."""


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """An interaction token lets us edit the answer for 15 minutes without any channel permission."""

    token: str
    expires_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class NewTraining:
    """What only the bot knows of a training; the worker gets its spec."""

    dataset_id: str
    preset: str
    trigger_words: str = ""
    samples: tuple[str, ...] = ()
    """Lines of prompts that each saved epoch draws."""
    compare: bool = True
    """Its epochs are compared by themselves when it is done."""
    retry_of: JobId | None = None
    """The training that this one is to do better than."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """All that is needed to commit a job."""

    id: JobId
    action: Action
    user_id: UserId
    channel_id: ChannelId
    task: JobTask
    guild_id: GuildId | None = None
    locale: str = "en-US"
    lane: Lane = Lane.INTERACTIVE
    interaction_id: int | None = None
    grant: TokenGrant | None = None
    parent_id: JobId | None = None
    source_image_id: ImageId | None = None
    reply_to_id: MessageId | None = None
    private: bool = False
    """For its user's eyes alone, until they publish it."""
    script_id: JobId | None = None
    """The script that a sheet belongs to."""
    training: NewTraining | None = None
    """Of a training: committed with it."""


@dataclass(frozen=True, slots=True)
class MadeModel:
    """A file that a job brought into the library."""

    file_id: str
    """LibraryFile.id, as it was then."""
    kind: ModelKind
    name: str
    size_bytes: int
    precision: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """A row of `jobs`."""

    id: JobId
    action: Action
    user_id: UserId
    guild_id: GuildId | None
    channel_id: ChannelId
    locale: str
    lane: Lane
    task: JobTask
    status: JobStatus
    work_units: float
    attempt: int
    crashes: int
    worker: str | None
    created_at: float
    message_id: MessageId | None = None
    reply_to_id: MessageId | None = None
    grant: TokenGrant | None = None
    parent_id: JobId | None = None
    source_image_id: ImageId | None = None
    cancel_by: UserId | None = None
    failure_kind: str | None = None
    failure_detail: Mapping[str, Any] = field(default_factory=dict[str, Any])
    reference: str | None = None
    state: bytes | None = None
    run_s: float | None = None
    told_at: float | None = None
    result: MadeModel | None = None
    """What a job on model files made."""
    description: Description | None = None
    """What a job that looked at a picture saw."""
    captions: Captions | None = None
    """What a job that looked at a data set's pictures wrote."""
    private: bool = False
    """As in NewJob: its card is ephemeral, and where that ends, it goes by direct message and never to the channel."""
    script_id: JobId | None = None
    """Of a sheet, and of the job of one cell: the script behind it. Such jobs have no card of their own, unless
    somebody asks for a cell's."""
    place: int | None = None
    """Of the job of one cell: where it sits in the grid."""
    held_at: float | None = None
    """Since when its user pauses it: it keeps its place and is handed to no worker."""

    @property
    def spec(self) -> JobSpec:
        """What is drawn. Raises UserFacingError for a job on model files, on a finished picture or on a whole grid, of
        which nothing that starts from one prompt can be asked."""
        if not isinstance(self.task, Drawing):
            raise UserFacingError("job_draws_nothing")
        return self.task

    @property
    def draws(self) -> bool:
        """Whether `spec` may be asked for."""
        return isinstance(self.task, Drawing)

    @property
    def script(self) -> ScriptSpec | None:
        """None for everything but the job that is a whole script."""
        return self.task if isinstance(self.task, Script) else None

    @property
    def files(self) -> FileSpec | None:
        """None for a job on pictures."""
        return self.task if isinstance(self.task, FileTask) else None

    @property
    def training(self) -> Train | None:
        """None for everything but a training."""
        return self.task if isinstance(self.task, Train) else None

    @property
    def model(self) -> str:
        return model_of(self.task)


@dataclass(frozen=True, slots=True)
class Image:
    """A row of `images`: one finished picture."""

    id: ImageId
    job_id: JobId
    index: int
    path: str
    """Relative to the outputs folder."""
    sha256: str
    mime: str
    width: int
    height: int
    size_bytes: int
    seed: int
    infotext: str
    action: Action
    parent_image_id: ImageId | None = None
    deleted: bool = False


USUAL_FINDS = 2
"""Faces in a picture that has any, for the estimate; nobody knows before it is drawn."""
TASK_MODEL = "task:"
"""Before the name of a task that needs no loaded checkpoint: what stands for its model in the queue."""
TRAIN_MODEL = f"{TASK_MODEL}train"


def model_of(task: JobTask) -> str:
    """The checkpoint that a worker should have loaded, or the task itself."""
    if isinstance(task, Script):
        return task.base.checkpoint
    return task.checkpoint if isinstance(task, Drawing | Sheet | Ultimate) else f"{TASK_MODEL}{task.kind}"


def work_units(spec: JobTask) -> float:
    """Denoising work in steps x megapixels over all pictures; of files, GiB that are read; of an enlargement, how much
    larger it gets; of a training, steps x megapixels x batch. Learnt seconds per unit turn it into a cost."""
    if isinstance(spec, FileTask):
        return spec.work_units
    if isinstance(spec, Train):
        return _training_units(spec)
    if isinstance(spec, Caption):
        return float(len(spec.pictures))
    if isinstance(spec, Sheet):
        return sum(map(work_units, spec.cells))
    if isinstance(spec, Script):  # about; its sheets are what is paid for
        return work_units(spec.base) * spec.size
    if isinstance(spec, Upscale):
        return spec.scale**2 if not (spec.width and spec.height) else max(1.0, spec.width * spec.height / 5e5)
    if isinstance(spec, Preprocess):
        return float(len(spec.maps))
    if isinstance(spec, Ultimate):
        return _tiles_units(spec)
    if not isinstance(spec, Drawing):
        return 1.0
    base_mp = spec.width * spec.height / 1e6
    details = sum(_finds_units(unit, spec) for unit in spec.details) * spec.count
    if isinstance(spec, Img2Img) and spec.details_only:
        return max(0.01, details)
    if isinstance(spec, Img2Img):
        share = 1.0 if spec.exact_steps else spec.denoising_strength
        return max(1.0, spec.steps * share) * base_mp * spec.count * _parts_share(spec.prompt) + details
    hires = spec.hires
    units = spec.steps * base_mp * _parts_share(spec.prompt) if hires is None or hires.source is None else 0.0
    if hires is not None:
        resize = (hires.resize_width, hires.resize_height)
        width, height = hires_target((spec.width, spec.height), hires.scale, resize)
        units += (hires.steps or spec.steps) * width * height / 1e6 * _parts_share(hires.prompt or spec.prompt)
        if hires.source is not None and hires.source.type == "rendered":
            units += work_units(hires.source.spec) / spec.count
    return units * spec.count + details


def _parts_share(prompt: str) -> float:
    """Each part of an `AND` is one more call of the model beside the negative prompt's."""
    parts = len(split_and(parse_networks(prompt)[0])) if "AND" in prompt else 1
    return (parts + 1) / 2


def _tiles_units(spec: Ultimate) -> float:
    """Of all tiles, at the size that each is drawn at; beside them an upscaler's work is small."""
    units = 0.0
    for tile in spec.tiles():
        strength = spec.seams_denoise if tile.mends else spec.drawing.denoising_strength
        steps = spec.drawing.steps if spec.drawing.exact_steps else max(1.0, spec.drawing.steps * strength)
        units += steps * tile.process[0] * tile.process[1] / 1e6
    return max(0.01, units)


def _finds_units(unit: DetailFix, spec: Drawing) -> float:
    """Of one unit in one picture, as if it found as many as it usually does."""
    if unit.denoising_strength == 0:
        return 0.0
    found = min(USUAL_FINDS, unit.only_k or unit.most, unit.most)
    mp = (unit.width or spec.width) * (unit.height or spec.height) / 1e6
    return max(1.0, (unit.steps or spec.steps) * unit.denoising_strength) * mp * found


def _training_units(spec: Train) -> float:
    """About: which pictures share a bucket, and so how many batches there are, is known once they are read."""
    batches = [_epoch_batches(dataset) for dataset in spec.datasets]
    length = training_length(
        sum(batches),
        max_train_epochs=spec.parameters.max_train_epochs,
        max_train_steps=spec.parameters.max_train_steps,
        accumulation=spec.parameters.gradient_accumulation_steps,
    )
    epoch_mp = sum(
        count * dataset.rules.batch_size * dataset.rules.resolution[0] * dataset.rules.resolution[1] / 1e6
        for count, dataset in zip(batches, spec.datasets, strict=True)
    )
    return max(0.01, epoch_mp * length.total_steps / length.steps_per_epoch)


def _epoch_batches(dataset: TrainDataset) -> int:
    own = sum(len(subset.images) * subset.num_repeats for subset in dataset.subsets if not subset.is_reg)
    # Pictures of the class are seen as often as those of what is learnt.
    classes = own if any(subset.is_reg for subset in dataset.subsets) else 0
    return math.ceil((own + classes) / dataset.rules.batch_size)
