"""Picture files of unknown origin: what is read, and what is refused without harm."""

import io
import struct
import zlib

import numpy as np
import pytest
from drawing import ref_to
from PIL import Image

from gpu_worker.engine.engine import EngineError
from gpu_worker.engine.images.files import open_mask, open_picture, picture_bytes, png_bytes, read_infotext


def encoded(image, kind):
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_formats(kind):
    data = encoded(Image.new("RGB", (40, 24), (10, 20, 200)), kind)
    picture = open_picture(data, ref_to(data))
    assert picture.shape == (24, 40, 3)
    assert np.abs(picture[0, 0].astype(int) - (10, 20, 200)).max() < 8


def test_transparency_lies_on_white_and_palettes_are_read():
    data = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "PNG")
    assert (open_picture(data, ref_to(data)) == 255).all()
    data = encoded(Image.new("RGB", (8, 8), (255, 0, 0)).convert("P"), "PNG")
    assert (open_picture(data, ref_to(data))[0, 0] == (255, 0, 0)).all()


def bomb():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no picture", bomb(), encoded(Image.new("RGB", (64, 64)), "PNG")[:-40],
        encoded(Image.new("RGB", (8, 8)), "TIFF"), encoded(Image.new("L", (5000, 4000)), "PNG"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["empty", "text", "bomb", "truncated", "tiff", "too many pixels", "postscript"],
)  # fmt: skip
def test_what_is_no_usable_picture_is_bad_input(data):
    with pytest.raises(EngineError) as caught:
        open_picture(data, ref_to(data or b"x"))
    assert (caught.value.kind, caught.value.detail["reason"]) == ("bad_input", "source_picture")


def test_other_bytes_than_announced_are_refused():
    data = encoded(Image.new("RGB", (8, 8)), "PNG")
    with pytest.raises(EngineError):
        open_picture(data, ref_to(data + b"x"))


@pytest.mark.parametrize("text", ["a cat\nSteps: 1", "gato ñ", "日本 😀", "nul\x00 and \ud800 half"])
def test_infotext_is_stored_where_a1111_looks(text):
    png = png_bytes(np.zeros((8, 8, 3), np.uint8), text)
    assert read_infotext(png) == text.replace("\ud800", "?")
    kind = b"iTXt" if "日" in text else b"tEXt"
    assert kind + b"parameters\0" in png


def test_a_picture_without_infotext():
    assert read_infotext(encoded(Image.new("RGB", (8, 8)), "PNG")) is None


def test_photos_stand_upright_and_deep_greys_are_read():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    target = io.BytesIO()
    Image.new("RGB", (40, 24)).save(target, "JPEG", exif=exif)
    assert open_picture(target.getvalue(), ref_to(target.getvalue())).shape == (40, 24, 3)
    data = encoded(Image.fromarray(np.full((8, 8), 0x80FF, np.uint16)), "PNG")
    assert (open_picture(data, ref_to(data)) == 0x80).all()


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    assert (open_picture(target.getvalue(), ref_to(target.getvalue()))[0, 0] == (255, 0, 0)).all()


def test_masks_by_transparency_or_brightness():
    painted = np.zeros((2, 3, 4), np.uint8)
    painted[..., 3] = [[0, 128, 129], [255, 200, 7]]
    data = encoded(Image.fromarray(painted), "PNG")
    assert open_mask(data, ref_to(data)).tolist() == [[0, 0, 255], [255, 255, 0]]
    opaque = np.full((2, 3, 4), 255, np.uint8)
    opaque[0, :, :3] = [[0, 0, 0], [100, 100, 100], [255, 0, 0]]
    data = encoded(Image.fromarray(opaque), "PNG")
    assert open_mask(data, ref_to(data)).tolist() == [[0, 100, 76], [255, 255, 255]]
    grey = encoded(Image.new("L", (4, 2), 33), "PNG")
    assert (open_mask(grey, ref_to(grey)) == 33).all()
    with pytest.raises(EngineError):
        open_mask(b"no picture", ref_to(b"no picture"))


def test_what_extras_did_stands_apart():
    with Image.open(
        io.BytesIO(png_bytes(np.zeros((8, 8, 3), np.uint8), "a cat", "Postprocess upscale by: 2"))
    ) as image:
        assert (image.text["parameters"], image.text["extras"]) == ("a cat", "Postprocess upscale by: 2")


def test_an_infotext_too_long_for_a_jpeg_is_left_out():
    black = np.zeros((8, 8, 3), np.uint8)
    assert read_infotext(picture_bytes(black, "x" * 40_000, "JPEG")) is None
    assert read_infotext(picture_bytes(black, "x" * 30_000, "JPEG")) == "x" * 30_000
    assert read_infotext(picture_bytes(black, "x" * 40_000, "WEBP", lossless=True)) == "x" * 40_000


@pytest.mark.parametrize("data", [b"", b"no picture", bomb(), encoded(Image.new("RGB", (64, 64)), "PNG")[:-40]])
def test_no_infotext_where_there_is_no_picture(data):
    assert read_infotext(data) is None
