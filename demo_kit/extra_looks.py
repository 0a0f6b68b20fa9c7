"""Looks that no word of the checkpoint stands for: those of the LoRAs and of the second checkpoint."""

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

__all__ = ["blueprint", "comic", "sepia"]


def _edges(picture: Image.Image, blur: float = 0.8) -> np.ndarray:
    """Strength of edges, 0..1."""
    grey = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(blur))).astype(np.float32)
    strength = np.hypot(np.gradient(grey, axis=1), np.gradient(grey, axis=0))
    return np.clip(strength / 24, 0, 1)


def blueprint(picture: Image.Image) -> Image.Image:
    """White lines on blue paper, as an architect draws."""
    lines = _edges(picture)[..., None]
    grey = np.asarray(picture.convert("L")).astype(np.float32)[..., None] / 255
    paper = np.array([24.0, 62.0, 140.0]) * (0.75 + 0.35 * grey)
    return Image.fromarray(
        (paper * (1 - lines) + np.array([235.0, 242.0, 255.0]) * lines).clip(0, 255).astype(np.uint8)
    )


def sepia(picture: Image.Image) -> Image.Image:
    """An old brown photograph with dark corners."""
    grey = np.asarray(picture.convert("L")).astype(np.float32)[..., None] / 255
    y, x = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    corners = (1 - 0.42 * np.clip(np.hypot(x, y) - 0.55, 0, 1))[..., None]
    toned = np.array([40.0, 24.0, 12.0]) * (1 - grey) + np.array([250.0, 226.0, 182.0]) * grey
    return Image.fromarray((toned * corners).clip(0, 255).astype(np.uint8))


def comic(picture: Image.Image) -> Image.Image:
    """Strong flat colours within thick black lines, dots in the dark parts."""
    vivid = ImageEnhance.Color(picture.filter(ImageFilter.ModeFilter(5))).enhance(1.5)
    flat = np.round(np.asarray(vivid).astype(np.float32) / 51) * 51
    y, x = np.mgrid[0 : picture.height, 0 : picture.width]
    dots = ((x + y) % 6 < 2) & ((x - y) % 6 < 2)
    dark = flat.mean(2) < 110
    flat[dots & dark] += 60
    cover = np.clip(_edges(picture, 1.0) * 1.3, 0, 1)[..., None]
    return Image.fromarray((flat.clip(0, 255) * (1 - cover) + 12 * cover).astype(np.uint8))
