"""Model files taken in, renamed, removed and brought back."""

import asyncio
import os
import threading

import pytest
from PIL import Image

from bot.errors import UserFacingError
from bot.library import Arrival, editing, moves
from tests.gpu_worker.language.test_models import scan_models

from .conftest import KOHYA, hashed, png, write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


async def refused(awaitable):
    with pytest.raises(UserFacingError) as caught:
        await awaitable
    return caught.value.key


@pytest.fixture
async def library(rig):
    return await rig.loaded()


def download(rig, shapes=KOHYA, name="file.part"):
    path = rig.data / "downloads" / name
    write(path, shapes)
    return path


async def adopted(library, path, name="Ink.safetensors", kind="lora", **more):
    return await library.adopt(Arrival(path, kind, name, source="https://x.test/1", added_by=7, added_in=9, **more))


async def test_adopting_moves_the_file_and_notes_whose_it_is(rig, library):
    told = []
    library.subscribe_files(lambda: told.append(1))
    path = download(rig)
    file = await adopted(library, path, preview=None)
    assert (file.path, file.name, file.family) == (rig.models / "loras" / "Ink.safetensors", "Ink", "sd1")
    assert (file.added_by, file.added_in, file.source) == (7, 9, "https://x.test/1")
    assert not path.exists()
    assert told == [1]
    second = await adopted(library, download(rig, {"lora_unet_b.lora_up.weight": [2, 2]}))
    assert (second.name, second.path.name) == ("Ink 2", "Ink 2.safetensors")
    assert library.get(file.id).size_bytes == file.size_bytes
    assert (await rig.loaded()).files() == library.files()


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("../../evil.safetensors", "_.._evil"),
        ("/etc/passwd", "_etc_passwd"),
        ("a:b<c>|d?.safetensors", "a_b_c_d_"),
        ("CON.safetensors", "_CON"),
        (".hidden.pt", "hidden"),
        ("..", "model"),
        ("  x \u202e y\n.ckpt", "x _ y_"),
        ("é" * 200, "é" * 60),
        ("no suffix v1.5", "no suffix v1.5"),
    ],
)
async def test_no_name_leaves_the_folder(rig, library, name, becomes):
    file = await adopted(library, download(rig, name="x.safetensors"), name)
    assert file.path.parent == rig.models / "loras"
    assert file.path.stem == becomes
    assert names(rig.models / "loras") == [file.path.name]


async def test_links_and_folders_are_not_taken_in(rig, library):
    real = download(rig)
    link = real.with_name("link")
    link.symlink_to(real)
    assert await refused(adopted(library, link)) == "library_no_file"
    assert await refused(adopted(library, real.parent)) == "library_no_file"
    assert await refused(adopted(library, real.with_name("gone"))) == "library_no_file"
    assert library.files() == ()


@pytest.mark.parametrize("links", [True, False])
async def test_another_disk_and_one_without_links(rig, library, monkeypatch, links):
    error = OSError(moves.errno.EXDEV if links else moves.errno.EPERM, "not here")
    real = os.link
    monkeypatch.setattr(
        os, "link", lambda a, b: (_ for _ in ()).throw(error) if "part" in str(a) or not links else real(a, b)
    )
    if links:
        monkeypatch.setattr(type(rig.data), "rename", lambda *_: (_ for _ in ()).throw(error))
        monkeypatch.setattr(
            os, "link", lambda a, b: real(a, b) if a.name.startswith(".") else (_ for _ in ()).throw(error)
        )
    file = await adopted(library, download(rig))
    assert (file.name, file.family) == ("Ink", "sd1")
    assert names(file.path.parent) == ["Ink.safetensors"]
    assert names(rig.data / "downloads") == []


async def test_renaming_takes_everything_along(rig, library):
    file = await adopted(library, download(rig))
    png(file.path.with_suffix(".preview.png"))
    await library.refresh()
    await hashed(library)
    await library.annotate(file.id, note="mind the hands")
    await library.used([("lora", "Ink")], 5)
    await library._flush()
    renamed = await library.rename(file.id, "Better: ink")
    assert (renamed.name, renamed.path.name, renamed.id != file.id) == ("Better_ ink", "Better_ ink.safetensors", True)
    assert (renamed.added_by, renamed.note, renamed.times_used) == (7, "mind the hands", 1)
    assert renamed.sha256 is not None
    assert renamed.preview == file.path.with_name("Better_ ink.preview.png")
    assert library.get(file.id) is None
    assert await library.history_of(5) == {("lora", "Better_ ink"): 1}
    assert names(file.path.parent) == ["Better_ ink.preview.png", "Better_ ink.safetensors"]
    other = await adopted(library, download(rig), "Other.safetensors")
    assert await refused(library.rename(other.id, "Better_ ink")) == "library_name_taken"
    assert (await rig.loaded()).files() == library.files()


async def test_removing_can_be_undone_until_the_trash_is_emptied(rig, library):
    file = await adopted(library, download(rig))
    await library.annotate(file.id, note="good", preview=png())
    png(file.path.with_suffix(".png"))
    await library.refresh()
    file = library.get(file.id)
    assert file.preview.is_relative_to(rig.data / "previews")
    undo = await library.remove(file.id)
    assert library.files() == ()
    assert names(file.path.parent) == []
    assert await refused(library.remove(file.id)) == "library_gone"
    await library.forget_trash(3600)
    assert await library.restore(undo) == file
    assert names(file.path.parent) == ["Ink.png", "Ink.safetensors"]
    assert await refused(library.restore(undo)) == "library_undo_gone"
    undo = await library.remove(file.id)
    second = await adopted(library, download(rig))
    assert second.path == file.path
    assert (second.note, second.added_by) == (None, 7)
    assert (await library.restore(undo)).name == "Ink 2"
    undo = await library.remove(second.id)
    await library.forget_trash(0)
    assert await refused(library.restore(undo)) == "library_undo_gone"
    assert names(rig.data / "trash") == []


async def test_models_on_another_disk_have_their_trash_there(rig, library, monkeypatch):
    file = await adopted(library, download(rig))
    real = type(rig.data).rename

    def rename(path, target):
        if str(target).startswith(str(rig.data / "trash")):
            raise OSError(moves.errno.EXDEV, "another disk")
        return real(path, target)

    monkeypatch.setattr(type(rig.data), "rename", rename)
    undo = await library.remove(file.id)
    await library.refresh()
    assert library.files() == ()
    assert (await library.restore(undo)).path == file.path
    assert library.facts() == scan_models(rig.models, rig.data)


async def test_what_lies_beside_two_models_stays_with_both(rig):
    for name in ("style.safetensors", "style.pt", "alone.safetensors"):
        write(rig.models / "loras" / name, KOHYA)
    for name in ("style.png", "style.pt.json", "style.safetensors.json", "alone.png"):
        (rig.models / "loras" / name).write_bytes(b"{}")
    library = await rig.loaded()
    both = names(rig.models / "loras")
    file = next(file for file in library.files() if file.path.name == "style.safetensors")
    undo = await library.remove(file.id)
    left = ["alone.png", "alone.safetensors", "style.png", "style.pt", "style.pt.json"]
    assert names(rig.models / "loras") == left
    await library.restore(undo)
    assert names(rig.models / "loras") == both
    await library.rename(file.id, "other")
    assert names(rig.models / "loras") == sorted([*left, "other.png", "other.safetensors", "other.safetensors.json"])


async def test_what_is_just_being_removed_is_not_taken_for_half_of_it(rig, library, monkeypatch):
    file = await adopted(library, download(rig))
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args):
        begun.set()
        go_on.wait(10)
        moves.to_trash(*args)

    monkeypatch.setattr(editing, "to_trash", slow)
    removing = asyncio.create_task(library.remove(file.id))
    await asyncio.to_thread(begun.wait, 10)
    mending = asyncio.create_task(library._editing.mend())
    await asyncio.sleep(0.1)
    go_on.set()
    await mending
    assert await library.restore(await removing) == file


async def test_what_could_not_be_moved_in_leaves_nothing(rig, library, monkeypatch):
    def full(*_):
        raise OSError(moves.errno.ENOSPC, "full")

    monkeypatch.setattr(editing, "move_in", full)
    picture = rig.data / "downloads" / "p.png"
    path = download(rig)
    png(picture)
    assert await refused(adopted(library, path, preview=picture)) == "library_disk"
    assert path.is_file()
    assert not list((rig.data / "previews").glob("*"))
    assert not library._records
    assert await library._store.records() == {}


async def test_what_is_only_read_stays_as_it_is(rig, tmp_path):
    rig.extra = (tmp_path / "theirs",)
    write(tmp_path / "theirs" / "loras" / "style.safetensors", KOHYA)
    write(tmp_path / "out" / "linked.safetensors", KOHYA, metadata={"ss_output_name": "L"})
    (rig.models / "loras").mkdir(parents=True)
    (rig.models / "loras" / "linked.safetensors").symlink_to(tmp_path / "out" / "linked.safetensors")
    (rig.models / "vae").mkdir()
    (rig.models / "vae" / "more").symlink_to(tmp_path / "out")
    library = await rig.loaded()
    assert [(file.name, file.read_only) for file in library.files()] == [
        ("linked", True),
        ("linked (more)", True),
        ("style", True),
    ]
    for file in library.files():
        assert await refused(library.remove(file.id)) == "library_read_only"
        assert await refused(library.rename(file.id, "x")) == "library_read_only"
        assert (await library.annotate(file.id, note="hers", preview=png())).note == "hers"
    assert (tmp_path / "theirs" / "loras" / "style.safetensors").is_file()
    assert names(tmp_path / "theirs" / "loras") == ["style.safetensors"]


async def test_counting_a_use_looks_at_no_file(rig, monkeypatch):
    write(rig.models / "loras" / "ink.safetensors", KOHYA, metadata={"ss_output_name": "Ink pen"})
    write(rig.models / "loras" / "wash.safetensors", KOHYA)
    library = await rig.loaded()
    before = library.find("lora", "wash")
    monkeypatch.setattr("bot.library.library.build_snapshot", None)
    await library.used([("lora", "ink"), ("lora", "gone"), ("lora", "Ink pen")], 5)
    await library._flush()
    file = library.get(library.find("lora", "Ink pen").id)
    assert (file.name, file.times_used) == ("ink", 1)
    assert library.files() == (file, before)
    monkeypatch.undo()
    await library._rebuild()
    assert library.files() == (file, before)


async def test_a_preview_that_is_none_is_refused(rig, library):
    file = await adopted(library, download(rig))
    for data in (b"GIF89a", b"<svg/>", os.urandom(100)):
        assert await refused(library.annotate(file.id, preview=data)) == "preview_unreadable"
    kept = (await library.annotate(file.id, preview=png())).preview
    with Image.open(kept) as picture:
        assert (picture.format, picture.size) == ("WEBP", (768, 256))
    assert (await library.annotate(file.id, preview=b"")).preview is None
    assert names(kept.parent) == []


async def test_usage_is_counted_and_remembered(rig, library):
    await adopted(library, download(rig))
    await library.used([("lora", "Ink"), ("checkpoint", "dream"), ("lora", "Ink")], 5)
    await library.used([("lora", "Ink")], 6)
    assert await library.history_of(5) == {("lora", "Ink"): 1, ("checkpoint", "dream"): 1}
    await library.stop()
    (file,) = library.files()
    assert (file.times_used, file.last_used_at > file.added_at - 1) == (2, True)
    again = await rig.loaded()
    assert again.files() == (file,)
    assert await again.history_of(6) == {("lora", "Ink"): 1}
