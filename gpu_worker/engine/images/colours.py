"""Colour correction after img2img: behaviours §9.3.

Histograms are matched channel by channel in CIE L*a*b* (8 bits a channel); then the drawn picture's own luminosity is
put back, by SetLum and ClipColor of the W3C's "Compositing and Blending Level 1" (non-separable blend modes) with the
luma weights of BT.601.
"""

from __future__ import annotations

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture

__all__ = ["matched"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def matched(drawn: Picture, init: Picture) -> Picture:
    """`drawn` with the colours of `init` and its own brightness; the pictures may differ in size."""
    from skimage.exposure import match_histograms  # it imports scipy

    lab = match_histograms(
        cv2.cvtColor(drawn, cv2.COLOR_RGB2LAB), cv2.cvtColor(init, cv2.COLOR_RGB2LAB), channel_axis=2
    )
    return _with_luminosity(np.asarray(cv2.cvtColor(np.asarray(lab, np.uint8), cv2.COLOR_LAB2RGB), np.uint8), drawn)


def _with_luminosity(colours: Picture, luminosity: Picture) -> Picture:
    wanted = (luminosity / np.float32(255)) @ LUMA
    base = np.asarray(colours / np.float32(255), np.float32)
    shifted = np.asarray(base + (wanted - base @ LUMA)[:, :, None], np.float32)
    return np.asarray((_clipped(shifted) * 255).round(), np.uint8)


def _clipped(pixels: Floats) -> Floats:
    """Into 0..1 by moving each pixel towards the grey of its luma."""
    luma = (pixels @ LUMA)[:, :, None]
    lowest, highest = pixels.min(axis=2, keepdims=True), pixels.max(axis=2, keepdims=True)
    tiny = np.float32(1e-6)
    pixels = np.where(lowest < 0, luma + (pixels - luma) * luma / np.maximum(luma - lowest, tiny), pixels)
    over = luma + (pixels - luma) * (1 - luma) / np.maximum(highest - luma, tiny)
    return np.where(highest > 1, over, pixels).clip(0, 1)
