"""Small copies: made once, kept within a bound, and no damaged file gets in the way."""

from __future__ import annotations

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from bot.domain.ids import ImageId
from bot.storage.thumbnails import SIDE_PX, Thumbnails

LIMIT = 600_000


@pytest.fixture
def thumbnails(tmp_path):
    return Thumbnails(tmp_path / "thumbnails", LIMIT)


def original(tmp_path, name, size=(1000, 500)):
    path = tmp_path / f"{name}.png"
    Image.effect_noise(size, 60).convert("RGB").save(path)
    return path


def stored(tmp_path):
    return sorted((tmp_path / "thumbnails").glob("*/*"))


def test_made_once_and_small(thumbnails, tmp_path):
    path = original(tmp_path, "a")
    data = thumbnails.get_now(ImageId("aaa"), path)
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (SIDE_PX, SIDE_PX // 2))
    path.unlink()
    assert thumbnails.get_now(ImageId("aaa"), path) == data, "also when the file is gone"
    assert thumbnails.get_now(ImageId("bbb"), path) is None


def test_damaged_and_foreign_files_are_no_picture(thumbnails, tmp_path):
    path = tmp_path / "a.png"
    for content in (b"", b"no picture", original(tmp_path, "b").read_bytes()[:500]):
        path.write_bytes(content)
        assert thumbnails.get_now(ImageId("aaa"), path) is None
    assert stored(tmp_path) == []


def test_the_least_recently_seen_go_first(thumbnails, tmp_path):
    path = original(tmp_path, "a", (384, 384))
    size = len(thumbnails.get_now(ImageId("seen"), path))
    count = LIMIT // size + 3
    for number in range(count):
        old = time.time() - 10 * 24 * 3600 + number
        thumbnails.get_now(ImageId(f"x{number}"), path)
        for file in stored(tmp_path):
            if file.stem == f"x{number}":
                os.utime(file, (old, old))
    assert thumbnails.get_now(ImageId("seen"), path)
    assert sum(file.stat().st_size for file in stored(tmp_path)) <= LIMIT
    names = {file.stem for file in stored(tmp_path)}
    assert "seen" in names
    assert "x0" not in names


async def test_discarded_ones_are_gone(thumbnails, tmp_path):
    path = original(tmp_path, "a")
    thumbnails.get_now(ImageId("aaa"), path)
    await thumbnails.discard([ImageId("aaa"), ImageId("never")])
    assert stored(tmp_path) == []


def test_many_at_once(thumbnails, tmp_path):
    path = original(tmp_path, "a", (100, 100))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: thumbnails.get_now(ImageId(f"p{n % 5}"), path), range(40)))
    assert all(found)
    assert len(stored(tmp_path)) == 5


def test_a_full_disk_only_costs_the_copy(thumbnails, tmp_path, monkeypatch):
    from pathlib import Path

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert thumbnails.get_now(ImageId("aaa"), original(tmp_path, "a"))
    assert stored(tmp_path) == []
