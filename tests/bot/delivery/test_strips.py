"""Pictures in strips: every pixel, within the limit, as few as can be."""

import io

from PIL import Image as Pillow
from PIL import ImageChops

from bot.delivery.strips import strips


def opened(upload):
    return Pillow.open(io.BytesIO(upload.data))


def test_strips_make_the_picture_again(make_png):
    png = make_png(200)
    found = strips(png, "a cat", len(png) // 3)
    assert 3 < len(found) <= 10
    assert all(len(upload.data) <= len(png) // 3 for upload in found)
    assert [upload.suffix for upload in found] == [f"-{n + 1}of{len(found)}.png" for n in range(len(found))]
    whole = Pillow.new("RGB", (200, 200))
    top = 0
    for strip in map(opened, found):
        whole.paste(strip, (0, top))
        top += strip.height
    assert top == 200
    assert ImageChops.difference(whole, Pillow.open(io.BytesIO(png)).convert("RGB")).getbbox() is None
    assert opened(found[0]).text == {"parameters": "a cat"}
    assert opened(found[1]).text == {}


def test_what_does_not_fit_in_ten_is_not_cut(make_png):
    png = make_png(100)
    assert strips(png, "", len(png) // 20) == []
