"""From five landmarks to an upright square face and back.

The square is that of FFHQ (Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks",
2019), for which GFPGAN and CodeFormer were trained: 512 px, the five points at TEMPLATE.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture

__all__ = ["FACE_PX", "TEMPLATE", "Landmarks", "Placement", "box_mask", "crop", "paste", "placement"]

FACE_PX = 512
TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""x and y of the left and right eye (as seen), the nose, the left and right corner of the mouth."""
OUTSIDE = (132, 133, 135)
"""What the restorers expect beyond the picture's edge."""
EDGE_PX = FACE_PX // 20
"""The square's border fades out over this width, starting as far inside."""

Landmarks: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
"""[5, 2]: x and y in pixels of the picture, in the order of TEMPLATE."""
Placement: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
"""[2, 3]: turn, scale and shift from the picture to the square."""


def placement(landmarks: Landmarks) -> Placement | None:
    """The similarity transform that brings the landmarks nearest to TEMPLATE; None where they make no face."""
    if not np.isfinite(landmarks).all():
        return None
    # Least median of squares: one point gone astray does not turn the face.
    matrix, _ = cv2.estimateAffinePartial2D(landmarks.astype(np.float64), TEMPLATE, method=cv2.LMEDS)
    if matrix is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-9:
        return None
    return np.asarray(matrix, np.float64)


def crop(picture: Picture, place: Placement) -> Picture:
    """[FACE_PX, FACE_PX, 3]"""
    face = cv2.warpAffine(picture, place, (FACE_PX, FACE_PX), borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE)
    return np.asarray(face, np.uint8)


def box_mask() -> Floats:
    """[FACE_PX, FACE_PX] of 0..1: the whole square, soft at its border; for a face whose outline is not known."""
    mask = np.zeros((FACE_PX, FACE_PX), np.float32)
    mask[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX] = 1
    return np.asarray(cv2.GaussianBlur(mask, (2 * EDGE_PX + 1, 2 * EDGE_PX + 1), 0), np.float32)


def paste(picture: Picture, face: Picture, place: Placement, mask: Floats) -> Picture:
    """The picture with the square `face` in its place, as far as `mask` [FACE_PX, FACE_PX] shows it.

    Pixels that the mask does not reach are exactly kept.
    """
    back = cv2.invertAffineTransform(place)
    corners = np.array([[0, 0], [FACE_PX, 0], [0, FACE_PX], [FACE_PX, FACE_PX]]) @ back[:, :2].T + back[:, 2]
    limit = (picture.shape[1], picture.shape[0])
    left, top = np.floor(corners.min(axis=0)).clip(0, limit).astype(int)
    right, bottom = np.ceil(corners.max(axis=0) + 1).clip(0, limit).astype(int)
    if left >= right or top >= bottom:
        return picture
    # Only the part that the square covers is looked at: faces may be small in large pictures.
    shifted = back.copy()
    shifted[:, 2] -= (left, top)
    size = (int(right - left), int(bottom - top))
    warped = np.asarray(cv2.warpAffine(face, shifted, size), np.float32)
    share = np.asarray(cv2.warpAffine(mask, shifted, size), np.float32)[:, :, None]
    part = picture[top:bottom, left:right]
    restored = picture.copy()
    restored[top:bottom, left:right] = np.where(share > 0, (share * warped + (1 - share) * part).round(), part)
    return restored
