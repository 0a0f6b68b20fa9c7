"""Pictures that come with a command: from Discord alone, looked at, kept."""

import asyncio
import hashlib
import io
from types import SimpleNamespace

import discord
import pytest
from aiohttp import web
from PIL import Image

from bot.domain.limits import Limits
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, texts_for
from bot.storage.database import open_database
from bot.storage.images import MissingPictureError
from bot.storage.inputs import InputPictures
from bot.studio.attachments import Attachments
from gpu_worker.engine.images.files import open_picture
from gpu_worker.protocol.specs import ImageRef


def picture(size=(40, 30), kind="PNG", **options):
    target = io.BytesIO()
    Image.new("RGB", size, "red").save(target, kind, **options)
    return target.getvalue()


def turned():
    exif = Image.Exif()
    exif[274] = 6
    return picture((40, 30), "JPEG", exif=exif)


def from_a_phone():
    target = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(
        target, "MPO", save_all=True, append_images=[Image.new("RGB", (20, 15), "blue")]
    )
    return target.getvalue()


FILES = {
    "phone.jpg": from_a_phone(),
    "a.png": picture(),
    "b.webp": picture(kind="WEBP"),
    "turned.jpg": turned(),
    "mask.png": picture((40, 31)),
    "notes.png": b"no picture",
    "wide.png": picture((5000, 4000)),
    "big.png": b"x" * 3000,
}


@pytest.fixture
async def cdn(monkeypatch):
    """A host that the bot takes for Discord's."""

    async def answer(request):
        name = request.match_info["name"]
        if name == "moved.png":
            raise web.HTTPFound("/files/a.png")
        return web.Response(body=FILES[name]) if name in FILES else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/files/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setattr(discord.asset.Asset, "BASE", f"{base}/cdn")
    yield base
    await runner.cleanup()


@pytest.fixture
async def inputs(tmp_path):
    database = await open_database(tmp_path / "pincel.sqlite")
    yield InputPictures(database, tmp_path / "inputs")
    await database.close()


def attached(url, size=100):
    return SimpleNamespace(url=url, size=size, filename=url.rpartition("/")[2])


async def test_a_picture_is_kept_by_its_hash(cdn, inputs, tmp_path):
    async with Attachments(inputs, Limits()).taken(
        attached(f"{cdn}/files/a.png"), attached(f"{cdn}/files/b.webp")
    ) as found:
        await inputs.discard_unused([found.image, found.mask])  # whoever else has it: it is held
    assert (found.width, found.height) == (40, 30)
    assert (found.image.ref, found.image.mime) == (f"input:{found.image.sha256}", "image/png")
    assert await inputs.read(found.image) == FILES["a.png"]
    assert await inputs.read(found.mask) == FILES["b.webp"]
    # The same picture again is the same file.
    async with Attachments(inputs, Limits()).taken(attached(f"{cdn}/files/a.png"), None):
        pass
    assert len([path for path in (tmp_path / "inputs").rglob("*") if path.is_file()]) == 2
    await inputs.discard_unused([found.image])
    with pytest.raises(MissingPictureError):
        await inputs.read(found.image)


async def test_a_picture_that_lies_on_its_side_is_measured_upright(cdn, inputs):
    async with Attachments(inputs, Limits()).taken(attached(f"{cdn}/files/turned.jpg"), None) as found:
        assert (found.width, found.height) == (30, 40)


async def test_a_phone_s_jpeg_is_one(cdn, inputs):
    async with Attachments(inputs, Limits()).taken(attached(f"{cdn}/files/phone.jpg"), None) as found:
        assert (found.image.mime, found.width, found.height) == ("image/jpeg", 40, 30)
    with Image.open(io.BytesIO(FILES["phone.jpg"])) as picture:
        assert picture.format == "MPO"
    # What the worker makes of it.
    data = FILES["phone.jpg"]
    ref = ImageRef(ref="x", sha256=hashlib.sha256(data).hexdigest(), mime="image/jpeg", size_bytes=len(data))
    assert open_picture(data, ref).shape[:2] == (30, 40)


@pytest.mark.parametrize(
    ("url", "size", "key"),
    [
        ("{cdn}/files/notes.png", 10, "picture_unreadable"),
        ("{cdn}/files/gone.png", 10, "picture_gone"),
        ("{cdn}/files/moved.png", 10, "picture_gone"),
        ("{cdn}/files/wide.png", 10, "picture_pixels"),
        ("{cdn}/files/a.png", 3000, "picture_large"),
        # What an entry says of its size is only said.
        ("{cdn}/files/big.png", 10, "picture_large"),
        ("http://127.0.0.1:1/files/a.png", 10, "picture_foreign"),
        ("http://169.254.169.254/latest", 10, "picture_foreign"),
        ("{cdn}@10.0.0.1/a.png", 10, "picture_foreign"),
        ("https://media.discordapp.net.example.org/a.png", 10, "picture_foreign"),
        ("file:///etc/passwd", 10, "picture_foreign"),
    ],
)
async def test_refusals(cdn, inputs, url, size, key):
    attachments = Attachments(inputs, Limits(max_picture_bytes=2048) if "wide" not in url else Limits())
    with pytest.raises(UserFacingError) as caught:
        async with attachments.taken(attached(url.format(cdn=cdn), size), None):
            pass
    assert caught.value.key == key
    for language in LANGUAGES:
        assert "{" not in texts_for(language)(f"error.{key}", **caught.value.values)


async def test_a_mask_is_as_large_as_its_picture(cdn, inputs, tmp_path):
    with pytest.raises(UserFacingError, match="mask_size"):
        async with Attachments(inputs, Limits()).taken(
            attached(f"{cdn}/files/a.png"), attached(f"{cdn}/files/mask.png")
        ):
            pass
    assert files(tmp_path) == 0


def files(tmp_path):
    return len([path for path in (tmp_path / "inputs").rglob("*") if path.is_file()])


async def test_what_is_refused_afterwards_is_not_kept(cdn, inputs, tmp_path):
    async def deferred(**_):
        pass

    interaction = SimpleNamespace(response=SimpleNamespace(defer=deferred, is_done=lambda: False), extras={})

    async def given(error):
        async with Attachments(inputs, Limits()).given(
            interaction, attached(f"{cdn}/files/a.png"), attached(f"{cdn}/files/b.webp"), hidden=True
        ):
            assert files(tmp_path) == 2
            raise error

    for error in (UserFacingError("prompt_empty"), RuntimeError("a fault"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await given(error)
        assert files(tmp_path) == 0
