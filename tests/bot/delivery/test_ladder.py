"""The upload ladder: the first form that fits, with the parameters readable in each."""

import io

import pytest
from PIL import Image

from bot.delivery.ladder import Rung, climb_down

INFOTEXT = "a cat, 日本 🍎\nNegative prompt: bad\nSteps: 20, Seed: 1, Size: 64x64"
USER_COMMENT = 0x9286


def read(data):
    picture = Image.open(io.BytesIO(data))
    if picture.format == "PNG":
        return picture, picture.text["parameters"]
    comment = picture.getexif().get_ifd(0x8769)[USER_COMMENT]
    assert comment.startswith(b"UNICODE\0")
    return picture, comment[8:].decode("utf-16-be")


@pytest.fixture(scope="module")
def png(make_png):
    return make_png(256, text=INFOTEXT)


@pytest.mark.parametrize(
    ("share", "rung", "form"), [(1.0, Rung.PNG, "PNG"), (0.99, Rung.WEBP, "WEBP"), (0.45, Rung.JPEG, "JPEG")]
)
def test_the_first_form_that_fits(png, share, rung, form):
    limit = int(len(png) * share)
    reached, (upload,) = climb_down([png], [INFOTEXT], limit)
    assert reached is rung
    assert len(upload.data) <= limit
    picture, infotext = read(upload.data)
    assert picture.format == form
    assert upload.suffix in {"PNG": ".png", "WEBP": ".webp", "JPEG": ".jpg"}[form]
    assert picture.size == (256, 256)
    assert infotext == INFOTEXT


def test_webp_loses_nothing(png):
    _, (upload,) = climb_down([png], [INFOTEXT], len(png) - 1)
    assert read(upload.data)[0].convert("RGB").tobytes() == read(png)[0].convert("RGB").tobytes()


def test_parameters_that_no_jpeg_holds_are_left_to_the_original(png):
    text = "x" * 40_000
    reached, (upload,) = climb_down([png], [text], int(len(png) * 0.45))
    assert reached is Rung.JPEG
    assert not Image.open(io.BytesIO(upload.data)).getexif()


def test_too_large_in_any_form(png):
    assert climb_down([png, png], [INFOTEXT] * 2, 500) == (Rung.NOTHING, [])


def test_all_pictures_take_the_same_step(make_png):
    small, large = make_png(32), make_png(256)
    reached, uploads = climb_down([small, large], ["x", "y"], len(large) - 1)
    assert reached is Rung.WEBP
    assert [upload.suffix for upload in uploads] == [".webp", ".webp"]


def test_together_they_fit_one_request(make_png, monkeypatch):
    """Each below its own limit is not enough: one request takes 25 MiB, here in small."""
    monkeypatch.setattr("bot.delivery.ladder.REQUEST_LIMIT_BYTES", 300_000)
    large = make_png(256)
    reached, uploads = climb_down([large] * 2, ["x"] * 2, 10_000_000)
    assert reached is not Rung.PNG
    assert sum(len(upload.data) for upload in uploads) < 300_000


def test_nothing_to_send_is_no_trouble():
    assert climb_down([], [], 10) == (Rung.PNG, [])


def test_a_picture_far_over_the_limit_is_not_tried_without_loss(make_png, monkeypatch):
    monkeypatch.setattr("bot.delivery.ladder._webp", lambda *_: pytest.fail("takes minutes of a large picture"))
    monkeypatch.setattr("bot.delivery.ladder.WEBP_MAX_PIXELS", 100)
    large = make_png(256)
    reached, (upload,) = climb_down([large], ["x"], len(large) // 2)
    assert reached is Rung.JPEG
    assert Image.open(io.BytesIO(upload.data)).size == (256, 256)
