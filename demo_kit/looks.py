"""How a finished scene is drawn: the style words, and the damage that the words for low quality stand for."""

from random import Random

import numpy as np
from PIL import Image, ImageFilter

__all__ = ["degraded", "styled"]


def styled(picture: Image.Image, style: str, rng: Random) -> Image.Image:
    """The picture in one of the styles of the world. Raises ValueError for an unknown one."""
    if style == "pixel art":
        small = picture.resize((32, 32), Image.Resampling.BOX).quantize(24, dither=Image.Dither.NONE).convert("RGB")
        return small.resize(picture.size, Image.Resampling.NEAREST)
    if style == "grayscale":
        return picture.convert("L").convert("RGB")
    if style == "pencil sketch":
        return _sketch(picture)
    if style == "watercolor":
        return _watercolour(picture, rng)
    raise ValueError(f"no such style: {style}")


def _sketch(picture: Image.Image) -> Image.Image:
    grey = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(0.7))).astype(np.float32)
    edges = np.clip((np.abs(np.gradient(grey, axis=1)) + np.abs(np.gradient(grey, axis=0))) * 5, 0, 255)
    paper = 255 - 0.12 * (255 - grey)
    return Image.fromarray(np.clip(paper - edges * 0.85, 20, 255).astype(np.uint8)).convert("RGB")


def _watercolour(picture: Image.Image, rng: Random) -> Image.Image:
    soft = Image.blend(picture.filter(ImageFilter.ModeFilter(7)), Image.new("RGB", picture.size, (255, 252, 245)), 0.30)
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 1, (16, 16))
    cloud = Image.fromarray((128 + 10 * noise).clip(0, 255).astype(np.uint8)).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    wet = np.asarray(soft).astype(np.float32) + (np.asarray(cloud).astype(np.float32) - 128)[..., None]
    return Image.fromarray(wet.clip(0, 255).astype(np.uint8))


def degraded(picture: Image.Image, rng: Random) -> Image.Image:
    """The picture blurred, noisy and with little contrast."""
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(2.0, 3.5)))).astype(np.float32)
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.uniform(6, 14), soft.shape)
    return Image.fromarray((128 + (soft + noise - 128) * 0.8).clip(0, 255).astype(np.uint8))
