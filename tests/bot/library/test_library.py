"""The library over real folders: what a scan finds, what it reads again, and what people change."""

import asyncio
import json
import os
import random
import threading
from unittest.mock import AsyncMock

import pytest
from PIL import Image

from bot.errors import UserFacingError
from bot.library import Arrival, editing, moves, scanner
from bot.storage.database import StorageFullError
from gpu_worker.language import headers
from gpu_worker.protocol.frames import frame
from gpu_worker.protocol.messages import Hello
from tests.gpu_worker.language.test_models import scan_models

from .conftest import KOHYA, SD1, VAE, write


def png(path=None):
    import io

    out = io.BytesIO()
    Image.new("RGB", (900, 300), "red").save(out, "PNG")
    if path:
        path.write_bytes(out.getvalue())
    return out.getvalue()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


async def refused(awaitable):
    with pytest.raises(UserFacingError) as caught:
        await awaitable
    return caught.value.key


async def test_what_a_file_and_its_sidecars_say(rig):
    tags = json.dumps({"10_sks": {"sks": 10, "hat": 3}})
    place = rig.models / "loras" / "style.safetensors"
    write(place, KOHYA, metadata={"ss_tag_frequency": tags, "ss_output_name": "Styled", "ss_network_dim": "4"})
    library = await rig.loaded()
    (file,) = library.files("lora")
    assert (file.name, file.alias, file.family, file.guessed) == ("style", "Styled", "sd1", False)
    assert (file.trigger_words, file.base, file.read_only) == (("sks", "hat"), "SD 1.5", False)
    assert file.metadata["ss_network_dim"] == "4"
    assert library.find("lora", "Styled") == library.find("lora", "style") == library.get(file.id) == file
    info = {"baseModel": "Pony", "trainedWords": ["ink", "wash"], "name": "v2", "model": {"name": "Ink"}, "modelId": 12}
    place.with_suffix(".civitai.info").write_text(json.dumps(info))
    png(place.with_suffix(".preview.png"))
    report = await library.refresh()
    (file,) = library.files("lora")
    assert report.changed == (file.id,)
    assert (file.title, file.base, file.trigger_words) == ("Ink v2", "Pony", ("ink", "wash"))
    assert (file.preview, file.source) == (place.with_suffix(".preview.png"), "https://civitai.com/models/12")


async def test_the_family_by_metadata_by_hash_and_at_last_by_name(rig):
    bare = {"lora_unet_x.lora_down.weight": [4, 4]}
    write(rig.models / "loras" / "one.safetensors", bare, metadata={"modelspec.architecture": "stable-diffusion-xl-v1"})
    write(rig.models / "loras" / "two.safetensors", {**bare, "lora_unet_y.lora_down.weight": [4, 5]})
    write(rig.models / "loras" / "coolStyleXL.safetensors", {**bare, "lora_unet_z.lora_down.weight": [4, 6]})
    write(rig.models / "loras" / "nobody-knows.safetensors", {**bare, "lora_unet_a.lora_down.weight": [4, 7]})
    write(rig.models / "upscalers" / "sdxl-upscaler.safetensors", {"x": [1]})
    known = {}
    library = await rig.loaded(family_by_hash=known.get)
    await hashed(library)
    known[library.find("lora", "two").sha256] = "sd2"
    await library.annotate(library.find("lora", "one").id, note="anything")  # a new snapshot
    assert {file.name: (file.family, file.guessed) for file in library.files()} == {
        "one": ("sdxl", False),
        "two": ("sd2", False),
        "coolStyleXL": ("sdxl", True),
        "nobody-knows": (None, False),
        "sdxl-upscaler": (None, False),
    }


async def hashed(library):
    """Has the queue work until it is empty."""
    await library._hashes._work()


async def test_hashes_are_the_references_and_made_once(rig, monkeypatch):
    data = bytes(i % 251 for i in range(64))
    header = b'{"__metadata__":{"a":"1"},"t":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'
    path = rig.models / "loras" / "x.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    library = await rig.loaded()
    assert library.files()[0].sha256 is None
    await hashed(library)
    (file,) = library.files()
    assert (file.short_hash, file.autov3) == ("dc0dedab53", "fdeab9acf371")
    monkeypatch.setattr("bot.library.hashing._hash", None)  # whoever hashes now fails
    again = await rig.loaded()
    await hashed(again)
    assert again.files() == (file,)
    path.touch()
    await library.refresh()
    assert library.files()[0].sha256 is None


async def test_a_hash_that_the_worker_knows_is_not_made_again(rig, monkeypatch):
    path = rig.models / "checkpoints" / "dream.safetensors"
    write(path, SD1)
    stat = path.stat()
    (rig.data / "hashes.json").write_text(json.dumps({f"file:{stat.st_size}:{stat.st_mtime_ns}:{path}": "ab" * 32}))
    library = await rig.loaded()
    monkeypatch.setattr("bot.library.hashing._hash", None)
    await hashed(library)
    assert library.files()[0].sha256 == "ab" * 32


async def test_only_what_changed_is_read_again(rig, monkeypatch):
    for number in range(5):
        write(rig.models / "loras" / f"{number}.safetensors", KOHYA)
    first = await rig.loaded()
    library = await rig.loaded()
    assert library.files() == first.files()
    asked = []
    reader = library._scanner._reader
    read = reader.read
    monkeypatch.setattr(reader, "read", lambda wanted: asked.extend(w.listed.path.name for w in wanted) or read(wanted))
    assert not (await library.refresh()).changed
    assert asked == []
    write(rig.models / "loras" / "3.safetensors", KOHYA, metadata={"ss_output_name": "Three"})
    (rig.models / "loras" / "4.safetensors").unlink()
    write(rig.models / "vae" / "new.safetensors", VAE)
    report = await library.refresh()
    assert sorted(asked) == ["3.safetensors", "new.safetensors"]
    assert (len(report.added), len(report.changed), report.removed, report.total) == (1, 1, ("4",), 5)
    assert library.find("lora", "Three").name == "3"


async def test_a_diffusers_folder_counts_with_all_its_parts(rig):
    folder = rig.models / "checkpoints" / "mine"
    write(folder / "unet" / "diffusion_pytorch_model.safetensors", SD1)
    write(folder / "vae" / "diffusion_pytorch_model.safetensors", VAE)
    (folder / "vae" / "gone").symlink_to(folder / "nowhere")
    (folder / "model_index.json").write_text("{}")
    os.utime(folder / "unet" / "diffusion_pytorch_model.safetensors", (1, 1))  # a new one that is damaged is read again

    def there():
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    library = await rig.loaded()
    (file,) = library.files()
    assert file.size_bytes == there() > (folder / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size
    (folder / "text_encoder").mkdir()
    (folder / "text_encoder" / "model.safetensors").write_bytes(b"x" * 1000)
    assert (await library.refresh()).changed == (file.id,)
    assert (await library.refresh()).changed == ()
    assert library.get(file.id).size_bytes == file.size_bytes + 1000 == there()
    await rig.database.write_one("UPDATE library_files SET sha256 = 'known'")
    again = await rig.loaded()
    assert [file.size_bytes for file in again.files()] == [there()]
    await rig.database.write_one("UPDATE library_files SET root = json_remove(root, '$[4]')")  # an earlier version's
    again = await rig.loaded()
    assert (await again.refresh()).changed == (file.id,)
    assert [(file.size_bytes, file.sha256) for file in again.files()] == [(there(), "known")]


async def test_what_a_scan_could_not_store_the_next_one_shows(rig, monkeypatch):
    (rig.models / "loras").mkdir(parents=True)
    write(rig.models / "vae" / "old.safetensors", VAE)
    library = await rig.loaded()
    told = []
    library.subscribe_files(lambda: told.append(len(library.files())))
    (rig.models / "vae" / "old.safetensors").unlink()
    for number in range(5):
        write(rig.models / "loras" / f"{number}.safetensors", KOHYA)
    monkeypatch.setattr(scanner, "CHUNK", 2)
    put, drop = library._store.put_files, library._store.drop_files
    calls = []

    async def full(rows):
        calls.append(1)
        if len(calls) == 2:
            raise StorageFullError
        await put(rows)

    async def no_drop(paths):
        raise StorageFullError

    monkeypatch.setattr(library._store, "put_files", full)
    monkeypatch.setattr(library._store, "drop_files", no_drop)
    for _ in range(2):  # the first fails at the second pair, the second at what is gone
        with pytest.raises(StorageFullError):
            await library.refresh()
    assert told == []
    monkeypatch.setattr(library._store, "drop_files", drop)
    report = await library.refresh()
    assert (len(report.added), report.removed, [file.name for file in library.files()]) == (5, ("old",), list("01234"))
    assert told == [5]


async def test_a_bug_does_not_end_the_background(rig, monkeypatch, caplog):
    monkeypatch.setattr("bot.library.library.FLUSH_S", 0.01)
    write(rig.models / "loras" / "x.safetensors", KOHYA)
    library = await rig.loaded(poll_s=0.01)
    library._hashes._grace_s = 0
    real = library._hashes._work
    broken = AsyncMock(side_effect=KeyError("bug"))
    monkeypatch.setattr(library._hashes, "_work", broken)
    monkeypatch.setattr(library._editing, "mend", broken)
    monkeypatch.setattr(library._editing, "forget_trash", broken)
    await library.start()
    async with asyncio.timeout(20):
        while broken.await_count < 3:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(library._hashes, "_work", real)
        write(rig.models / "loras" / "y.safetensors", KOHYA)
        while len([file for file in library.files() if file.sha256]) < 2:
            await asyncio.sleep(0.01)
    await library.stop()
    assert caplog.text.count("KeyError") == 3


async def test_names_are_those_of_the_worker(rig, tmp_path):
    rig.extra = (tmp_path / "a1111", tmp_path / "heap")
    for place in ("loras/style", "loras/a/style", "loras/b/style", "checkpoints/mixed-up"):
        write(rig.models / f"{place}.safetensors", KOHYA)
    write(tmp_path / "a1111" / "models" / "Stable-diffusion" / "dream.safetensors", SD1)
    write(tmp_path / "a1111" / "models" / "Lora" / "style.safetensors", KOHYA)
    write(tmp_path / "heap" / "style.safetensors", KOHYA)
    (rig.models / "loras" / "style.pt").write_bytes(b"x")
    library = await rig.loaded()
    assert library.facts() == scan_models(rig.models, rig.data / "no-demo", rig.extra)
    assert [file.name for file in library.files()] == [fact.name for fact in library.facts()]
    assert len({(file.kind, file.name) for file in library.files()}) == len({file.id for file in library.files()}) == 8


async def test_an_unplugged_disk_keeps_its_hashes(rig, tmp_path):
    disk = tmp_path / "disk"
    rig.extra = (disk,)
    write(disk / "loras" / "style.safetensors", KOHYA)
    library = await rig.loaded()
    await hashed(library)
    (file,) = library.files()
    disk.rename(tmp_path / "unplugged")
    assert (await library.refresh()).removed == ("style",)
    assert library.files() == ()
    library = await rig.loaded()
    (tmp_path / "unplugged").rename(disk)
    await library.refresh()
    assert library.files() == (file,)


# --- changes ----------------------------------------------------------------------------------------------------------


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


# --- hostile files ----------------------------------------------------------------------------------------------------


def hostile(folder):
    folder.mkdir(parents=True)
    random.seed(5)
    files = {
        "bomb": (100 << 30).to_bytes(8, "little") + b"{}",
        "max": b"\xff" * 8,
        "deep": (400_000).to_bytes(8, "little") + b"[" * 400_000,
        "infinite": b'{"a":{"dtype":"F16","shape":[Infinity],"data_offsets":[0,2]}}',
        "noise": random.randbytes(4096),
        "pickle": b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.",
        "zip": b"PK\x03\x04" + b"\xff" * 60,
        "empty": b"",
    }
    for name, data in files.items():
        if name == "infinite":
            data = len(data).to_bytes(8, "little") + data + b"\0\0"
        for suffix in (".safetensors", ".pt", ".ckpt"):
            (folder / f"{name}{suffix}").write_bytes(data)
    (folder / "broken.safetensors").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    (folder / "self.pt").symlink_to("self.pt")
    (folder / "folder.safetensors").mkdir()
    (folder / "passwd.pt").symlink_to("/etc/passwd")
    said = {"ss_output_name": "\ud800", "modelspec.title": "a\udfffb", "pincel.\ud800": "x", "pincel.y": "\udc00"}
    said["ss_tag_frequency"] = json.dumps({"x": {"hat \ud83d": 3}})
    write(folder / "half.safetensors", KOHYA, metadata=said)
    for number in range(5):  # more than a frame holds
        long = {"ss_output_name": chr(97 + number) * 900_000, "modelspec.title": "x" * 900_000}
        write(folder / f"long{number}.safetensors", KOHYA, metadata=long)
    info = {"name": "\udc80", "description": "\ud800 y", "trainedWords": ["\ud800"], "baseModel": "\udbff"}
    (folder / "half.civitai.info").write_text(json.dumps(info))
    os.mkfifo(folder / "pipe.safetensors")
    os.mkfifo(folder / "good.json")
    (folder / b"\xff\xfe.safetensors".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    return len(files) * 3 + 3 + 6


async def test_a_scan_survives_any_file_and_finds_the_good_one_among_them(rig):
    count = hostile(rig.models / "loras") + hostile(rig.models / "embeddings")
    write(rig.models / "loras" / "good.safetensors", KOHYA)
    (rig.models / "loras" / "good.civitai.info").write_text("[" * 200_000)
    async with asyncio.timeout(60):
        library = await rig.loaded()
        await library.refresh()
    sound = {file.path.stem for file in library.files() if file.problem is None}
    assert sound == {"good", "half", *(f"long{number}" for number in range(5))}
    assert len(library.files()) == count + 1
    assert_sendable(library)
    assert library.facts() == scan_models(rig.models, rig.data)


def assert_sendable(library):
    """To the worker's bot, and to Discord."""
    frame(Hello(app_version="1", boot="b", name="n", models=library.facts()))
    for file in library.files():
        json.dumps([file.alias, file.title, file.base, file.trigger_words, file.metadata], ensure_ascii=False).encode()


async def test_what_an_earlier_version_stored_is_cleaned(rig):
    write(rig.models / "loras" / "style.safetensors", KOHYA, metadata={"ss_output_name": "S"})
    (rig.models / "loras" / "style.civitai.info").write_text('{"name": "T"}')
    await rig.loaded()
    reading = json.dumps({"alias": "\ud800" + "x" * 900, "details": {"metadata": {"a": "\ud800"},
                                                                     "trigger_words": ["\udfff", "w"]}})  # fmt: skip
    beside = json.dumps({"title": "T\ud800", "base": "\ud800", "metadata": {"version": "\ud800"}})
    await rig.database.write_one("UPDATE library_files SET reading = ?, beside = ?", (reading, beside))
    library = await rig.loaded()
    (file,) = library.files()
    assert (file.alias, file.title, file.trigger_words) == ("x" * 120, "T", ("w",))
    assert_sendable(library)


async def test_a_file_that_the_reader_dies_of_counts_as_damaged(rig, monkeypatch):
    for number in range(40):
        write(rig.models / "loras" / f"{number:02}.safetensors", KOHYA)
    (rig.models / "loras" / "killer.safetensors").write_bytes(b"x")
    monkeypatch.setenv("PYTHONSTARTUP", "")
    library = rig.library()
    real = library._scanner._reader._read_from

    async def dying(wanted, start):
        async for answer in real(wanted, start):
            if answer[0].listed.path.name in ("07.safetensors", "killer.safetensors"):
                return
            yield answer

    monkeypatch.setattr(library._scanner._reader, "_read_from", dying)
    await library.load()
    assert {file.name for file in library.files() if file.problem} == {"07", "killer"}
    assert len(library.files()) == 41


def test_the_limit_of_headers_is_the_librarys():
    assert headers.HEADER_LIMIT_BYTES == 100_000_000
