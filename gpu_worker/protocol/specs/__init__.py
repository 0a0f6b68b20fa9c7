"""What a job asks the worker for: `TaskSpec`, the part of an `Assign` that the engine reads; mostly a drawing.

Specs are frozen and complete: every default is resolved and the seed drawn before a job is stored, so the same spec
renders the same picture after a crash, on another worker, and years later from the database.
Unknown fields are ignored on the wire (a newer bot may talk to an older worker); ranges are refused, never clamped.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gpu_worker.protocol.specs.base import (
    OUTPUT_MAX_PX,
    SEED_MAX,
    SIZE_MAX_PX,
    SIZE_MIN_PX,
    FaceRestore,
    ImagePrompt,
    ImagePrompts,
    ImageRef,
    Refiner,
    Template,
    Texts,
    Variation,
    Wire,
)
from gpu_worker.protocol.specs.captions import CAPTION_TAGS_MAX, Caption, CaptionPicture, ExistingCaption
from gpu_worker.protocol.specs.control import ControlMode, ControlResize, ControlType, ControlUnit
from gpu_worker.protocol.specs.details import DETAILS_MAX, DetailFix, DetailSort
from gpu_worker.protocol.specs.drawings import (
    Drawing,
    Extend,
    Hires,
    Img2Img,
    JobSpec,
    Mask,
    RenderedSource,
    Source,
    StoredSource,
    Txt2Img,
)
from gpu_worker.protocol.specs.files import (
    BakedLora,
    BakeSpec,
    ConvertSpec,
    FileSpec,
    FileTask,
    MergeSpec,
    Parts,
    Precision,
)
from gpu_worker.protocol.specs.pictures import Describe, PictureTask, Upscale
from gpu_worker.protocol.specs.preprocess import Preprocess
from gpu_worker.protocol.specs.regions import REGIONS_MAX, Region, Regions
from gpu_worker.protocol.specs.sheet import SHEET_CELLS_MAX, Sheet
from gpu_worker.protocol.specs.training import TRAIN_IMAGES_MAX, Train, TrainDataset, TrainImage, TrainSubset
from gpu_worker.protocol.specs.ultimate import TILES_MAX, ULTIMATE_MAX_PX, Ultimate

__all__ = [
    "CAPTION_TAGS_MAX", "DETAILS_MAX", "DRAW_TASKS", "FILE_TASKS", "LOOK_TASKS", "OUTPUT_MAX_PX", "REGIONS_MAX",
    "SEED_MAX", "SHEET_CELLS_MAX", "SIZE_MAX_PX", "SIZE_MIN_PX", "TILES_MAX", "TRAIN_IMAGES_MAX", "TRAIN_TASKS",
    "ULTIMATE_MAX_PX", "BakeSpec", "BakedLora", "Caption", "CaptionPicture", "ControlMode", "ControlResize",
    "ControlType", "ControlUnit", "ConvertSpec", "Describe", "DetailFix", "DetailSort", "DrawTask", "Drawing",
    "ExistingCaption", "Extend", "FaceRestore", "FileSpec", "FileTask", "Hires", "ImagePrompt", "ImagePrompts",
    "ImageRef", "Img2Img", "JobSpec", "Mask", "MergeSpec", "Parts", "PictureTask", "Precision", "Preprocess",
    "Refiner", "Region", "Regions", "RenderedSource", "Sheet", "Source", "StoredSource", "TaskSpec", "Template",
    "Texts", "Train", "TrainDataset", "TrainImage", "TrainSubset", "Txt2Img", "Ultimate", "Upscale", "Variation",
    "Wire",
]  # fmt: skip

DRAW_TASKS = ("txt2img", "img2img", "upscale", "preprocess", "sheet", "ultimate")
FILE_TASKS = ("convert", "merge", "bake")
LOOK_TASKS = ("describe", "caption")
TRAIN_TASKS = ("train",)

DrawTask = Txt2Img | Img2Img | Upscale | Preprocess | Ultimate
"""What the engine draws; a sheet is several of them."""

TaskSpec = Annotated[
    Txt2Img
    | Img2Img
    | Upscale
    | Preprocess
    | Sheet
    | Ultimate
    | Describe
    | Caption
    | ConvertSpec
    | MergeSpec
    | BakeSpec
    | Train,
    Field(discriminator="kind"),
]
"""What a worker does; its `kind` is the task's name, announced in `Hello.tasks`."""
