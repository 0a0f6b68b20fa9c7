"""Downloads from the wish to the library: durable, checked, cancelled, gone on with."""

import asyncio
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from aiohttp import web as server
from PIL import Image
from safetensors.torch import load_file

from bot.downloads import DownloadWish
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.settings import CHECKOUT
from bot.storage.database import open_database

from .conftest import gives, lora, running, says, slowly


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/pincel-was-here",)


async def test_a_held_file_is_disabled_before_anybody_sees_it(place, host, tmp_path):
    host.routes["/ink.safetensors"] = gives(lora(tmp_path / "seed.safetensors"))
    asked = []

    async def hold(wish, file_id):
        assert place.library.get(file_id) is None
        assert not list((place.data / "models").rglob("*.safetensors"))
        asked.append((wish.held, file_id))

    place.limits = dataclasses.replace(place.limits, hold=hold)
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(host.url("/ink.safetensors"), held=True))
    assert asked == [(True, ended.file_id)]


async def test_a_link_becomes_a_model(place, host, tmp_path):
    data = lora(tmp_path / "seed.safetensors")
    host.routes["/x/my%20style.safetensors"] = host.routes["/x/my style.safetensors"] = gives(data)
    async with running(place) as downloads:
        wish = DownloadWish(host.url("/x/my%20style.safetensors?key=1"), asked_by=7, asked_in=8, locale="es-ES")
        begun = await downloads.add(wish)
        assert (begun.state, downloads.active()) == ("waiting", (begun,))
        ended = await place.ended(downloads, begun)
        file = place.library.get(ended.file_id)
    assert (ended.state, ended.received_bytes, ended.total_bytes) == ("done", len(data), len(data))
    assert (file.kind, file.name, file.added_by, file.added_in) == ("lora", "my style", 7, 8)
    assert file.path.read_bytes() == data
    assert file.source == host.url("/x/my%20style.safetensors")
    states = list(dict.fromkeys(download.state for download in place.seen))
    assert states == ["resolving", "downloading", "checking", "done"]
    assert place.left() == []


async def test_what_civitai_says_lies_beside_the_model(place, host, other, tmp_path):
    data = lora(tmp_path / "seed.safetensors")
    picture = io.BytesIO()
    Image.new("RGB", (50, 50), "red").save(picture, "PNG")
    other.routes["/file"] = gives(data, headers={"Content-Disposition": 'attachment; filename="other.safetensors"'})
    host.routes["/picture"] = gives(picture.getvalue())
    version = {
        "id": 34, "modelId": 12, "name": "v2", "baseModel": "SD 1.5", "trainedWords": ["ink", "wash"],
        "model": {"name": "Ink", "type": "LORA"}, "images": [{"url": host.url("/picture"), "nsfwLevel": 1}],
        "files": [{"name": "ink.safetensors", "type": "Model", "downloadUrl": other.url("/file"),
                   "hashes": {"SHA256": hashlib.sha256(data).hexdigest().upper()}}],
    }  # fmt: skip
    other.routes["/api/v1/model-versions/34"] = says(json.dumps(version))
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(other.url("/models/12?modelVersionId=34")))
        await place.library.refresh()
        file = place.library.get(ended.file_id)
    assert (file.kind, file.name, file.title, file.base) == ("lora", "ink", "Ink v2", "SD 1.5")
    assert file.trigger_words == ("ink", "wash")
    assert file.preview.is_file()
    assert other.asked[-1].headers["Authorization"] == "Bearer civitai-secret"
    dump = (place.data / "pincel.sqlite").read_bytes() + (place.data / "pincel.sqlite-wal").read_bytes()
    assert b"civitai-secret" not in dump


@pytest.mark.parametrize("preview", ["http://a.example:99999/p.png", f"http://{'a' * 70}.example/", "/p.png", "\u2100"])
async def test_a_preview_that_nobody_can_have_keeps_no_model_out(place, other, tmp_path, preview):
    other.routes["/file"] = gives(lora(tmp_path / "seed.safetensors"))
    version = {
        "id": 34, "name": "v2", "model": {"type": "LORA"}, "images": [{"url": preview}],
        "files": [{"name": "ink.safetensors", "downloadUrl": other.url("/file")}],
    }  # fmt: skip
    other.routes["/api/v1/model-versions/34"] = says(json.dumps(version))
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(other.url("/model-versions/34")))
    assert (ended.state, place.library.get(ended.file_id).preview) == ("done", None)


async def test_a_hash_that_the_host_contradicts_is_told_before_anything_is_fetched(place, other):
    version = {
        "id": 34, "name": "v2", "model": {"type": "LORA"},
        "files": [{"name": "ink.safetensors", "downloadUrl": other.url("/file"), "hashes": {"SHA256": "CD" * 32}}],
    }  # fmt: skip
    other.routes["/api/v1/model-versions/34"] = says(json.dumps(version))
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(other.url("/model-versions/34"), sha256="ab" * 32))
    assert (ended.state, ended.problem) == ("failed", "download_other_hash")
    assert other.count("/file") == 0


@pytest.mark.parametrize(
    ("make", "wish", "problem", "reasons"),
    [
        (lambda tmp: lora(tmp / "s.safetensors"), {"kind": "checkpoint"}, "download_wrong_kind", []),
        (lambda tmp: lora(tmp / "s.safetensors")[:-5], {}, "download_damaged", ["download_damaged"]),
        (lambda tmp: pickle.dumps(Bomb()), {"kind": "embedding"}, "download_pickle", ["download_pickle"]),
        (lambda tmp: (100 << 30).to_bytes(8, "little") + b"{" * 9, {}, "download_damaged", ["download_damaged"]),
        (lambda tmp: lora(tmp / "s.safetensors"), {"sha256": "ab" * 32}, "download_hash", []),
    ],
)  # fmt: skip
async def test_what_is_refused_never_becomes_visible(place, host, tmp_path, make, wish, problem, reasons):
    host.routes["/m.safetensors"] = gives(make(tmp_path))
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(host.url("/m.safetensors"), **wish))
        assert (ended.state, ended.problem, place.library.files()) == ("failed", problem, ())
    assert texts_for("es")(f"error.{ended.problem}", **ended.problem_values)
    assert not [path for path in (place.data / "models").rglob("*") if path.is_file()]
    assert place.quarantined() == reasons
    assert not Path("/tmp/pincel-was-here").exists()


async def test_the_wrong_kind_is_mended_without_fetching_again(place, host, tmp_path):
    host.routes["/m.safetensors"] = gives(lora(tmp_path / "s.safetensors"))
    async with running(place) as downloads:
        wish = DownloadWish(host.url("/m.safetensors"), kind="vae")
        assert (await place.done(downloads, wish)).problem == "download_wrong_kind"
        assert (await place.done(downloads, dataclasses.replace(wish, kind="lora"))).state == "done"
    assert len(host.asked) == 1


async def test_pickles_by_their_name_are_not_even_fetched(place, host):
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(host.url("/m.ckpt"), kind="checkpoint"))
    assert (ended.problem, host.asked) == ("download_pickle", [])


async def test_a_pickle_of_a_known_hash_is_stored_as_safetensors(place, host, tmp_path):
    torch.save({"params_ema": {"conv_first.weight": torch.rand(8, 3, 3, 3)}}, tmp_path / "x.pth")
    data = (tmp_path / "x.pth").read_bytes()
    host.routes["/x.pth"] = gives(data)
    wish = DownloadWish(host.url("/x.pth"), kind="upscaler", name="4x_x", sha256=hashlib.sha256(data).hexdigest())
    async with running(place) as downloads:
        assert (await place.done(downloads, wish)).problem == "download_pickle"
        ended = await place.done(downloads, dataclasses.replace(wish, allow_pickle_with_sha256=True))
        file = place.library.get(ended.file_id)
    assert (file.kind, file.name, file.path.name) == ("upscaler", "4x_x", "4x_x.safetensors")
    assert load_file(file.path).keys() == {"conv_first.weight"}
    assert place.left() == []


async def test_even_a_known_hash_executes_nothing(place, host):
    data = pickle.dumps(Bomb())
    host.routes["/x.pth"] = gives(data)
    wish = DownloadWish(
        host.url("/x.pth"), kind="upscaler", sha256=hashlib.sha256(data).hexdigest(), allow_pickle_with_sha256=True
    )
    async with running(place) as downloads:
        ended = await place.done(downloads, wish)
    assert (ended.problem, place.quarantined()) == ("download_unsafe", ["download_unsafe"])
    assert not Path("/tmp/pincel-was-here").exists()


async def test_an_archive_gives_its_models(place, host, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/one.safetensors", lora(tmp_path / "1.safetensors", 1))
        archive.writestr("../two.safetensors", lora(tmp_path / "2.safetensors", 2))
        archive.writestr("three.safetensors", b"nothing")
        archive.writestr("notes.txt", b"hello")
    host.routes["/pack.zip"] = gives(packed.getvalue())
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(host.url("/pack.zip")))
        names = [place.library.get(id_).name for id_ in ended.file_ids]
    assert (names, place.left()) == (["one", "two"], [])


async def test_an_attachment_goes_through_the_same_checks(place, tmp_path):
    data = lora(tmp_path / "up" / "attachment")
    async with running(place) as downloads:
        begun = await downloads.add_file(tmp_path / "up" / "attachment", DownloadWish("../My LoRA.safetensors"))
        ended = await place.ended(downloads, begun)
        file = place.library.get(ended.file_id)
        assert (file.kind, file.name, file.source) == ("lora", "My LoRA", None)
        assert file.path.read_bytes() == data
        assert not (tmp_path / "up" / "attachment").exists()
        lora(tmp_path / "again", 5)
        begun = await downloads.add_file(tmp_path / "again", DownloadWish("x.safetensors", sha256="AB" * 32))
        assert (await place.ended(downloads, begun)).problem == "download_hash_file"
    assert place.left() == []


async def test_the_same_file_twice(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    host.routes["/a.safetensors"] = slowly(data, 100)
    host.routes["/b.safetensors"] = gives(data)
    sha256 = hashlib.sha256(data).hexdigest()
    async with running(place) as downloads:
        begun = await downloads.add(DownloadWish(host.url("/a.safetensors")))
        with pytest.raises(UserFacingError, match="download_running"):
            await downloads.add(DownloadWish(host.url("/a.safetensors#x")))
        await downloads.cancel(begun.id)
        ended = await place.done(downloads, DownloadWish(host.url("/b.safetensors"), sha256=sha256))
        await place.library.start()
        while place.library.get(ended.file_id).sha256 is None:
            await asyncio.sleep(0.05)
        ended = await place.done(downloads, DownloadWish(host.url("/b.safetensors"), sha256=sha256))
        await place.library.stop()
    assert (ended.problem, ended.problem_values["name"]) == ("download_there", "b")


async def test_cancelling_takes_everything_away(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    host.routes["/m.safetensors"] = slowly(data, 5000)
    async with running(place) as downloads:
        begun = await downloads.add(DownloadWish(host.url("/m.safetensors")))
        while not host.asked:
            await asyncio.sleep(0.01)
        assert await downloads.cancel(begun.id)
        assert not await downloads.cancel(begun.id)
        assert not await downloads.cancel("nobody0000")
        assert (await downloads.get(begun.id)).state == "cancelled"
        assert downloads.active() == ()
    assert place.left() == []
    async with running(place) as downloads:
        assert downloads.active() == ()


async def test_a_few_at_once_in_the_order_of_asking(place, host, tmp_path):
    now = most = 0

    async def counted(request):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
        return await gives(lora(tmp_path / request.path.strip("/"), int(request.path[2])))(request)

    paths = [f"/m{n}.safetensors" for n in range(5)]
    host.routes |= dict.fromkeys(paths, counted)
    async with running(place) as downloads:
        begun = [await downloads.add(DownloadWish(host.url(path))) for path in paths]
        assert [download.id for download in downloads.active()] == [download.id for download in begun]
        for download in begun:
            assert (await place.ended(downloads, download)).state == "done"
    assert most == 2
    asked = [request.path for request in host.asked]
    assert sorted(asked) == paths
    assert all(abs(asked.index(path) - n) <= 1 for n, path in enumerate(paths))  # of two at once either may be first


async def test_mirrors_and_a_host_that_is_down(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    host.routes["/down.safetensors"] = says(status=500)
    host.routes["/mirror"] = gives(data)
    async with running(place) as downloads:
        wish = DownloadWish(host.url("/down.safetensors"), mirrors=(host.url("/mirror"),))
        assert (await place.done(downloads, wish)).state == "done"
        ended = await place.done(downloads, DownloadWish(host.url("/api/x.safetensors")))
        assert ended.problem == "download_missing"


async def test_a_quota_bounds_what_comes(place, host, tmp_path):
    host.routes["/m.safetensors"] = gives(lora(tmp_path / "s.safetensors"))

    async def allowance(wish):
        return 100 if wish.asked_in == 8 else None

    place.limits = dataclasses.replace(place.limits, allowance=allowance)
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(host.url("/m.safetensors"), asked_in=8))
        assert (ended.problem, ended.problem_values["limit"]) == ("download_over_quota", "100 B")
        assert (await place.done(downloads, DownloadWish(host.url("/m.safetensors")))).state == "done"


async def test_a_stop_and_a_start_go_on(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    host.routes["/m.safetensors"] = slowly(data, 9000)
    place.limits = dataclasses.replace(place.limits, at_once=1)
    async with running(place) as downloads:
        begun = await downloads.add(DownloadWish(host.url("/m.safetensors"), name="mine", asked_in=3))
        waiting = [await downloads.add(DownloadWish(host.url(f"/{n}"), kind="lora")) for n in range(2)]
        while not host.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.7)
    async with running(place) as downloads:
        assert [download.id for download in downloads.active()] == [begun.id, *(one.id for one in waiting)]
        ended = await place.ended(downloads, begun)
        assert (ended.state, place.library.get(ended.file_id).name) == ("done", "mine")
    assert next(r for r in host.asked if "Range" in r.headers).headers["Range"] == "bytes=9000-"


@pytest.mark.parametrize("uploaded", [False, True])
async def test_a_crash_after_the_library_has_it(place, host, tmp_path, monkeypatch, uploaded):
    """The file has moved; nobody wrote that down."""
    data = lora(tmp_path / "s.safetensors")
    host.routes["/m.safetensors"] = gives(data)
    async with running(place) as downloads:
        moved = asyncio.Event()
        adopt = place.library.adopt

        async def dies(*args, **options):
            await adopt(*args, **options)
            moved.set()
            await asyncio.sleep(60)

        monkeypatch.setattr(place.library, "adopt", dies)
        if uploaded:
            begun = await downloads.add_file(tmp_path / "s.safetensors", DownloadWish("m.safetensors"))
        else:
            begun = await downloads.add(DownloadWish(host.url("/m.safetensors")))
        await moved.wait()
        assert not await downloads.cancel(begun.id)
    async with running(place) as downloads:
        ended = await place.ended(downloads, begun)
        assert ended.state == "done"
        assert [file.id for file in place.library.files()] == [ended.file_id]
    assert len(host.asked) == (0 if uploaded else 1)
    assert place.left() == []


async def test_a_row_of_another_version_is_given_up(place):
    async with running(place):
        pass
    await place.database.write_one(
        "INSERT INTO downloads (id, link, wish, state, created_at, changed_at) VALUES ('a', 'x', '[', 'waiting', 1, 1)"
    )
    async with running(place) as downloads:
        assert downloads.active() == ()


async def test_a_bug_has_a_reference(place, host, tmp_path, monkeypatch):
    host.routes["/m.safetensors"] = gives(lora(tmp_path / "s.safetensors"))
    async with running(place) as downloads:
        monkeypatch.setattr(place.library, "adopt", None)
        ended = await place.done(downloads, DownloadWish(host.url("/m.safetensors")))
    assert ended.problem == "download_bug"
    assert texts_for("en")("error.download_bug", **ended.problem_values)


@pytest.mark.slow
async def test_kill_9_and_a_new_start(place, host, tmp_path):
    """Another process fetches and dies; nothing is visible, and this one goes on."""
    data = lora(tmp_path / "s.safetensors")
    asked = asyncio.Event()

    async def drips(request):
        if "Range" in request.headers:
            return await gives(data)(request)
        response = server.StreamResponse(headers={"ETag": '"one"'})
        response.content_length = len(data)
        await response.prepare(request)
        for at in range(0, 12_000, 1000):
            await response.write(data[at : at + 1000])
            await asyncio.sleep(0.1)
        asked.set()
        await asyncio.sleep(60)
        return response

    host.routes["/m.safetensors"] = drips
    await place.database.close()
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from pathlib import Path
from bot.downloads import Downloads, DownloadWish, receive
from bot.downloads.manager import DownloadRules
from bot.downloads.web import Tokens, Web, WebRules
from bot.library import Library
from bot.storage.database import open_database
receive.SYNC_EVERY_S, receive.WRITE_EVERY_S = 0.2, 0.05
class Anywhere:
    def allows(self, address): return True
async def main():
    data = Path({str(place.data)!r})
    database = await open_database(data / "pincel.sqlite")
    library = Library(database, models_dir=data / "models", demo_dir=data / "no-demo")
    web = Web(WebRules(addresses=Anywhere(), allow_http=True), Tokens())
    downloads = Downloads(database, library, web, data=data, rules=DownloadRules())
    await downloads.add(DownloadWish({host.url("/m.safetensors")!r}, asked_by=7))
    await asyncio.sleep(60)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script])  # noqa: ASYNC220
    try:
        async with asyncio.timeout(60):
            await asked.wait()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (place.data / "models").exists()
    place.database = await open_database(place.data / "pincel.sqlite")
    async with running(place) as downloads:
        (begun,) = downloads.active()
        ended = await place.ended(downloads, begun)
        file = place.library.get(ended.file_id)
        assert (ended.state, file.added_by, file.path.read_bytes()) == ("done", 7, data)
    assert int(host.asked[-1].headers["Range"][6:-1]) >= 1000
    with contextlib.closing(sqlite3.connect(place.data / "pincel.sqlite")) as connection:
        assert connection.execute("SELECT state FROM downloads").fetchall() == [("done",)]
