"""No file ends a scan, fills the bot or says what cannot be shown."""

import asyncio
import contextlib
import json
import os
import random

from gpu_worker.language import headers
from gpu_worker.protocol.frames import frame
from gpu_worker.protocol.messages import Hello
from tests.gpu_worker.language.test_models import scan_models

from .conftest import KOHYA, write


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
        async with contextlib.aclosing(real(wanted, start)) as answers:
            async for answer in answers:
                if answer[0].listed.path.name in ("07.safetensors", "killer.safetensors"):
                    return
                yield answer

    monkeypatch.setattr(library._scanner._reader, "_read_from", dying)
    await library.load()
    assert {file.name for file in library.files() if file.problem} == {"07", "killer"}
    assert len(library.files()) == 41


def test_the_limit_of_headers_is_the_librarys():
    assert headers.HEADER_LIMIT_BYTES == 100_000_000
