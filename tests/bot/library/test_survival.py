"""The bot answers while a library is read, and a kill at any step leaves what was or what should be."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.library import scanner
from bot.library.reading import AHEAD
from bot.storage.database import StorageFullError
from gpu_worker.language import reader

from .conftest import KOHYA, write

CHECKOUT = Path(__file__).parents[3]


async def test_the_loop_turns_all_the_time_that_files_are_read(rig):
    for number in range(300):
        write(rig.models / "loras" / f"{number}.safetensors", KOHYA, metadata={"ss_training_comment": "x" * 20_000})
    library = rig.library()
    since_turn, at_once, turns = 0, [], 0

    async def tick():
        nonlocal since_turn, turns
        while True:
            await asyncio.sleep(0)
            at_once.append(since_turn)
            since_turn = 0
            turns += 1

    real = library._scanner._entry

    def counted(*arguments):
        nonlocal since_turn
        since_turn += 1
        return real(*arguments)

    library._scanner._entry = counted
    progress = []
    ticking = asyncio.create_task(tick())
    await library._scanner.load()
    await library.refresh(progress.append)
    ticking.cancel()
    assert [now.done for now in progress] == [0, 100, 200, 300, 300]
    assert sum(at_once) == 300
    assert max(at_once) <= AHEAD  # others had a turn at least after so many files
    assert turns >= 300 / AHEAD


async def test_headers_are_never_read_in_the_bots_own_process(rig, monkeypatch):
    write(rig.models / "loras" / "a.safetensors", KOHYA)
    write(rig.models / "checkpoints" / "b.safetensors", KOHYA)

    def never(*_):
        raise AssertionError("read in the bot")

    monkeypatch.setattr("gpu_worker.language.headers.read_header", never)
    monkeypatch.setattr("gpu_worker.language.layouts.read_header", never)
    monkeypatch.setattr("gpu_worker.language.kinds.read_any_header", never)
    monkeypatch.setattr(reader, "read_file", never)
    library = await rig.loaded()
    assert [file.problem for file in library.files()] == [None, None]


@pytest.fixture
def started(monkeypatch):
    """The processes that were."""
    found = []
    start = asyncio.create_subprocess_exec

    async def noted(*arguments, **options):
        found.append(await start(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return found


async def test_a_scan_that_fails_leaves_no_process(rig, started, monkeypatch):
    for name in "abc":
        write(rig.models / "loras" / f"{name}.safetensors", KOHYA)
    library = rig.library()

    async def full(_):
        raise StorageFullError

    monkeypatch.setattr(scanner, "CHUNK", 1)
    monkeypatch.setattr(library._store, "put_files", full)
    for work in (library.refresh(), library._scanner.look_at(rig.models / "loras" / "a.safetensors")):
        with pytest.raises(StorageFullError):
            await work
    assert [process.returncode is not None for process in started] == [True, True]


async def test_a_stop_while_the_reader_is_ended_leaves_no_process(rig, started, monkeypatch):
    write(rig.models / "loras" / "a.safetensors", KOHYA)
    library = rig.library()
    kill = asyncio.subprocess.Process.kill

    def cut(process):
        kill(process)
        asyncio.get_running_loop().call_soon(scan.cancel)

    monkeypatch.setattr(asyncio.subprocess.Process, "kill", cut)
    scan = asyncio.create_task(library.refresh())
    with pytest.raises(asyncio.CancelledError):
        await scan
    assert [process.returncode is not None for process in started] == [True]


async def test_who_asks_while_a_scan_runs_gets_the_next_ones_report(rig):
    write(rig.models / "loras" / "a.safetensors", KOHYA)
    library = rig.library()
    await library._scanner.load()
    scans = 0
    real = library._scanner.scan

    async def counted(*arguments, **options):
        nonlocal scans
        scans += 1
        return await real(*arguments, **options)

    library._scanner.scan = counted
    first = asyncio.create_task(library.refresh())
    while not scans:
        await asyncio.sleep(0)
    others = [asyncio.create_task(library.refresh()) for _ in range(5)]
    reports = await asyncio.gather(first, *others)
    assert scans == 2
    assert [len(report.added) for report in reports] == [1, 0, 0, 0, 0, 0]


async def test_files_come_and_go_by_themselves(rig):
    library = await rig.loaded(poll_s=0.01)
    changed = asyncio.Event()
    library.subscribe_files(changed.set)
    await library.start()
    try:
        for make in (lambda path: write(path, KOHYA), Path.unlink):
            changed.clear()
            await asyncio.to_thread(make, rig.models / "loras" / "a.safetensors")
            async with asyncio.timeout(60):
                await changed.wait()
        assert library.files() == ()
    finally:
        await library.stop()


OLD, NEW = ["Old", 7, "mine", "https://x.test/1", None], ["New", 7, None, "https://x.test/2", None]
RENAMED = ["New", 7, "mine", "https://x.test/1", None]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("adopt", [OLD], [NEW, OLD]),
        ("rename", [OLD], [RENAMED]),
        ("remove", [OLD], []),
        ("restore", [], [OLD]),
        ("scan", [OLD], [OLD]),
    ],
)
def test_a_kill_before_any_step_leaves_the_old_state_or_the_new(tmp_path, change, before, after):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("crashing.py")), str(tmp_path), change],
        capture_output=True, text=True, timeout=600, check=False, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        assert line["looked"] == 0, line
        assert line["found"]["models"] in (before, after), line
        assert line["then"]["models"] == after, line
        assert all(line["found"]["preview"]), line
        if not after:
            assert line["then"]["trash"] == ["Old.preview.png", "Old.safetensors"], line
        names = [name for name in line["then"]["disk"] if name.endswith(".safetensors")]
        assert len(names) == len(after), line
        assert not any(name.endswith(".part") for name in line["then"]["disk"]), line
    assert [line["status"] for line in lines[-2:]] == [9, 0]
    assert len(lines) >= 4
    if change == "scan":  # one that was killed goes on behind what it had written
        assert [line["read"] for line in lines][:3] == [250, 150, 50]
