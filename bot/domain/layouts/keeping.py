"""Regions of a request that is changed or goes on from a picture, and what is told about them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from bot.domain.layouts.parts import parts_of_text
from bot.domain.layouts.rectangles import percents
from bot.domain.notes import Note, named
from gpu_worker.language.regions import END_STEP, is_whole, region_cells, written
from gpu_worker.protocol.specs import Extend, JobSpec, Region, Regions

__all__ = ["on_canvas", "region_changes", "region_count", "region_notes", "with_the_same_regions"]


def with_the_same_regions(spec: JobSpec, regions: Regions) -> tuple[JobSpec, tuple[Note, ...]]:
    """A changed request keeps them as long as its prompt has parts that they could set apart."""
    if len(parts_of_text(spec.prompt)) < 2:
        return spec, (Note("regions_dropped"),)
    return spec.model_copy(update={"regions": regions}), ()


def region_notes(spec: JobSpec) -> list[Note]:
    """What somebody might not mean, though it is drawn as it says."""
    regions = spec.regions
    if regions is None:
        return []
    notes: list[Note] = []
    texts = parts_of_text(spec.prompt)
    used = regions.areas[: len(texts)]
    if len(regions.areas) > len(texts):
        notes.append(Note("regions_superfluous", {"regions": len(regions.areas), "parts": len(texts)}))
    if len(texts) > len(regions.areas):
        notes.append(Note("regions_missing", {"regions": len(regions.areas), "parts": len(texts)}))
    empty = [str(at) for at, area in enumerate(used) if region_cells(area, spec.height // 8, spec.width // 8) is None]
    if empty:
        notes.append(Note("regions_nowhere", {"names": named(empty)}))
    wordless = [str(at) for at, text in enumerate(texts) if not text and at]
    if wordless:
        notes.append(Note("regions_wordless", {"names": named(wordless)}))
    pairs = [
        f"{one} + {two}"
        for (one, first), (two, second) in combinations(enumerate(used), 2)
        if not is_whole(first) and not is_whole(second) and _overlap(first, second)
    ]
    if pairs:
        notes.append(Note("regions_overlap", {"names": named(pairs)}))
    if regions.end_step == 0:
        notes.append(Note("regions_off"))
    elif regions.end_step > spec.steps and regions.end_step != END_STEP:  # nobody chose the usual one
        notes.append(Note("regions_to_the_end", {"step": regions.end_step, "steps": spec.steps}))
    return notes


def region_count(areas: Sequence[Region]) -> int:
    """Without the background, which is a first one of the whole picture."""
    return len(areas) - bool(areas and is_whole(areas[0]))


def region_changes(before: Regions | None, after: Regions | None) -> list[tuple[str, str, str]]:
    """Key, before and after; empty is none."""
    if before == after:
        return []
    if before is None or after is None:
        return [("Regions", _count(before), _count(after))]
    old, new = written(before.areas), written(after.areas)
    found = [("Regions", f"{old[0]} {old[1]}", f"{new[0]} {new[1]}")] if old[:2] != new[:2] else []
    if old[2] != new[2]:
        found.append(("Region weights", old[2], new[2]))
    if before.end_step != after.end_step:
        found.append(("Regions end", str(before.end_step), str(after.end_step)))
    if before.loras_apart != after.loras_apart:
        found.append(("LoRA per region", "+" if before.loras_apart else "", "+" if after.loras_apart else ""))
    return found


def on_canvas(regions: Regions | None, size: tuple[int, int], extend: Extend) -> Regions | None:
    """Where the regions of a picture lie on a canvas that grew around it, in pixels `size`. One that went to an edge
    still does, so that new canvas belongs to what is beside it."""
    if regions is None:
        return None
    width, height = size

    def moved(area: Region) -> Region:
        left, top, across, along = percents(area)
        x = _edges(left, left + across, width, extend.left, extend.right)
        y = _edges(top, top + along, height, extend.top, extend.bottom)
        return Region(
            rows=height, columns=width, top=y[0], bottom=y[1], left=x[0], right=x[1], weight=area.weight
        )  # fmt: skip

    if max(size) > 1000:  # finer than a region's grid may be, and than a latent ever is
        width, height = width // 8, height // 8
        extend = extend.model_copy(
            update={side: getattr(extend, side) // 8 for side in ("left", "right", "top", "bottom")}
        )
    areas = tuple(area if is_whole(area) else moved(area) for area in regions.areas)
    return regions.model_copy(update={"areas": areas})


def _edges(start: float, end: float, length: int, before: int, after: int) -> tuple[float, float]:
    inner = length - before - after
    first = 0.0 if start <= 0 else before + inner * start / 100
    return first, float(length) if end >= 100 else before + inner * end / 100


def _overlap(one: Region, two: Region) -> bool:
    left, top, width, height = percents(one)
    x, y, across, along = percents(two)
    slack = 0.01
    return (
        min(left + width, x + across) - max(left, x) > slack and min(top + height, y + along) - max(top, y) > slack
    )  # fmt: skip


def _count(regions: Regions | None) -> str:
    return "" if regions is None else str(region_count(regions.areas))
