"""Data sets, their pure rules: what of a zip is taken, names that any system can have, and what looks alike."""

import asyncio
import io
import random
import time
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image, ImageEnhance

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.training import archives
from bot.domain.training.archives import Entry, Left, plan_archive
from bot.domain.training.datasets import Held
from bot.domain.training.looks import NEAR_BITS, distance, nearest
from bot.domain.training.names import check_class_tokens, check_dataset_name, check_repeats, picture_name
from bot.errors import UserFacingError
from bot.studio.datasets import adding
from bot.studio.datasets.archive import Archive
from bot.studio.datasets.inspecting import UnfitError, difference_hash, inspect_picture
from gpu_worker.language.training.folders import FolderName
from tests.stage.datasets_given import archive, painting

MOST = 20 << 20


def entry(name, size=1000, packed=900, **more):
    return Entry(name, size, packed, **more)


def test_captions_and_folders_belong_to_their_pictures():
    plan = plan_archive(
        [
            entry("top/10_a b/x.png"), entry("top/10_a b/x.txt"), entry("top/10_a b/x.caption"), entry("y.JPG"),
            entry("y.JPG.caption"), entry("reg/0_no/3_girl/deep/z.webp"), entry("plain/w.gif"), entry("20/v.jpeg"),
            entry("top/"), entry("10_bad:name/u.png"),
        ],
        MOST,
    )  # fmt: skip
    assert [(one.entry, one.folder, one.is_reg, one.caption) for one in plan.pictures] == [
        ("top/10_a b/x.png", FolderName(10, "a b"), False, "top/10_a b/x.txt"),
        ("y.JPG", None, False, "y.JPG.caption"),
        ("reg/0_no/3_girl/deep/z.webp", FolderName(3, "girl"), True, None),
        ("plain/w.gif", None, False, None),
        ("20/v.jpeg", FolderName(20, ""), False, None),
        ("10_bad:name/u.png", None, False, None),
    ]
    assert plan.left == (Left("top/10_a b/x.caption", "caption_alone"), Left("10_bad:name", "repeats"))


def test_a_folder_without_repeats_is_told_and_captions_are_found_whatever_their_case():
    plan = plan_archive(
        [
            entry("-3_a/1.png"), entry("img/0_b/2.png"), entry("img/0_b/3.png"), entry("10001_c/4.png"),
            entry("A.PNG"), entry("a.TXT"), entry("b.png"), entry("b.png.png"), entry("b.png.txt"),
            entry("c.jpg"), entry("C.png"), entry("C.txt"),
        ],
        MOST,
    )  # fmt: skip
    assert plan.left == tuple(Left(name, "repeats") for name in ("-3_a", "0_b", "10001_c"))
    captions = {one.entry: one.caption for one in plan.pictures if one.caption is not None}
    assert captions == {"A.PNG": "a.TXT", "b.png.png": "b.png.txt", "C.png": "C.txt"}
    assert {one.folder for one in plan.pictures} == {None}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (entry("../a.png"), "path"), (entry("/etc/a.png"), "path"), (entry("C:/a.png"), "path"),
        (entry("a\\..\\b.png"), "path"), (entry("a.png", encrypted=True), "encrypted"),
        (entry("a.png", link=True), "link"),
        (entry("a.tar.gz"), "nested"), (entry("a.heic"), "type"), (entry("a.png", readable=False), "packed"),
        (entry("a.png", 5 << 20, 40_000), "bomb"), (entry("a.png", MOST + 1, MOST), "large"),
        (entry("a.txt", 70_000, 60_000), "large"),
    ],
)  # fmt: skip
def test_what_is_dangerous_or_none_is_left_out_with_its_reason(bad, why):
    plan = plan_archive([entry("good.png"), bad], MOST)
    assert [one.entry for one in plan.pictures] == ["good.png"]
    assert plan.left == (Left(bad.name, why),)


def test_a_zip_without_pictures_or_with_too_much_is_refused(monkeypatch):
    for entries, key in (
        ([], "dataset_zip_empty"),
        ([entry("a.txt")], "dataset_zip_captions"),
        ([entry("a.png", encrypted=True)], "dataset_zip_encrypted"),
        ([entry("a.png", 5 << 20, 4000)], "dataset_zip_bomb"),
        ([entry(f"{n}.png", MOST, MOST) for n in range(300)], "dataset_zip_large"),
        ([entry(f"{n}.png") for n in range(archives.ENTRIES_MAX + 1)], "dataset_zip_many"),
    ):
        with pytest.raises(UserFacingError, match=key):
            plan_archive(entries, MOST)


async def test_an_entry_that_lies_about_its_size_is_read_no_further(tmp_path):
    """42.zip's trick, and a list of members that belies its entries."""
    data = bytearray(archive({"a.png": bytes(random.Random(1).randbytes(50_000)), "b.png": painting(1)}))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as whole:
        size = whole.getinfo("a.png").file_size
    at = data.rfind(size.to_bytes(4, "little"), 0, len(data))
    data[at : at + 4] = (100).to_bytes(4, "little")
    path = tmp_path / "lies.zip"
    path.write_bytes(data)
    async with Archive(path, MOST) as opened:
        assert [one.entry for one in opened.plan.pictures] == ["a.png", "b.png"]
        with pytest.raises(UnfitError, match="packed"):
            await opened.read("a.png")
        assert await opened.read("b.png") == painting(1)
    for broken in (b"", b"PK", painting(1), archive({"a.png": b"x"})[:-30]):
        path.write_bytes(broken)
        with pytest.raises(UserFacingError, match="dataset_zip_broken"):
            await Archive(path, MOST).__aenter__()


async def test_names_and_captions_of_other_systems_are_read_as_they_are_meant(tmp_path):
    """macOS writes UTF-8 and does not say so; editors write what no eye sees."""
    path = tmp_path / "mac.zip"
    # Names of the same length in bytes, and without the flag of UTF-8.
    plain = archive({"10_m__na/a.png": painting(1), "10_m__na/a.txt": "\ufeffm\u00fcna,\u202e a\x00  fox\rsecond line"})
    path.write_bytes(plain.replace(b"10_m__na", "10_m\u00fcna".encode()))
    async with Archive(path, MOST) as opened:
        (one,) = opened.plan.pictures
        assert one.folder == FolderName(10, "m\u00fcna")
        assert await opened.read(one.entry) == painting(1)
        assert await opened.caption(one.caption) == "m\u00fcna, a fox"


def test_names_are_folders_on_any_system():
    assert check_dataset_name("  Mina   the fox ") == "Mina the fox"
    for bad in ("a/b", "a:b", ".a", "a.", "con", "x\u200by", 'a"b'):
        with pytest.raises(UserFacingError, match="dataset_name_signs"):
            check_dataset_name(bad)
    with pytest.raises(UserFacingError, match="dataset_name_empty"):
        check_dataset_name("  ")
    with pytest.raises(UserFacingError, match="dataset_name_long"):
        check_dataset_name("x" * 61)
    assert check_class_tokens("") == ""
    with pytest.raises(UserFacingError, match="dataset_tokens_signs"):
        check_class_tokens("a|b")
    with pytest.raises(UserFacingError, match="dataset_tokens_long"):
        check_class_tokens("x" * 81)
    for bad in ("", "0", "-1", "1.5", "١", "10001"):
        with pytest.raises(UserFacingError, match="dataset_repeats"):
            check_repeats(bad)
    assert check_repeats(" 10 ") == 10
    names = {"a/b\\c.d.png": "c.d", "con.png": "_con", "\u202eabc.png": "abc", "???.png": "___"}
    assert {name: picture_name(name) for name in names} == names
    assert picture_name("..png") == "picture"
    assert len(picture_name("x" * 300 + ".png")) == 60


def test_the_same_picture_saved_otherwise_is_near_and_others_are_not():
    looks = [inspect_picture(painting(seed), MOST).look for seed in range(60)]
    between = [distance(one, other) for n, one in enumerate(looks) for other in looks[:n]]
    assert min(between) > 2 * NEAR_BITS
    with Image.open(io.BytesIO(painting(0, (400, 400)))) as whole:
        changed = [
            whole.resize((131, 131)),
            whole.resize((300, 330)),
            whole.crop((4, 4, 396, 396)),
            ImageEnhance.Brightness(whole).enhance(1.1),
            whole.convert("L").convert("RGB"),
        ]
        apart = [distance(looks[0], difference_hash(one)) for one in changed]
    assert max(apart) <= NEAR_BITS, apart
    jpeg = inspect_picture(painting(0, (333, 333), "JPEG", quality=40), MOST)
    assert distance(looks[0], jpeg.look) <= NEAR_BITS
    deep = io.BytesIO()
    with Image.open(io.BytesIO(painting(0))) as whole:
        whole.convert("I").point(lambda value: value * 257).convert("I;16").save(deep, "PNG")
    assert distance(looks[0], inspect_picture(deep.getvalue(), MOST).look) <= NEAR_BITS
    assert nearest(jpeg.look, [jpeg, inspect_picture(painting(1), MOST)]) is jpeg
    assert nearest(looks[1], [jpeg]) is None


def test_a_turned_picture_is_upright_and_what_moves_or_is_huge_is_refused():
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(painting(5, (96, 160)))) as upright:
        out = io.BytesIO()
        upright.rotate(90, expand=True).save(out, "JPEG", exif=exif, quality=95)
        look = difference_hash(upright)
    turned = inspect_picture(out.getvalue(), MOST)
    assert (turned.width, turned.height, turned.mime) == (96, 160, "image/jpeg")
    assert distance(turned.look, look) <= NEAR_BITS
    frames = [Image.new("RGB", (96, 96), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:])
        with pytest.raises(UnfitError, match="animated"):
            inspect_picture(out.getvalue(), MOST)
    huge = io.BytesIO()
    Image.new("1", (7680, 4320)).save(huge, "PNG")
    for data, why in ((huge.getvalue(), "pixels"), (b"GIF89a", "broken"), (b"%PDF", "type"), (b"", "type")):
        with pytest.raises(UnfitError, match=why):
            inspect_picture(data, 4096 * 4096)


async def test_few_pictures_are_unpacked_at_a_time_however_many_people_add_some(monkeypatch):
    running, most = [], []

    def look(_data, _pixels):
        running.append(1)
        most.append(len(running))
        time.sleep(0.005)
        running.pop()
        raise UnfitError("broken")

    async def read():
        return b""

    async def nothing(_id):
        return Held(0, 0)

    monkeypatch.setattr(adding, "inspect_picture", look)
    datasets = SimpleNamespace(held_by=nothing, held=nothing)
    adds = adding.Adding(datasets=datasets, inputs=None, limits=DEFAULT_LIMITS, room_bytes=1)
    given = [adding.Given("a.png", read, "upload")] * 3
    dataset = SimpleNamespace(id="d", user_id=1)
    reports = await asyncio.gather(*(adds.take(dataset, None, given, None) for _ in range(6)))
    assert [len(report.left) for report in reports] == [3] * 6
    assert max(most) <= adding.LOOKED_AT_ONCE
