"""What a job needs lies on the machine before it begins: the real files, a bot that is only a table of them."""

import asyncio
import errno
import hashlib
import json
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_worker.agent.getting import PartFile
from gpu_worker.agent.shelf import Shelf
from gpu_worker.agent.source import SourceRules
from gpu_worker.agent.stock import Stock, StockError, StockPlaces, StockRules
from gpu_worker.language.models import scan_model_files
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.mail import InputWanted, ModelWanted
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES
from gpu_worker.protocol.specs import ImageRef, Img2Img, Txt2Img

MB = 2**20


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def ref(name: str, data: bytes, kind: m.ModelKind = "lora", **more: object) -> m.ModelRef:
    return m.ModelRef.model_validate(
        {"kind": kind, "name": name, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), **more}
    )


def assign(*needs: m.ModelRef, job: str = "j1", spec: Txt2Img | Img2Img | None = None) -> m.Assign:
    drawing = spec or Txt2Img(prompt="p", checkpoint="c", width=64, height=64, seed=1)
    return m.Assign(worker="garage", job=job, attempt=1, spec=drawing, needs=needs)


class Bot:
    """Serves chunks of what it has, and notes what was asked for."""

    def __init__(self, *files: bytes) -> None:
        self.files = {hashlib.sha256(data).hexdigest(): data for data in files}
        self.asked: list[tuple[str, int]] = []
        self.away = False
        self.gate: asyncio.Event | None = None
        self.most = 10**9
        """After so many answers it falls silent."""

    async def __call__(self, wanted: InputWanted | ModelWanted) -> bytes:
        name = wanted.sha256 if isinstance(wanted, ModelWanted) else wanted.ref
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.away or len(self.asked) >= self.most:
            raise ConnectionError("the broker is away")
        self.asked.append((name, wanted.offset))
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name][wanted.offset : wanted.offset + CHUNK_BYTES]


class Told:
    def __init__(self) -> None:
        self.words: list[tuple[int, int]] = []

    def __call__(self, done: int, of: int) -> None:
        self.words.append((done, of))


def make(root: Path, bot: Bot, source: SourceRules | None = None, **rules) -> Stock:
    places = StockPlaces(root / "fetched", root / "outbox" / "inputs", root / "models", (root / "more",))
    return Stock(bot, places, replace(StockRules(retry_s=0.01, spare_mb=0), **rules), source)


def lora(root: Path, name: str) -> Path:
    return root / "fetched" / "loras" / f"{name}.safetensors"


async def eventually(is_so) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_what_is_missing_is_fetched_by_its_hash_and_lies_under_the_bots_name(tmp_path):
    data = content(3 * MB + 17)
    bot, told = Bot(data), Told()
    stock = make(tmp_path, bot)
    assert await stock.ready(assign(ref("mine", data)), told)
    assert lora(tmp_path, "mine").read_bytes() == data
    assert told.words[0] == (0, 1000)
    asked = len(bot.asked)
    assert not await stock.ready(assign(ref("mine", data), job="j2"), told)
    assert len(bot.asked) == asked == 7
    again = make(tmp_path, bot)  # another life of the agent
    assert not await again.ready(assign(ref("mine", data), job="j3"), told)
    assert len(bot.asked) == asked


async def test_other_bytes_than_promised_are_never_kept(tmp_path):
    data, other = content(MB), content(MB, 1)
    bot = Bot(data)
    wanted = ref("mine", data)
    bot.files[wanted.sha256] = other
    with pytest.raises(StockError) as caught:
        await make(tmp_path, bot).ready(assign(wanted), Told())
    assert caught.value.kind == "bad_model"
    assert caught.value.detail["lora"] == "mine"
    assert caught.value.retryable
    assert not lora(tmp_path, "mine").exists()
    assert not list((tmp_path / "fetched" / ".parts").iterdir())


@pytest.mark.parametrize("length", [0, MB - 1, 5 * MB])
async def test_a_file_of_another_length_than_promised_is_refused(tmp_path, length):
    data = content(MB)
    bot, wanted = Bot(), ref("mine", data)
    bot.files[wanted.sha256] = content(length, 1)
    with pytest.raises(StockError):
        await make(tmp_path, bot).ready(assign(wanted), Told())
    assert not lora(tmp_path, "mine").exists()


async def test_what_the_bot_does_not_give_is_said_with_the_models_name(tmp_path):
    with pytest.raises(StockError) as caught:
        await make(tmp_path, Bot()).ready(assign(ref("mine", b"x")), Told())
    assert (caught.value.kind, caught.value.detail) == ("missing_model", {"lora": "mine"})


async def test_a_half_fetched_file_is_gone_on_with_in_the_next_life(tmp_path):
    data = content(20 * CHUNK_BYTES)
    bot = Bot(data)
    bot.most = 12
    stock = make(tmp_path, bot)
    task = asyncio.create_task(stock.ready(assign(ref("mine", data)), Told()))
    part = tmp_path / "fetched" / ".parts" / f"{ref('mine', data).sha256}.part"
    await eventually(lambda: part.exists() and part.stat().st_size >= 8 * CHUNK_BYTES)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    there = part.stat().st_size
    bot.most, bot.asked = 10**9, []
    assert await make(tmp_path, bot).ready(assign(ref("mine", data), job="j2"), Told())
    assert min(offset for _, offset in bot.asked) == there
    assert lora(tmp_path, "mine").read_bytes() == data


async def test_a_half_that_is_wrong_is_fetched_once_more_from_the_start(tmp_path):
    data = content(4 * CHUNK_BYTES)
    bot, wanted = Bot(data), ref("mine", data)
    stock = make(tmp_path, bot)
    parts = tmp_path / "fetched" / ".parts"
    parts.mkdir(exist_ok=True)
    (parts / f"{wanted.sha256}.part").write_bytes(b"\0" * CHUNK_BYTES)
    assert await stock.ready(assign(wanted), Told())
    assert lora(tmp_path, "mine").read_bytes() == data


async def test_a_bot_that_is_away_is_waited_for(tmp_path):
    data = content(MB)
    bot = Bot(data)
    bot.away = True
    task = asyncio.create_task(make(tmp_path, bot).ready(assign(ref("mine", data)), Told()))
    await asyncio.sleep(0.1)
    assert not task.done()
    bot.away = False
    assert await asyncio.wait_for(task, 60)


async def test_two_jobs_that_want_the_same_file_fetch_it_once(tmp_path):
    data = content(6 * CHUNK_BYTES)
    bot = Bot(data)
    stock = make(tmp_path, bot)
    told = Told(), Told()
    found = await asyncio.gather(
        stock.ready(assign(ref("mine", data)), told[0]), stock.ready(assign(ref("mine", data), job="j2"), told[1])
    )
    assert found == [True, True]
    assert len(bot.asked) == 6
    assert all(each.words for each in told)


async def test_who_waits_for_anothers_fetch_goes_on_with_it_where_that_is_cancelled(tmp_path):
    data = content(6 * CHUNK_BYTES)
    bot = Bot(data)
    bot.gate = asyncio.Event()
    stock = make(tmp_path, bot)
    first = asyncio.create_task(stock.ready(assign(ref("mine", data)), Told()))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(stock.ready(assign(ref("mine", data), job="j2"), Told()))
    await asyncio.sleep(0.05)
    first.cancel()
    bot.gate.set()
    assert await asyncio.wait_for(second, 60)
    assert lora(tmp_path, "mine").read_bytes() == data


async def test_the_least_recently_used_goes_and_never_what_is_in_use(tmp_path):
    files = [content(MB, seed) for seed in range(4)]
    bot = Bot(*files)
    stock = make(tmp_path, bot, budget_mb=2)
    refs = [ref(f"n{number}", data) for number, data in enumerate(files)]
    await stock.ready(assign(refs[0], job="j0"), Told())  # stays in use
    await stock.ready(assign(refs[1], job="j1"), Told())
    stock.release("j1", 1)
    await stock.ready(assign(refs[2], job="j2"), Told())
    assert lora(tmp_path, "n0").exists()
    assert not lora(tmp_path, "n1").exists()
    assert lora(tmp_path, "n2").exists()
    with pytest.raises(StockError) as caught:
        await stock.ready(assign(refs[3], job="j3"), Told())
    assert caught.value.kind == "disk_full"
    assert caught.value.retryable
    assert lora(tmp_path, "n0").exists()
    assert lora(tmp_path, "n2").exists()
    stock.release("j0", 1)
    stock.release("j2", 1)
    await stock.ready(assign(refs[0], job="j4"), Told())  # used again: no longer the oldest
    stock.release("j4", 1)
    await stock.ready(assign(refs[3], job="j5"), Told())
    assert lora(tmp_path, "n0").exists()
    assert not lora(tmp_path, "n2").exists()
    assert lora(tmp_path, "n3").exists()
    assert stock.room_mb() == 2


async def test_what_could_never_fit_costs_nothing_that_is_there(tmp_path):
    small, large = content(MB), content(3 * MB, 1)
    stock = make(tmp_path, Bot(small, large), budget_mb=2)
    await stock.ready(assign(ref("small", small)), Told())
    stock.release("j1", 1)
    with pytest.raises(StockError):
        await stock.ready(assign(ref("large", large), job="j2"), Told())
    assert lora(tmp_path, "small").exists()


async def test_a_disk_without_room_is_said_before_anything_is_fetched(tmp_path):
    data = content(MB)
    bot = Bot(data)
    stock = make(tmp_path, bot, spare_mb=10**9)
    assert stock.room_mb() == 0
    with pytest.raises(StockError) as caught:
        await stock.ready(assign(ref("mine", data)), Told())
    assert caught.value.kind == "disk_full"
    assert not bot.asked


async def test_halves_count_as_room_that_can_be_had(tmp_path, monkeypatch):
    """Else a disk full of them would look too small for any model, and they would never go."""
    data = content(MB)
    parts = tmp_path / "fetched" / ".parts"
    parts.mkdir(parents=True)
    half = parts / f"{'0' * 64}.part"
    half.write_bytes(bytes(4 * MB))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        "gpu_worker.agent.shelf.shutil.disk_usage",
        lambda folder: usage._replace(free=MB // 2 + 4 * MB * (not half.exists())),
    )
    stock = make(tmp_path, Bot(data))
    assert stock.room_mb() == 4
    await stock.ready(assign(ref("mine", data)), Told())
    assert lora(tmp_path, "mine").exists()
    assert not half.exists()


async def test_a_folder_that_somebody_cleared_away_is_filled_again(tmp_path):
    """To make room, while the agent runs."""
    data = content(MB)
    stock = make(tmp_path, Bot(data))
    await stock.ready(assign(ref("mine", data), job="j1"), Told())
    stock.release("j1", 1)
    shutil.rmtree(tmp_path / "fetched")
    assert stock.room_mb() > 0
    shutil.rmtree(tmp_path / "fetched")
    assert await stock.ready(assign(ref("mine", data), job="j2"), Told())
    assert lora(tmp_path, "mine").read_bytes() == data


async def test_a_half_that_nobody_goes_on_with_for_a_week_goes(tmp_path):
    parts = tmp_path / "fetched" / ".parts"
    parts.mkdir(parents=True)
    old, young = parts / f"{'0' * 64}.part", parts / f"{'1' * 64}.part"
    for path, days in ((old, 8), (young, 6)):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - days * 86400,) * 2)
    make(tmp_path, Bot())
    assert (old.exists(), young.exists()) == (False, True)


async def test_a_file_of_the_machines_own_with_the_same_bytes_is_linked_whatever_its_name(tmp_path):
    data = content(MB)
    (tmp_path / "models" / "loras").mkdir(parents=True)
    (tmp_path / "models" / "loras" / "my old name.safetensors").write_bytes(data)
    bot = Bot()
    stock = make(tmp_path, bot, budget_mb=0)
    assert await stock.ready(assign(ref("mine", data)), Told())
    assert lora(tmp_path, "mine").read_bytes() == data
    assert not bot.asked
    (tmp_path / "models" / "loras" / "my old name.safetensors").write_bytes(content(MB, 1))
    with pytest.raises(StockError):  # no longer those bytes: it is not drawn with
        await stock.ready(assign(ref("mine", data), job="j2"), Told())


async def test_a_file_of_the_machines_own_with_the_same_name_and_other_bytes_is_not_drawn_with(tmp_path):
    data, other = content(MB), content(MB, 1)
    (tmp_path / "models" / "loras").mkdir(parents=True)
    (tmp_path / "models" / "loras" / "mine.safetensors").write_bytes(other)
    stock = make(tmp_path, Bot(data))
    assert await stock.ready(assign(ref("mine", data)), Told())
    assert lora(tmp_path, "mine").read_bytes() == data
    # This is all that a child is given.
    (found,) = list(scan_model_files(tmp_path / "fetched", tmp_path / "none"))
    assert (found.fact.name, found.path) == ("mine", lora(tmp_path, "mine"))


async def test_the_bots_newer_file_of_a_name_waits_until_nobody_draws_with_the_older(tmp_path):
    old, new = content(MB), content(MB, 1)
    stock = make(tmp_path, Bot(old, new))
    await stock.ready(assign(ref("mine", old)), Told())
    task = asyncio.create_task(stock.ready(assign(ref("mine", new), job="j2"), Told()))
    await asyncio.sleep(0.1)
    assert not task.done()
    assert lora(tmp_path, "mine").read_bytes() == old
    stock.release("j1", 1)
    assert await asyncio.wait_for(task, 60)
    assert lora(tmp_path, "mine").read_bytes() == new
    assert stock.with_hashes((m.ModelFact(kind="lora", name="mine"),))[0].sha256 == ref("mine", new).sha256


async def test_what_lay_beside_an_earlier_file_of_that_name_goes(tmp_path):
    old, yaml, new = content(MB), b"v: 1", content(MB, 1)
    stock = make(tmp_path, Bot(old, yaml, new))
    first = ref("a", old, "checkpoint", suffix=".ckpt"), ref("a", yaml, "checkpoint", suffix=".yaml")
    await stock.ready(assign(*first), Told())
    stock.release("j1", 1)
    assert stock.with_hashes((m.ModelFact(kind="checkpoint", name="a"),))[0].sha256 == first[0].sha256
    await stock.ready(assign(ref("a", new, "checkpoint"), job="j2"), Told())
    assert [path.name for path in (tmp_path / "fetched" / "checkpoints").iterdir()] == ["a.safetensors"]


async def test_what_nobody_fetched_is_not_drawn_with(tmp_path):
    data = content(MB)
    stock = make(tmp_path, Bot(data))
    await stock.ready(assign(ref("mine", data)), Told())
    lora(tmp_path, "planted").write_bytes(b"x")
    lora(tmp_path, "mine").write_bytes(content(MB, 1))
    make(tmp_path, Bot(data))
    assert not lora(tmp_path, "planted").exists()
    assert not lora(tmp_path, "mine").exists()


async def test_a_damaged_index_costs_fetching_again(tmp_path):
    data = content(MB)
    await make(tmp_path, Bot(data)).ready(assign(ref("mine", data)), Told())
    (tmp_path / "fetched" / "index.json").write_text("{")
    bot = Bot(data)
    assert await make(tmp_path, bot).ready(assign(ref("mine", data)), Told())
    assert bot.asked


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", ".hidden", "x" * 250, "nul\0"])
async def test_a_name_that_is_no_files_leaves_the_folder_alone(tmp_path, name):
    data = content(10)
    with pytest.raises(StockError) as caught:
        await make(tmp_path, Bot(data)).ready(assign(ref(name, data)), Told())
    assert caught.value.kind == "missing_model"
    assert not list(tmp_path.rglob("*.safetensors"))


async def test_an_index_that_names_other_folders_is_not_followed(tmp_path):
    victim = tmp_path / "victim.safetensors"
    victim.write_bytes(b"x")
    make(tmp_path, Bot())
    row = {"sha256": "0" * 64, "size_bytes": 1, "modified_ns": 1, "used_at": 0.0}
    (tmp_path / "fetched" / "index.json").write_text(json.dumps({"loras/../../victim.safetensors": row}))
    data = content(MB)
    await make(tmp_path, Bot(data), budget_mb=1).ready(assign(ref("mine", data)), Told())
    assert victim.exists()


def picture(data: bytes) -> ImageRef:
    digest = hashlib.sha256(data).hexdigest()
    return ImageRef(ref=digest, sha256=digest, mime="image/png", size_bytes=len(data))


def from_picture(image: ImageRef) -> Img2Img:
    return Img2Img(prompt="p", checkpoint="c", width=64, height=64, seed=1, image=image)


async def test_pictures_that_a_job_starts_from_come_too_and_the_oldest_go(tmp_path):
    pictures = [content(700_000, seed) for seed in range(3)]
    bot = Bot(*pictures)
    stock = make(tmp_path, bot, inputs_mb=1)
    folder = tmp_path / "outbox" / "inputs"
    for number, data in enumerate(pictures):
        assert not await stock.ready(assign(job=f"j{number}", spec=from_picture(picture(data))), Told())
        assert (folder / picture(data).ref).read_bytes() == data
        if number:
            stock.release(f"j{number}", 1)
            os.utime(folder / picture(data).ref, (number, number))
    left = {path.name for path in folder.iterdir()}
    assert picture(pictures[0]).ref in left, "it is in use"
    assert picture(pictures[1]).ref not in left


async def test_a_picture_that_is_gone_or_another_is_left_to_the_job_to_complain_about(tmp_path):
    data, other = content(1000), content(1000, 1)
    bot = Bot()
    bot.files[picture(data).ref] = other
    stock = make(tmp_path, bot)
    assert not await stock.ready(assign(spec=from_picture(picture(data))), Told())
    assert not await stock.ready(assign(spec=from_picture(picture(other)), job="j2"), Told())
    assert not list((tmp_path / "outbox" / "inputs").iterdir())


async def test_what_is_warmed_up_is_not_held(tmp_path):
    files = [content(MB, seed) for seed in range(2)]
    stock = make(tmp_path, Bot(*files), budget_mb=1)
    first, second = (ref(f"n{n}", data) for n, data in enumerate(files))
    assert await stock.ready(m.Prepare(worker="garage", model="n0", needs=(first,)), Told())
    assert await stock.ready(assign(second), Told())
    assert not lora(tmp_path, "n0").exists()


async def test_a_wish_that_a_newer_one_replaces_does_not_write_the_index_beside_it(tmp_path, monkeypatch):
    data = content(1000)
    stock = make(tmp_path, Bot(data))
    await stock.ready(assign(ref("n", data)), Told())
    writing, most, write = [0], [0], Shelf._write

    def slow(shelf: Shelf) -> None:
        writing[0] += 1
        most[0] = max(most[0], writing[0])
        time.sleep(0.05)
        write(shelf)
        writing[0] -= 1

    monkeypatch.setattr(Shelf, "_write", slow)
    for _ in range(5):
        wish = asyncio.create_task(stock.ready(m.Prepare(worker="garage", model="n", needs=(ref("n", data),)), Told()))
        await eventually(lambda: writing[0])
        wish.cancel()
        await asyncio.wait([wish])
    await stock.ready(assign(ref("n", data), job="j2"), Told())
    assert most == [1]


async def test_what_was_fetched_for_others_changes_no_picture_that_does_not_name_it(tmp_path):
    word, vae, model = (content(1000, seed) for seed in range(3))
    stock = make(tmp_path, Bot(word, vae, model))
    mine = ref("sunset", word, "embedding"), ref("c.vae", vae, "vae"), ref("c", model, "checkpoint")
    await stock.ready(assign(*mine), Told())
    stock.release("j1", 1)
    plain = Txt2Img(prompt="a boat at Sunset", checkpoint="c", width=64, height=64, seed=1)
    await stock.ready(assign(mine[2], job="j2", spec=plain), Told())
    assert [path.name for path in (tmp_path / "fetched").rglob("*.safetensors")] == ["c.safetensors"]


async def test_a_machine_whose_disk_took_no_more_takes_no_other_work_for_a_while(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    data = content(MB)
    stock = make(tmp_path, Bot(data), rest_s=1.0)
    with monkeypatch.context() as patched:
        patched.setattr(PartFile, "append", full)
        with pytest.raises(StockError) as caught:
            await stock.ready(assign(ref("mine", data)), Told())
    assert caught.value.kind == "disk_full"
    assert stock.rests
    await eventually(lambda: not stock.rests)
    await stock.ready(assign(ref("mine", data)), Told())


async def test_a_model_that_a_machine_has_no_room_for_does_not_keep_it_from_other_work(tmp_path):
    data = content(3 * MB)
    stock = make(tmp_path, Bot(data), budget_mb=2)
    with pytest.raises(StockError):
        await stock.ready(assign(ref("large", data)), Told())
    assert not stock.rests
