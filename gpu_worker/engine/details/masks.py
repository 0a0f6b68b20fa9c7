"""From what was found to the masks that are drawn, in ADetailer's order: kept by size, sorted, moved, grown, merged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from gpu_worker.engine.details.boxes import Found
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.protocol.specs import DetailFix

__all__ = ["masks_of"]


def masks_of(found: Sequence[Found], size: tuple[int, int], unit: DetailFix) -> list[Mask8]:
    """uint8 [height, width] of the picture, 255 where it is drawn again; none that is empty. `size` is the picture's
    width and height, `found` the surest first."""
    width, height = size
    kept = [one for one in found if unit.min_ratio <= _area(one) / (width * height) <= unit.max_ratio]
    if unit.only_k:
        largest = sorted(kept, key=_area, reverse=True)[: unit.only_k]
        kept = [one for one in kept if any(one is other for other in largest)]
    kept = _sorted(kept, size, unit)[: unit.most]
    masks = [_grown(_moved(_mask(one, size), unit.x_offset, -unit.y_offset), unit.dilate) for one in kept]
    masks = [mask for mask in masks if mask.any()]
    if masks and unit.merge != "None":
        merged = np.maximum.reduce(masks)
        masks = [255 - merged if unit.merge == "Merge and Invert" else merged]
    return [mask for mask in masks if mask.any()]


def _area(one: Found) -> float:
    left, top, right, bottom = one.box
    return (right - left) * (bottom - top)


def _sorted(found: list[Found], size: tuple[int, int], unit: DetailFix) -> list[Found]:
    if unit.sort == "Position (left to right)":
        return sorted(found, key=lambda one: one.box[0])
    if unit.sort == "Position (center to edge)":
        return sorted(found, key=lambda one: math.dist(_middle(one), (size[0] / 2, size[1] / 2)))
    if unit.sort == "Area (large to small)":
        return sorted(found, key=_area, reverse=True)
    return found


def _middle(one: Found) -> tuple[float, float]:
    left, top, right, bottom = one.box
    return (left + right) / 2, (top + bottom) / 2


def _mask(one: Found, size: tuple[int, int]) -> Mask8:
    """The box, whose edges count to it as in Pillow's rectangles, or what of it lies within the outline."""
    left, top, right, bottom = one.box
    mask = np.zeros((size[1], size[0]), np.uint8)
    part = slice(int(top), min(size[1], int(bottom) + 1)), slice(int(left), min(size[0], int(right) + 1))
    mask[part] = 255
    if one.outline is not None:
        mask[one.outline <= 0] = 0
    return mask


def _moved(mask: Mask8, right: int, down: int) -> Mask8:
    """What leaves the picture comes back at no other side."""
    if not right and not down:
        return mask
    moved = np.zeros_like(mask)
    height, width = mask.shape
    kept = mask[max(0, -down) : max(0, height - max(0, down)), max(0, -right) : max(0, width - max(0, right))]
    moved[max(0, down) : max(0, down) + kept.shape[0], max(0, right) : max(0, right) + kept.shape[1]] = kept
    return moved


def _grown(mask: Mask8, by: int) -> Mask8:
    """By a square of so many pixels; less where it is negative."""
    if not by:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (abs(by), abs(by)))
    return np.asarray((cv2.dilate if by > 0 else cv2.erode)(mask, kernel), np.uint8)
