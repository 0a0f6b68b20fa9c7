"""Opening, refusing, and what a transaction promises."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import threading

import pytest

from bot import exit_codes
from bot.errors import StartupError
from bot.storage.database import StorageFullError, open_database
from bot.storage.jobs import Jobs
from tests.contract.farm import new_job


async def refusal(path, **options) -> StartupError:
    with pytest.raises(StartupError) as caught:
        await open_database(path, **options)
    assert caught.value.sentence.endswith(".")
    assert caught.value.fix.endswith(".")
    # A refused start leaves the lock to the next one.
    return caught.value


async def test_open_close_and_open_again_keeps_everything(tmp_path):
    path = tmp_path / "data" / "pincel.sqlite"
    database = await open_database(path)
    job_id, _ = await Jobs(database).add(new_job("x"))
    await database.close()
    assert not path.with_name("pincel.sqlite-wal").exists() or path.with_name("pincel.sqlite-wal").stat().st_size == 0
    again = await open_database(path)
    assert (await Jobs(again).get(job_id)) is not None
    await again.close()


def _hold(path: str, ready, release) -> None:
    async def hold() -> None:
        from pathlib import Path

        database = await open_database(Path(path))
        ready.set()
        await asyncio.to_thread(release.wait, 30)
        await database.close()

    asyncio.run(hold())


async def test_second_bot_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "pincel.sqlite"
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(str(path), ready, release))
    first.start()
    try:
        assert await asyncio.to_thread(ready.wait, 30)
        error = await refusal(path)
        assert error.exit_code == exit_codes.SECOND_BOT
        assert str(tmp_path) in error.sentence
    finally:
        release.set()
        await asyncio.to_thread(first.join)
    assert first.exitcode == 0
    await (await open_database(path)).close()


async def test_second_bot_in_the_same_process_is_refused_too(tmp_path, database):
    assert (await refusal(tmp_path / "pincel.sqlite")).exit_code == exit_codes.SECOND_BOT


async def test_database_that_another_program_has_locked(tmp_path):
    path = tmp_path / "pincel.sqlite"
    await (await open_database(path)).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    error = await refusal(path, busy_s=0.05)
    assert error.exit_code == exit_codes.DATABASE
    assert "locked" in error.sentence
    other.execute("ROLLBACK")
    other.close()
    await (await open_database(path)).close()


@pytest.mark.parametrize("content", [b"this is no database" * 500, None])
async def test_damaged_file_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "pincel.sqlite"
    if content is None:
        database = await open_database(path)
        for _ in range(50):
            await Jobs(database).add(new_job("x" * 500))
        await database.close()
        whole = path.read_bytes()
        middle = len(whole) // 2
        content = whole[: middle - 8192] + b"\xa5" * 16384 + whole[middle + 8192 :]
    path.write_bytes(content)
    error = await refusal(path)
    assert error.exit_code == exit_codes.DATABASE
    assert "damaged" in error.sentence
    assert "backups" in error.fix
    assert path.read_bytes() == content


async def test_somebody_elses_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "pincel.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE users (name TEXT)")
    other.commit()
    other.close()
    error = await refusal(path)
    assert error.exit_code == exit_codes.DATABASE
    assert "PINCEL_DATA" in error.fix
    other = sqlite3.connect(path)
    assert [row[0] for row in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == ["users"]
    other.close()


async def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    error = await refusal(tmp_path / "file" / "data" / "pincel.sqlite")
    assert error.exit_code == exit_codes.DATABASE


async def test_path_that_is_a_folder(tmp_path):
    (tmp_path / "pincel.sqlite").mkdir()
    assert (await refusal(tmp_path / "pincel.sqlite")).exit_code == exit_codes.DATABASE


async def test_refusals_speak_the_operators_language(tmp_path, database, monkeypatch):
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    assert "Ya hay otro Pincel" in (await refusal(tmp_path / "pincel.sqlite")).sentence


async def test_full_disk_keeps_nothing_of_the_transaction_and_everything_before_it(database, jobs):
    kept, _ = await jobs.add(new_job("x"))
    (pages,) = await database.one("PRAGMA page_count")
    async with database.write() as tx:
        await tx.execute_fetchall(f"PRAGMA max_page_count = {pages}")

    async def fill() -> None:
        for _ in range(200):
            await jobs.add(new_job("y" * 2000))

    with pytest.raises(StorageFullError):
        await fill()
    (count,) = await database.one("SELECT count(*) FROM jobs")
    users = await database.all("SELECT id FROM users")
    with pytest.raises(StorageFullError):
        await jobs.add(new_job("z" * 5000, user=77))
    assert (await database.one("SELECT count(*) FROM jobs"))[0] == count
    assert await database.all("SELECT id FROM users") == users  # not even the user of the job
    assert await jobs.get(kept) is not None
    async with database.write() as tx:
        await tx.execute_fetchall("PRAGMA max_page_count = 1000000")
    await jobs.add(new_job("w", user=77))


async def test_failed_transaction_leaves_nothing_and_the_next_one_works(database):

    async def fail() -> None:
        async with database.write() as tx:
            await tx.execute("INSERT INTO facts VALUES ('a', '1')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await database.one("SELECT * FROM facts") is None
    async with database.write() as tx:
        await tx.execute("INSERT INTO facts VALUES ('a', '2')")
    assert (await database.one("SELECT value FROM facts"))[0] == "2"


async def test_cancelled_transaction_leaves_no_lock(database):
    entered = asyncio.Event()

    async def stuck() -> None:
        async with database.write() as tx:
            await tx.execute("INSERT INTO facts VALUES ('a', '1')")
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(stuck())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60), database.write() as tx:
        await tx.execute("INSERT INTO facts VALUES ('b', '1')")
    assert [row[0] for row in await database.all("SELECT key FROM facts")] == ["b"]


async def test_read_sees_the_last_commit_whatever_else_is_being_read(database):
    """A read that is still under way on the connection must not hold others in the time before a commit."""
    async with database.write() as tx:
        await tx.executemany("INSERT INTO facts VALUES (?, ?)", [(str(n), "x" * 500) for n in range(3000)])
        await tx.execute("INSERT INTO facts VALUES ('count', '0')")
    stop = False

    async def read_on() -> None:
        while not stop:
            await database.all("SELECT * FROM facts")

    readers = [asyncio.create_task(read_on()) for _ in range(3)]
    try:
        for n in range(20):
            async with database.write() as tx:
                await tx.execute("UPDATE facts SET value = ? WHERE key = 'count'", (str(n),))
            assert (await database.one("SELECT value FROM facts WHERE key = 'count'"))[0] == str(n)
    finally:
        stop = True
        await asyncio.gather(*readers)


async def test_reader_cannot_write(database):
    with pytest.raises(sqlite3.OperationalError):
        await database.one("INSERT INTO facts VALUES ('a', '1')")


async def test_close_waits_for_the_open_transaction(tmp_path):
    database = await open_database(tmp_path / "pincel.sqlite")

    async def write() -> None:
        async with database.write() as tx:
            await asyncio.sleep(0.05)
            await tx.execute("INSERT INTO facts VALUES ('a', '1')")

    task = asyncio.create_task(write())
    await asyncio.sleep(0.01)
    await database.close()
    await task
    again = await open_database(tmp_path / "pincel.sqlite")
    assert await again.one("SELECT * FROM facts") is not None
    await again.close()


async def test_refused_start_leaves_no_thread(tmp_path):
    path = tmp_path / "pincel.sqlite"
    path.write_bytes(b"no database" * 1000)
    before = set(threading.enumerate())
    for _ in range(3):
        await refusal(path)
    assert [
        thread.name for thread in threading.enumerate() if thread not in before and "asyncio" not in thread.name
    ] == []
