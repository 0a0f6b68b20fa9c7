"""Reports of use: days, percentiles, servers and periods, told from rows that are known."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from bot.domain.moments import moment
from bot.domain.tables import csv_bytes
from bot.domain.typed_ids import server_id
from bot.errors import UserFacingError
from bot.storage import prompt_log
from bot.storage.migrate import migrate
from bot.storage.prompt_log import LogFilter, write_log
from bot.storage.usage import Usage, read_usage, reading

DAY = 86_400.0
START = 20_000 * DAY


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "pincel.sqlite"
    migrate(file)
    return file


def put(path, *rows):
    """(id, user, server, asked at, ended at, GPU seconds, status, kind, pictures)"""
    import sqlite3

    connection = sqlite3.connect(path)
    for id_, user, guild, asked, ended, gpu_s, status, kind, pictures in rows:
        connection.execute("INSERT OR IGNORE INTO users VALUES (?, 'en', 0)", (user,))
        connection.execute(
            "INSERT INTO jobs (id, action, lane, user_id, guild_id, channel_id, locale, spec, model, work_units, "
            "status, failure_kind, run_s, created_at, finished_at) "
            "VALUES (?, 'imagine', 'interactive', ?, ?, 1, 'en', ?, 'm', 1, ?, ?, ?, ?, ?)",
            (id_, user, guild, json.dumps({"prompt": f"p {id_}", "seed": 2**63}), status, kind, gpu_s, asked, ended),
        )
        for n in range(pictures):
            connection.execute(
                "INSERT INTO images (id, job_id, idx, path, sha256, mime, width, height, size_bytes, seed, infotext, "
                "action, created_at) VALUES (?, ?, ?, '', '', '', 1, 1, 1, '1', '', 'imagine', ?)",
                (f"{id_}i{n}", id_, n, ended),
            )
    connection.commit()
    connection.close()


def test_days_people_models_failures_and_waits(path):
    put(
        path,
        ("a", 1, 7, START, START + 15, 5.0, "delivered", None, 2),  # waited 10
        ("b", 1, 7, START + DAY, START + DAY + 25, 5.0, "delivered", None, 1),  # waited 20
        ("c", 2, 7, START + DAY, START + DAY + 9, None, "failed", "oom", 0),
        ("d", 2, 8, START + DAY, START + DAY + 40, 30.0, "delivered", None, 4),  # waited 10, elsewhere
        ("e", 2, 7, START + DAY, START + DAY + 3, None, "cancelled", None, 0),
        ("f", 1, 7, START - DAY, START - 1, 5.0, "delivered", None, 9),  # before
    )
    report = read_usage(path, START, START + 3 * DAY, 7)
    assert [(d.jobs, d.pictures, d.failed, d.cancelled) for d in report.days] == [
        (1, 2, 0, 0),
        (3, 1, 1, 1),
        (0, 0, 0, 0),
    ]
    assert [(use.user_id, use.jobs, use.pictures, use.failed, use.gpu_s) for use in report.users] == [
        (1, 2, 3, 0, 10.0), (2, 2, 0, 1, 0.0),
    ]  # fmt: skip
    assert (report.wait_p50_s, report.wait_p99_s) == (10.0, 20.0)
    assert report.days[2].wait_p50_s is None
    assert [(use.kind, use.jobs) for use in report.failures] == [("oom", 1)]
    everybody = read_usage(path, START, START + 3 * DAY, None)
    assert everybody.pictures == 7
    assert everybody.users[0].user_id == 2


def test_nothing_at_all_is_a_report_too(path):
    report = read_usage(path, START, START + DAY, None)
    assert len(report.days) == 1
    assert (report.pictures, report.gpu_s, report.wait_p50_s) == (0, 0.0, None)


def test_a_reader_can_change_nothing(path):
    connection = reading(path)
    with pytest.raises(Exception, match="readonly"):
        connection.execute("DELETE FROM jobs")
    connection.close()


async def test_the_busiest_are_told_by_server(database):
    async with database.write() as tx:
        await tx.execute("INSERT INTO users VALUES (1, 'en', 0), (2, 'en', 0)")
        for id_, user, guild, used in (("a", 1, 7, 5.0), ("b", 2, 7, 9.0), ("c", 1, 8, 50.0)):
            await tx.execute(
                "INSERT INTO jobs (id, action, lane, user_id, guild_id, channel_id, locale, spec, model, work_units, "
                "status, run_s, created_at, finished_at) "
                "VALUES (?, 'imagine', 'interactive', ?, ?, 1, 'en', '{}', 'm', 1, 'delivered', ?, 0, 100)",
                (id_, user, guild, used),
            )
    usage = Usage(database)
    assert await usage.busiest(50, 7) == [(2, 9.0), (1, 5.0)]
    assert await usage.busiest(50, None) == [(1, 55.0), (2, 9.0)]
    assert await usage.busiest(100, None) == []


def test_a_log_is_cut_where_it_is_too_long_and_packed_where_that_is_asked(path, tmp_path, monkeypatch):
    put(path, *((f"j{n}", 1, 7, START + n, START + n, 1.0, "delivered", None, 0) for n in range(5)))
    monkeypatch.setattr(prompt_log, "ROWS_MAX", 3)
    written = write_log(path, tmp_path / "out" / "x.csv.gz", LogFilter(), "csv")
    assert (written.rows, written.cut) == (3, True)
    with gzip.open(written.path, "rt", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == ["j4", "j3", "j2"], "the newest"
    assert rows[0]["seed"] == str(2**63)
    narrow = write_log(path, tmp_path / "out" / "y.jsonl", LogFilter(START + 1, START + 3, 1, 7, "P J2"), "jsonl")
    assert [json.loads(line)["job"] for line in narrow.path.read_text().splitlines()] == ["j2"]
    assert not list((tmp_path / "out").glob("*.part"))


@pytest.mark.parametrize("text", ["", "x", "-1", "1 2", "٣", "9" * 20])
def test_what_is_no_servers_id_is_refused(text):
    with pytest.raises(UserFacingError, match="server_id_unreadable"):
        server_id(text)
    assert server_id(" 123 ") == 123


def test_no_cell_is_a_formula():
    data = csv_bytes(("a",), [("=1+1",), ("-2",), (-2,), ("@x",), ("plain, with comma",), (None,)])
    rows = [row[0] for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if row]
    assert rows[1:6] == ["'=1+1", "'-2", "-2", "'@x", "plain, with comma"]


@pytest.mark.parametrize(
    ("text", "end", "at"),
    [
        ("7d", False, 1_000_000.0 - 7 * DAY), ("12h", False, 1_000_000.0 - 43_200), ("1970-01-03", False, 2 * DAY),
        ("1970-01-03", True, 3 * DAY), ("1970-01-03 01:00", True, 2 * DAY + 3600),
    ],
)  # fmt: skip
def test_moments_as_people_write_them(text, end, at):
    assert moment(text, 1_000_000.0, end=end) == at


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "7", "", "-1d"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(UserFacingError):
        moment(text, 0.0)
