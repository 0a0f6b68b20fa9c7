"""Pictures of untrusted origin: what is let through is written anew, and holds nothing but what it should."""

import io
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gpu_worker.looker.pictures import NotAPictureError, checked_part, checked_picture, checked_preview, texts_of
from gpu_worker.looker.png_files import bare_png
from gpu_worker.protocol.looking import LookAtPart, LookAtPicture, LookAtPreview

TEXTS = {"parameters": "a cat\nSteps: 20, Seed: 1", "extras": "größer → 二"}


def encoded(kind="PNG", size=(48, 32), mode="RGB", **options):
    target = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).convert(mode)
    picture.save(target, kind, **options)
    return target.getvalue()


def wish(tmp_path, data, **changes):
    source = tmp_path / "source"
    source.write_bytes(data)
    fields = {"mime": "image/png", "width": 48, "height": 32, "longest_px": 4096, "limit_bytes": 100_000} | changes
    return LookAtPicture(source=str(source), target="", **{"texts": TEXTS, **fields})


def opened(png):
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def test_the_pixels_stay_and_every_word_is_ours(tmp_path):
    said = PngInfo()
    said.add_text("parameters", "somebody else's words")
    said.add_itxt("Comment", "hidden")
    data = encoded(pnginfo=said, exif=b"Exif\0\0hidden", icc_profile=b"hidden") + b"hidden behind its end"
    written = checked_picture(wish(tmp_path, data))
    assert (written.width, written.height) == (48, 32)
    assert b"hidden" not in written.png
    assert b"else" not in written.png
    image = opened(written.png)
    assert image.info == TEXTS
    assert image.tobytes() == opened(data).tobytes()
    again = checked_picture(wish(tmp_path, written.png))
    assert again.png == written.png  # the same each time it is delivered


@pytest.mark.parametrize(
    ("kind", "mime", "mode"),
    [("WEBP", "image/webp", "RGB"), ("JPEG", "image/jpeg", "RGB"), ("PNG", "image/png", "RGBA"),
     ("PNG", "image/png", "L"), ("PNG", "image/png", "P")],
)  # fmt: skip
def test_other_kinds_of_pictures_become_plain_ones(tmp_path, kind, mime, mode):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(kind, mode=mode, icc_profile=b"hidden", exif=b"Exif\0\0hidden", **options)
    png = checked_picture(wish(tmp_path, data, mime=mime)).png
    assert b"iCCP" not in png
    image = opened(png)
    assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (48, 32), TEXTS)
    assert image.tobytes() == opened(data).convert("RGB").tobytes()


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (48, 32), colour) for colour in ("red", "blue")]
    target = io.BytesIO()
    frames[0].save(target, "PNG", save_all=True, append_images=frames[1:])
    png = checked_picture(wish(tmp_path, target.getvalue())).png
    assert b"acTL" in target.getvalue()
    assert b"acTL" not in png
    assert b"fdAT" not in png
    assert opened(png).getpixel((3, 3)) == (255, 0, 0)


def cut(data):
    return data[: len(data) // 2]


def lying_about_its_size(data):
    head = struct.pack(">II", 60000, 60000) + data[24:29]
    return data[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + data[33:]


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (b"", {}),
        (b"no picture at all", {}),
        (cut(encoded()), {}),
        (encoded()[:60] + b"!!" + encoded()[62:], {}),
        (lying_about_its_size(encoded()), {"width": 0, "height": 0}),
        (encoded(), {"width": 64}),
        (encoded(), {"width": 0, "height": 0, "longest_px": 40}),
        (encoded(), {"limit_bytes": 50}),
        (encoded("JPEG"), {}),
        (encoded("GIF"), {"mime": "image/gif"}),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"mime": "image/svg+xml"}),
    ],
    ids=["empty", "text", "cut", "damaged", "size lied about", "another size", "too large", "too many bytes",
         "not its kind", "no kind of ours", "svg"],
)  # fmt: skip
def test_what_is_no_such_picture_is_refused(tmp_path, data, changes):
    with pytest.raises(NotAPictureError):
        checked_picture(wish(tmp_path, data, **changes))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    asked = wish(tmp_path, b"x").model_copy(update={"source": str(tmp_path / "gone")})
    with pytest.raises(NotAPictureError):
        checked_picture(asked)


def test_a_size_that_follows_from_its_source_is_taken_as_it_is(tmp_path):
    written = checked_picture(wish(tmp_path, encoded(size=(33, 7)), width=0, height=0))
    assert (written.width, written.height) == (33, 7)


def test_a_part_keeps_what_a_worker_goes_on_by_and_nothing_else(tmp_path):
    info = PngInfo()
    for key, value in (("place", "0,0,48,32"), ("start", "0a1b2c"), ("note", "x")):
        info.add_text(key, value)
    source = tmp_path / "part"
    source.write_bytes(encoded(pnginfo=info))
    asked = LookAtPart(source=str(source), target="", longest_px=8192, limit_bytes=100_000)
    assert opened(checked_part(asked).png).info == {"place": "0,0,48,32", "start": "0a1b2c"}
    info = PngInfo()
    info.add_text("place", "anywhere")
    source.write_bytes(encoded(pnginfo=info))
    assert opened(checked_part(asked).png).info == {}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_preview_is_written_anew(kind):
    data = encoded(kind) + b"hidden"
    found = checked_preview(LookAtPreview(data=data, longest_px=512))
    assert b"hidden" not in found
    assert opened(found).size == (48, 32)


@pytest.mark.parametrize("data", [b"", b"x" * 1000, encoded(), encoded("JPEG", size=(600, 20)), b"\xff" * 300_000])
def test_what_is_no_preview_is_refused(data):
    with pytest.raises(NotAPictureError):
        checked_preview(LookAtPreview(data=data, longest_px=512))


def test_what_a_picture_says_of_itself_is_read(tmp_path):
    info = PngInfo()
    info.add_text("parameters", TEXTS["parameters"])
    (tmp_path / "p.png").write_bytes(encoded(pnginfo=info))
    found = texts_of(str(tmp_path / "p.png"))
    assert (found.width, found.height, found.plain) == (48, 32, TEXTS["parameters"])
    assert "a cat" in found.foreign
    (tmp_path / "p.png").write_bytes(b"none")
    with pytest.raises(NotAPictureError):
        texts_of(str(tmp_path / "p.png"))


def test_only_plain_files_are_reduced_without_being_compressed_again():
    assert bare_png(encoded(), {}) is not None
    assert bare_png(encoded(mode="P"), {}) is None
    assert bare_png(encoded()[:-1], {}) is None
    assert bare_png(b"GIF89a", {}) is None


def png(*pixels: bytes, size=(48, 32)):
    """With these bodies of pixels."""
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), *((b"IDAT", body) for body in pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


ROWS = zlib.compress(b"\0" * 32 * (1 + 3 * 48))


def test_nothing_hides_behind_the_pixels_of_a_stream_nor_unfolds_to_more(tmp_path):
    assert bare_png(png(ROWS), {}) is not None
    assert bare_png(png(ROWS[:9], b"", ROWS[9:]), {}) is not None
    more = b"\0" * 32 * (1 + 3 * 48) + b"hidden" + bytes(50_000_000)
    for data in (png(zlib.compress(more)), png(ROWS + b"hidden"), png(ROWS, b"hidden")):
        assert bare_png(data, {}) is None
        # A decoder does not mind, so the picture counts, without it.
        written = checked_picture(wish(tmp_path, data))
        assert len(written.png) < 1000
        assert opened(written.png).tobytes() == bytes(32 * 3 * 48)
    for data in (png(ROWS[:-6]), png(zlib.compress(b"\0" * 9)), png(b"x"), png(ROWS, size=(2**31 - 1, 2**31 - 1))):
        assert bare_png(data, {}) is None
