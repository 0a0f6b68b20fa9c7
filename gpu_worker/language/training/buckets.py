"""Sizes at which pictures are trained: aspect-ratio buckets (behaviours §24.2; sd-scripts' `BucketManager`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpu_worker.language.training.parameters import DatasetRules

__all__ = ["Bucketed", "bucket_of", "bucket_sizes", "cover", "select_bucket"]

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Bucketed:
    bucket: Size
    """What is trained: the picture is brought to `resized`, and what is over is cut off."""
    resized: Size
    ar_error: float
    """Aspect ratio of the bucket less that of the picture."""


def bucket_of(picture: Size, rules: DatasetRules) -> Bucketed:
    """What a picture of that size becomes in a data set; without buckets everything becomes the resolution. Raises
    ValueError as `select_bucket` does."""
    if not rules.enable_bucket:
        wide, high = rules.resolution
        return Bucketed(rules.resolution, cover(picture, rules.resolution), wide / high - picture[0] / picture[1])
    sizes: tuple[Size, ...] = ()
    if not rules.bucket_no_upscale:
        sizes = bucket_sizes(rules.resolution, rules.min_bucket_reso, rules.max_bucket_reso, rules.bucket_reso_steps)
    return select_bucket(picture, sizes, rules.resolution, rules.bucket_reso_steps, no_upscale=rules.bucket_no_upscale)


def bucket_sizes(resolution: Size, least: int, most: int, step: int) -> tuple[Size, ...]:
    """All sizes between `least` and `most`, in multiples of `step`, that have no more pixels than `resolution`.
    Ascending."""
    area = resolution[0] * resolution[1]
    side = int(math.sqrt(area) // step) * step
    sizes = {(side, side)}
    for width in range(least, most + 1, step):
        height = min(most, int((area // width) // step) * step)
        if height >= least:
            sizes |= {(width, height), (height, width)}
    return tuple(sorted(sizes))


def select_bucket(
    picture: Size, sizes: tuple[Size, ...], resolution: Size, step: int, *, no_upscale: bool = False
) -> Bucketed:
    """The picture's own size where it is one of `sizes`, else that of the nearest aspect ratio. `no_upscale` never
    enlarges: there a size is the picture's own, or what fits `resolution`, down to a multiple of `step`.

    Raises ValueError for a picture so narrow, or so small, that nothing of a whole step is left.
    """
    width, height = picture
    ratio = width / height
    if no_upscale:
        resized = _shrunk(picture, resolution, step)
        bucket = resized[0] - resized[0] % step, resized[1] - resized[1] % step
        if not all(bucket):
            raise ValueError(f"{width} x {height} leaves nothing of {step} px")
    else:
        bucket = picture if picture in sizes else min(sizes, key=lambda size: abs(size[0] / size[1] - ratio))
        resized = cover(picture, bucket)
    return Bucketed(bucket, resized, bucket[0] / bucket[1] - ratio)


def cover(picture: Size, size: Size) -> Size:
    """The picture's size when it just covers `size`."""
    wide = picture[0] / picture[1] > size[0] / size[1]
    scale = size[1] / picture[1] if wide else size[0] / picture[0]
    return int(picture[0] * scale + 0.5), int(picture[1] * scale + 0.5)


def _shrunk(picture: Size, resolution: Size, step: int) -> Size:
    """At most as many pixels as `resolution`, with one side a multiple of `step`: the one that keeps the aspect ratio
    better."""
    width, height = picture
    area = resolution[0] * resolution[1]
    if width * height <= area:
        return picture
    ratio = width / height
    fit_width = math.sqrt(area * ratio)
    by_width = _rounded(fit_width, step)
    by_height = _rounded(area / fit_width, step)
    height_then, width_then = _rounded(by_width / ratio, step), _rounded(by_height * ratio, step)
    if not height_then or not by_height:
        raise ValueError(f"{width} x {height} leaves nothing of {step} px")
    if abs(by_width / height_then - ratio) < abs(width_then / by_height - ratio):
        return by_width, int(by_width / ratio + 0.5)
    return int(by_height * ratio + 0.5), by_height


def _rounded(length: float, step: int) -> int:
    whole = int(length + 0.5)
    return whole - whole % step
