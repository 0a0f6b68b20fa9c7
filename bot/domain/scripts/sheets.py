"""How the cells of a script become sheets, which are what workers are given."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.scripts.base import Cell
from bot.domain.sizes import hires_target
from gpu_worker.language.networks import parse_networks
from gpu_worker.protocol.specs import JobSpec, Sheet, Txt2Img

__all__ = ["SHEET_CELLS", "SHEET_PIXELS", "sheets_of"]

SHEET_CELLS = 8
"""A sheet is what others wait for at most, so it is no larger than pays off in batches."""
SHEET_PIXELS = 4_200_000
"""Finished pixels of a sheet, about: four pictures of SDXL, eight of SD 1.5 at twice its area."""


def sheets_of(cells: Sequence[Cell]) -> list[Sheet]:
    """Every cell once. Cells of one checkpoint stand together, and among them those that share a state of the model and
    a shape, in the order in which each first came: models are loaded, and LoRAs merged, as seldom as can be."""
    by_checkpoint: dict[str, dict[object, list[Cell]]] = {}
    for cell in cells:
        alike = by_checkpoint.setdefault(cell.spec.checkpoint, {})
        alike.setdefault(_shape(cell.spec), []).append(cell)
    sheets: list[Sheet] = []
    for alike in by_checkpoint.values():
        for group in alike.values():
            at_once = max(1, min(SHEET_CELLS, SHEET_PIXELS // max(1, _pixels(group[0].spec))))
            for start in range(0, len(group), at_once):
                part = group[start : start + at_once]
                sheets.append(Sheet(cells=tuple(cell.spec for cell in part), places=tuple(cell.index for cell in part)))
    return sheets


def _shape(spec: JobSpec) -> object:
    """Equal for cells whose calls of the model can share a batch from beginning to end."""
    networks = tuple((tag.kind.lower(), tuple(tag.items)) for tag in parse_networks(spec.prompt)[1])
    hires = spec.hires if isinstance(spec, Txt2Img) else None
    second = None
    if hires is not None:
        second = (hires.checkpoint, hires.scale, hires.resize_width, hires.resize_height, hires.tile_px, hires.upscaler)
    return (
        spec.kind, spec.vae, spec.width, spec.height, spec.clip_skip, networks, spec.tiling, second, spec.refiner,
        spec.image_prompts, tuple(unit.model for unit in spec.control),
    )  # fmt: skip


def _pixels(spec: JobSpec) -> int:
    if not isinstance(spec, Txt2Img) or spec.hires is None:
        return spec.width * spec.height
    hires = spec.hires
    width, height = hires_target((spec.width, spec.height), hires.scale, (hires.resize_width, hires.resize_height))
    return width * height
