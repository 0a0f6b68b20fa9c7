"""What a scan finds, remembers, and does not do twice."""

import asyncio
import json
import os
from unittest.mock import AsyncMock

import pytest

from bot.library import scanner
from bot.storage.database import StorageFullError
from tests.gpu_worker.language.test_models import scan_models

from .conftest import KOHYA, SD1, VAE, hashed, png, write


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
    async with asyncio.timeout(60):
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
