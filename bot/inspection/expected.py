"""What the pictures of a job have to be: how many, how large, from which seeds, with which texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.domain.job import JobTask
from bot.inspection.texts import drawing_text, extras_text, map_text
from gpu_worker.language.passes import hires_target
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.specs import (
    OUTPUT_MAX_PX,
    ULTIMATE_MAX_PX,
    Drawing,
    Img2Img,
    JobSpec,
    Preprocess,
    Sheet,
    Txt2Img,
    Ultimate,
    Upscale,
)

__all__ = ["Expected", "expected_pictures", "how_many"]

SOURCE_MAX_PX = 16384
"""Longest side of what keeps the size of a given picture."""
ROOM_BYTES = 1 << 20
BYTES_MAX = 256 << 20

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Expected:
    seed: int
    variation_seed: int | None
    infotext: str
    size: Size | None
    """Width and height in pixels; None where they follow from a picture that only the worker has read."""
    longest_px: int = OUTPUT_MAX_PX
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """What its file says, by PNG keyword."""

    @property
    def limit_bytes(self) -> int:
        """What no PNG of that size is larger than."""
        if self.size is None:
            return BYTES_MAX
        return min(BYTES_MAX, 4 * self.size[0] * self.size[1] + ROOM_BYTES)


def how_many(task: JobTask) -> int:
    """Pictures that a job has when all of it could be drawn; 0 for one that makes none."""
    match task:
        case Sheet():
            return len(task.cells)
        case Ultimate():
            return task.results
        case Preprocess():
            return len(task.maps)
        case Upscale():
            return 1
        case Drawing():
            return task.count
        case _:
            return 0


def expected_pictures(task: JobTask, said: Sequence[str], source_text: str = "") -> list[Expected]:
    """In order, `how_many` of them; `said` are the worker's texts, one for each. `source_text` is what the picture says
    that an `Upscale` enlarges."""
    match task:
        case Sheet():
            return [expected_pictures(cell, [text])[0] for cell, text in zip(task.cells, said, strict=True)]
        case Ultimate():
            return [_of_tiles(task, text) for text in said]
        case Preprocess():
            return [_map(each, text) for each, text in zip(task.maps, said, strict=True)]
        case Upscale():
            return [_enlarged(task, text, source_text) for text in said]
        case Txt2Img() | Img2Img():
            return [_drawn(picture_spec(task, index), text) for index, text in enumerate(said)]
        case _:
            return []


def _drawn(spec: JobSpec, said: str) -> Expected:
    size = _size_of(spec)
    longest_px = SOURCE_MAX_PX if size is None and isinstance(spec, Img2Img) else OUTPUT_MAX_PX
    return _of(spec, drawing_text(spec, said), size, longest_px)


def _of_tiles(task: Ultimate, said: str) -> Expected:
    text = drawing_text(task.drawing, said, tiled=task)
    return _of(task.drawing, text, (task.width, task.height), ULTIMATE_MAX_PX)


def _of(spec: JobSpec, text: str, size: Size | None, longest_px: int) -> Expected:
    variation = spec.variations[-1].seed if spec.variations else None
    return Expected(spec.seed, variation, text, size, longest_px, {"parameters": text})


def _map(spec: Preprocess, said: str) -> Expected:
    text = map_text(spec, said)
    size = (spec.width, spec.height) if spec.fit else None
    return Expected(spec.seed, None, text, size, SOURCE_MAX_PX, {"parameters": "", "extras": text})


def _enlarged(spec: Upscale, said: str, source_text: str) -> Expected:
    """The source's text stays that of the picture, as in A1111."""
    done = extras_text(spec, "" if source_text else said)
    texts = {"parameters": source_text, "extras": done}
    longest_px = SOURCE_MAX_PX if spec.upscaler == "None" else ULTIMATE_MAX_PX
    return Expected(0, None, source_text or done, None, longest_px, texts)


def _size_of(spec: JobSpec) -> Size | None:
    if isinstance(spec, Img2Img):
        keeps = spec.details_only or (spec.mask is not None and spec.mask.only_masked)
        return None if keeps else (spec.width, spec.height)
    hires = spec.hires
    if hires is None:
        return spec.width, spec.height
    if hires.source is not None:
        return None
    return hires_target(spec.width, spec.height, hires.scale, hires.resize_width, hires.resize_height).final
