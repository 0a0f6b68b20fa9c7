"""The short form of `python -m tests.soak`."""

import pytest

from tests.soak.audit import audit, faults_in
from tests.soak.report import as_text
from tests.soak.run import Wish, soak


@pytest.mark.slow
async def test_many_people_lose_nothing(tmp_path):
    report = await soak(Wish(users=12, minutes=0.15, seed=3, every_s=1.5), tmp_path)
    text = as_text(report)
    assert report.clean, text
    assert report.seen.asked.total() > 20, text
    assert report.found.jobs["delivered"] > 5, text


async def test_what_is_lost_or_doubled_or_failed_is_found(tmp_path):
    import sqlite3
    from types import SimpleNamespace

    database = tmp_path / "d.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE jobs (id, status, message_id, told_at, action)")
        connection.executemany(
            "INSERT INTO jobs VALUES (?, ?, 1, ?, 'imagine')",
            [
                ("a" * 16, "delivered", None),
                ("b" * 16, "queued", None),
                ("c" * 16, "failed", None),
                ("d" * 16, "failed", 1),
            ],
        )
    connection.close()

    def message(name, *, is_ephemeral=False):
        return SimpleNamespace(is_ephemeral=is_ephemeral, attachments=[{"filename": name}])

    one, other = f"{'a' * 16}-1.png", f"{'d' * 16}-1.webp"
    found = audit(database, [message(one), message(one), message(other), message(other, is_ephemeral=True)])
    assert [entry.split()[1] for entry in found.lost] == ["b" * 16, "c" * 16]
    assert [entry.split()[1] for entry in found.doubled] == ["a" * 16]
    log = "2026-11-26 07:00:00 ERROR   bot.ui.door: interaction 1 failed\n2026-11-26 07:00:00 WARNING x: y\n"
    assert len(faults_in(log)) == 1
