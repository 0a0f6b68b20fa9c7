"""What a picture shows, as far as its colours tell."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter, ImageStat

__all__ = ["background", "centre", "difference", "sharpness"]

COLOURS = {
    "red": (220, 50, 40), "green": (50, 160, 60), "blue": (40, 80, 210), "yellow": (245, 215, 50),
    "white": (245, 245, 245), "purple": (130, 60, 170), "orange": (240, 140, 30), "black": (20, 20, 20),
}  # fmt: skip


def _nearest(picture: Image.Image) -> str:
    mean = ImageStat.Stat(picture.convert("RGB")).median
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], mean, strict=True)))


def background(picture: Image.Image) -> str:
    """The name of the colour that most of the four corners have."""
    side = picture.width // 10
    corners = Image.new("RGB", (4 * side, side))
    right, low = picture.width - side, picture.height - side
    for index, (x, y) in enumerate([(0, 0), (right, 0), (0, low), (right, low)]):
        corners.paste(picture.convert("RGB").crop((x, y, x + side, y + side)), (index * side, 0))
    return _nearest(corners)


def centre(picture: Image.Image) -> str:
    """The name of the colour in the middle."""
    width, height = picture.size
    return _nearest(picture.crop((width * 2 // 5, height * 2 // 5, width * 3 // 5, height * 3 // 5)))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of the channels, 0 to 255."""
    found = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean
    return sum(found) / 3


def sharpness(picture: Image.Image) -> float:
    """How much the picture has that a slight blur takes away."""
    return difference(picture, picture.convert("RGB").filter(ImageFilter.GaussianBlur(1)))
