"""What belongs to the whole picture, as one tile has it: control pictures, regions, and the size conditioned on."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.control.units import OpenedUnit
from gpu_worker.language.tiles import Box, Size
from gpu_worker.protocol.specs import Region, Regions

__all__ = ["guide_of_tile", "part_of", "regions_of_tile"]


def guide_of_tile(guide: Guide, crop: Box, whole: Size, process: Size) -> Guide:
    """For the part `crop` of a picture of the size `whole`, drawn at `process`."""
    if guide.refiner is not None:
        share, refiner = guide.refiner
        guide = dataclasses.replace(guide, refiner=(share, guide_of_tile(refiner, crop, whole, process)))
    return dataclasses.replace(
        guide,
        width=process[0],
        height=process[1],
        control=tuple(_unit(opened, crop, whole, process) for opened in guide.control),
        regions=regions_of_tile(guide.regions, crop, whole) if guide.regions is not None else None,
    )


def part_of(picture: Picture, crop: Box, whole: Size, process: Size) -> Picture:
    """Of a picture, or mask, that is meant to cover all of `whole`: its middle, as "Crop and resize" has it, then what
    lies in `crop`. At `process`, without the whole of it ever being there."""
    height, width = picture.shape[:2]
    scale = max(whole[0] / width, whole[1] / height)
    left, top = (width - whole[0] / scale) / 2, (height - whole[1] / scale) / 2
    box = (left + crop[0] / scale, top + crop[1] / scale, left + crop[2] / scale, top + crop[3] / scale)
    inside = max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])
    return np.asarray(Image.fromarray(picture).resize(process, Image.Resampling.LANCZOS, box=inside))


def regions_of_tile(regions: Regions, crop: Box, whole: Size) -> Regions:
    """Where the whole picture's regions lie in the tile. One that does not reach it has no area there."""
    return regions.model_copy(update={"areas": tuple(_area(area, crop, whole) for area in regions.areas)})


def _area(area: Region, crop: Box, whole: Size) -> Region:
    def share(place: float, cells: float, side: int, start: int, end: int) -> float:
        return min(1.0, max(0.0, (place / cells * side - start) / (end - start)))

    return area.model_copy(
        update={
            "rows": 1.0,
            "columns": 1.0,
            "left": share(area.left, area.columns, whole[0], crop[0], crop[2]),
            "right": share(area.right, area.columns, whole[0], crop[0], crop[2]),
            "top": share(area.top, area.rows, whole[1], crop[1], crop[3]),
            "bottom": share(area.bottom, area.rows, whole[1], crop[1], crop[3]),
        }
    )


def _unit(opened: OpenedUnit, crop: Box, whole: Size, process: Size) -> OpenedUnit:
    """A unit without a picture of its own sees the tile itself."""
    changes = {
        name: part_of(seen, crop, whole, process)
        for name, seen in (("picture", opened.picture), ("mask", opened.mask))
        if seen is not None
    }
    return dataclasses.replace(opened, **changes)  # pyright: ignore[reportArgumentType]
