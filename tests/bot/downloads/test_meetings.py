"""Downloads that meet: on one link, in one quota, with another server's file, with the tidying; archives cut short."""

import asyncio
import dataclasses
import hashlib
import io
import os
import zipfile

import pytest
from aiohttp import web as server

from bot.downloads import Download, DownloadWish, manager
from bot.downloads.trouble import amount
from bot.errors import UserFacingError

from .conftest import gives, lora, running, slowly

OURS, THEIRS = 8, 9


def packed(folder, *names):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for number, name in enumerate(names):
            opened.writestr(f"{name}.safetensors", lora(folder / name, number))
    return archive.getvalue()


async def test_two_who_ask_for_one_link_at_once(place, host, tmp_path):
    host.routes["/m.safetensors"] = slowly(lora(tmp_path / "s.safetensors"), 100)
    wish = DownloadWish(host.url("/m.safetensors"))
    async with running(place) as downloads:
        first, second = await asyncio.gather(downloads.add(wish), downloads.add(wish), return_exceptions=True)
        assert (type(first), str(second)) == (Download, "download_running")
        await downloads.cancel(first.id)
        await downloads.cancel((await downloads.add(wish)).id)


async def test_who_could_not_be_stored_keeps_nobody_else_from_the_link(place, host, monkeypatch):
    async with running(place) as downloads:
        with monkeypatch.context() as patch:
            patch.setattr(downloads._store, "add", Broken())
            with pytest.raises(OSError, match="disk"):
                await downloads.add(DownloadWish(host.url("/m.safetensors")))
        await downloads.add(DownloadWish(host.url("/m.safetensors")))


class Broken:
    calls = 0

    async def __call__(self, *_):
        self.calls += 1
        raise OSError("disk")


async def test_an_archive_that_fails_half_way_names_what_it_brought(place, host, tmp_path, monkeypatch):
    host.routes["/pack.zip"] = gives(packed(tmp_path, "one", "two"))
    async with running(place) as downloads:
        adopt = place.library.adopt

        async def full(arrival):
            if arrival.path.stem == "two":
                raise UserFacingError("library_disk", name="two")
            return await adopt(arrival)

        monkeypatch.setattr(place.library, "adopt", full)
        ended = await place.done(downloads, DownloadWish(host.url("/pack.zip")))
        there = [file.id for file in place.library.files()]
    assert (ended.state, ended.problem, list(ended.file_ids)) == ("failed", "library_disk", there)
    async with running(place) as downloads:
        assert list((await downloads.get(ended.id)).file_ids) == there


@pytest.mark.parametrize("seen", [False, True])
async def test_an_archive_that_was_cut_short_brings_each_model_once(place, host, tmp_path, monkeypatch, seen):
    """The process ends with the first member moved; the library has not even looked at it, or has."""
    host.routes["/pack.zip"] = gives(packed(tmp_path, "one", "two"))
    lora(place.data / "models" / "loras" / "zero.safetensors", 7)  # an empty library would look at its folders first
    async with running(place) as downloads:
        moved, looks = asyncio.Event(), []
        look_at = place.library._editing._look_at

        async def dies(path):
            looks.append(path)
            if len(looks) > seen:
                moved.set()
                await asyncio.sleep(60)
            return await look_at(path)

        monkeypatch.setattr(place.library._editing, "_look_at", dies)
        begun = await downloads.add(DownloadWish(host.url("/pack.zip")))
        await moved.wait()
        assert not await downloads.cancel(begun.id)
        assert len((await downloads.get(begun.id)).file_ids) == seen
    async with running(place) as downloads:
        ended = await place.ended(downloads, begun)
        await place.library.refresh()
        files = place.library.files()
    assert (ended.state, [file.name for file in files]) == ("done", ["one", "two", "zero"])
    assert list(ended.file_ids) == [file.id for file in files[:2]]


async def test_what_another_server_has_is_no_hindrance_and_no_secret_told(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    sha256 = hashlib.sha256(data).hexdigest()
    paths = [f"/{name}.safetensors" for name in ("theirs", "ours", "mine", "again")]
    host.routes |= {path: gives(data) for path in paths}
    async with running(place) as downloads:
        place.library._hashes._grace_s = 0
        await place.library.start()

        async def asked(path, server_id):
            ended = await place.done(downloads, DownloadWish(host.url(path), sha256=sha256, asked_in=server_id))
            while any(file.sha256 is None for file in place.library.files()):
                await asyncio.sleep(0.02)
            return ended

        async with asyncio.timeout(30):
            assert (await asked(paths[0], THEIRS)).state == "done"
            assert (await asked(paths[1], OURS)).state == "done"
            assert (await asked(paths[3], OURS)).problem_values == {"name": "ours"}
            assert (await asked(paths[2], None)).state == "done"  # the operator's own list has neither
            assert (await asked(paths[3], 10)).problem_values == {"name": "mine"}
        await place.library.stop()


async def test_two_cannot_have_the_same_room(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    asked, begun, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def first(request):
        asked.set()
        response = server.StreamResponse(headers={"ETag": '"one"'})
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:100])
        begun.set()
        await go.wait()
        await response.write(data[100:])
        return response

    async def second(request):
        await begun.wait()
        await asyncio.sleep(0.1)
        return await gives(lora(tmp_path / "other.safetensors", 5))(request)

    async def allowance(wish):
        others = sum(one.total_bytes or 0 for one in downloads.active() if one.wish != wish)
        return len(data) * 3 // 2 - others

    host.routes |= {"/a.safetensors": first, "/b.safetensors": second}
    place.limits = dataclasses.replace(place.limits, allowance=allowance)
    async with running(place) as downloads:
        a, b = [await downloads.add(DownloadWish(host.url(f"/{name}.safetensors"), asked_in=OURS)) for name in "ab"]
        refused = await place.ended(downloads, b)
        go.set()
        assert (await place.ended(downloads, a)).state == "done"
    assert (refused.problem, refused.received_bytes) == ("download_over_quota", 0)
    assert refused.problem_values == {"size": amount(len(data)), "limit": amount(len(data) // 2)}


async def test_room_that_went_while_a_file_of_no_stated_size_came(place, host, tmp_path):
    data = lora(tmp_path / "s.safetensors")
    left = [1_000_000, 100]

    async def unsized(request):
        response = server.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(data)
        return response

    async def allowance(_):
        return left.pop(0)

    host.routes["/m.safetensors"] = unsized
    place.limits = dataclasses.replace(place.limits, allowance=allowance)
    async with running(place) as downloads:
        ended = await place.done(downloads, DownloadWish(host.url("/m.safetensors"), asked_in=OURS))
        assert (ended.problem, ended.problem_values["limit"]) == ("download_over_quota", "100 B")
        assert place.library.files() == ()


async def test_what_nobody_asked_for_again_goes_without_a_new_start(place, host, tmp_path, monkeypatch):
    monkeypatch.setattr(manager, "TIDY_EVERY_S", 0.05)
    host.routes["/m.safetensors"] = slowly(lora(tmp_path / "s.safetensors"), 100)
    wished = place.data / "downloads" / "wished"
    async with running(place) as downloads:
        tidy, broken = downloads._store.forget_old, Broken()
        monkeypatch.setattr(downloads._store, "forget_old", broken)
        async with asyncio.timeout(60):
            while broken.calls < 2:  # an error ends nothing
                await asyncio.sleep(0.01)
            monkeypatch.setattr(downloads._store, "forget_old", tidy)
            begun = await downloads.add(DownloadWish(host.url("/m.safetensors")))
            while not place.left():
                await asyncio.sleep(0.01)
            (busy,) = place.left()
            (wished / "old").mkdir()
            (wished / "old" / ".part").write_bytes(b"x")
            (wished / "young").mkdir()
            for name in (busy, "old"):
                os.utime(wished / name, (1, 1))
            while (wished / "old").exists():
                await asyncio.sleep(0.01)
        assert {busy, "young"} <= set(place.left())
        await downloads.cancel(begun.id)
