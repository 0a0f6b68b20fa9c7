"""Pictures: moved whole or not at all, checked when read, deleted for good."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from bot.domain.ids import ImageId
from bot.domain.job import Action, Image
from bot.storage.images import Images, MissingPictureError
from tests.contract.farm import new_job

DATA = b"a picture" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def images(database, tmp_path) -> Images:
    return Images(database, tmp_path / "outputs")


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "outbox.png"
    path.write_bytes(DATA)
    return path


async def stored(images: Images, jobs, source: Path, database, seed: int = 2**64 - 1) -> Image:
    job_id, _ = await jobs.add(new_job("x"))
    job = await jobs.get(job_id)
    place = images.place(job, 0, ".png")
    await images.take(source, place, DIGEST)
    image = Image(
        ImageId("i" * 16), job_id, 0, place, DIGEST, "image/png", 8, 8, len(DATA), seed, "text", Action.IMAGINE
    )
    async with database.write() as tx:
        await images.add_in(tx, [image])
    return image


async def test_picture_is_moved_and_comes_back(images, jobs, source, database):
    image = await stored(images, jobs, source, database)
    assert not source.exists()
    assert await images.get(image.id) == image
    assert await images.of_job(image.job_id) == [image]
    assert await images.read(image) == DATA


async def test_taking_twice_is_harmless(images, source):
    await images.take(source, "day/a.png", DIGEST)
    await images.take(source, "day/a.png", DIGEST)  # the bot died between the move and its commit
    assert (images._root / "day/a.png").read_bytes() == DATA


async def test_missing_or_damaged_source_says_so(images, source, tmp_path):
    with pytest.raises(MissingPictureError):
        await images.take(tmp_path / "nowhere", "day/a.png", DIGEST)
    source.write_bytes(DATA[:-1])
    with pytest.raises(MissingPictureError):
        await images.take(source, "day/a.png", DIGEST)


async def test_other_file_system_is_copied_to(images, source, monkeypatch):
    replace = os.replace

    def elsewhere(one: Path, other: Path) -> None:
        if one == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(one, other)

    monkeypatch.setattr(os, "replace", elsewhere)
    await images.take(source, "day/a.png", DIGEST)
    assert not source.exists()
    assert [path.name for path in (images._root / "day").iterdir()] == ["a.png"]


async def test_full_disk_keeps_the_source(images, source, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        await images.take(source, "day/a.png", DIGEST)
    assert source.read_bytes() == DATA


async def test_changed_or_vanished_picture_is_missing(images, jobs, source, database):
    image = await stored(images, jobs, source, database)
    images.file(image).write_bytes(b"edited")
    with pytest.raises(MissingPictureError):
        await images.read(image)
    images.file(image).unlink()
    with pytest.raises(MissingPictureError):
        await images.read(image)


async def test_deleted_picture_is_gone_but_its_row_stays(images, jobs, source, database):
    image = await stored(images, jobs, source, database)
    await images.delete_of_job(image.job_id)
    await images.delete_of_job(image.job_id)
    assert not images.file(image).exists()
    kept = await images.get(image.id)
    assert (kept.deleted, kept.seed) == (True, image.seed)


async def test_file_that_cannot_be_removed_is_deleted_all_the_same(images, jobs, source, database, monkeypatch):
    image = await stored(images, jobs, source, database)

    def in_use(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(Path, "unlink", in_use)
    await images.delete_of_job(image.job_id)
    assert (await images.get(image.id)).deleted
