"""Nothing that knows a person is left out of "forget me", and what other people made stays theirs."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3

import pytest

from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, Image
from bot.domain.scripts import Matrix
from bot.storage.forgetting import FORGOTTEN_TABLES, KEPT_TABLES, NOBODY, Forgetting
from bot.storage.images import Images
from bot.storage.migrate import migrate
from bot.storage.script_offers import ScriptOffers
from gpu_worker.protocol.specs import Txt2Img
from tests.contract.farm import new_job

ANA, BEN = UserId(1), UserId(2)
KNOWS_SOMEBODY = re.compile(r"(^|_)(user|owner|author|member)_id$|_by$")
FOR_ANOTHER_REASON = {"users", "schema_migrations"}


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "schema.sqlite"
    migrate(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection


def tables(connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        "AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return [str(row[0]) for row in rows if not re.search(r"_fts(_|$)", str(row[0]))]


def test_every_table_that_knows_a_person_is_named(schema):
    found = set()
    for table in tables(schema):
        columns = [str(row[1]) for row in schema.execute(f"PRAGMA table_info({table})")]
        points_to = {str(row[2]) for row in schema.execute(f"PRAGMA foreign_key_list({table})")}
        if any(map(KNOWS_SOMEBODY.search, columns)) or points_to & {"users", "jobs", "images"}:
            found.add(table)
    named = FORGOTTEN_TABLES.keys() | KEPT_TABLES.keys()
    assert found - named - FOR_ANOTHER_REASON == set(), "see bot/storage/forgetting.py"
    assert not FORGOTTEN_TABLES.keys() & KEPT_TABLES.keys()
    assert named <= set(tables(schema))


def test_kept_tables_do_not_hold_a_person_fast(schema):
    for table in KEPT_TABLES:
        assert "users" not in {str(row[2]) for row in schema.execute(f"PRAGMA foreign_key_list({table})")}
        assert len(KEPT_TABLES[table]) > 10


def test_statements_are_about_a_person_or_their_jobs(schema):
    for statements in FORGOTTEN_TABLES.values():
        for statement in statements:
            names = set(re.findall(r":(\w+)", statement))
            assert names in ({"user"}, {"jobs"}), statement
            schema.execute(statement, dict.fromkeys(names, "[]"))


async def picture(database, jobs, tmp_path, user, n, parent=None):
    job_id, _ = await jobs.add(new_job("x", user=user))
    image = Image(
        ImageId(f"picture{n}"),
        job_id,
        0,
        f"day/{n}.png",
        "0" * 64,
        "image/png",
        8,
        8,
        1,
        n,
        "t",
        Action.IMAGINE,
        parent,
    )
    async with database.write() as tx:
        await Images(database, tmp_path).add_in(tx, [image])
        await tx.execute("UPDATE jobs SET source_image_id = ? WHERE id = ?", (parent, job_id))
        await tx.execute("INSERT INTO attempts VALUES (?, 1, 'w', 'b', 1, 2, 'done')", (job_id,))
    return image


async def test_one_person_goes_and_the_others_stay(database, jobs, tmp_path):
    mine = await picture(database, jobs, tmp_path, ANA, 1)
    theirs = await picture(database, jobs, tmp_path, BEN, 2, mine.id)
    again = await picture(database, jobs, tmp_path, ANA, 3, theirs.id)
    async with database.write() as tx:
        for user, image in ((ANA, theirs), (BEN, mine), (BEN, theirs)):
            await tx.execute("INSERT INTO favourites VALUES (?, ?, 1)", (user, image.id))
        for user in (ANA, BEN):
            await tx.execute(
                "INSERT INTO model_audit (at, guild_id, owner_id, user_id, action) VALUES (1, 1, 1, ?, 'add')", (user,)
            )
            await tx.execute("INSERT INTO preferences VALUES ('user', ?, 'k', '1', 1)", (user,))
        await tx.execute("INSERT INTO preferences VALUES ('server', ?, 'k', '1', 1)", (ANA,))
        await tx.execute(
            "INSERT INTO downloads (id, link, wish, state, created_at, changed_at) VALUES ('d', 'l', ?, 'done', 1, 1)",
            (json.dumps({"asked_by": ANA, "link": "l"}),),
        )
    forgetting = Forgetting(database)
    while found := await forgetting.jobs_of(ANA, 1):
        await forgetting.forget_jobs(found)
    changed = await forgetting.finish(ANA)
    await forgetting.finish(ANA)

    assert changed["preferences"] == 1
    rows = {
        table: await database.all(f"SELECT * FROM {table}")
        for table in ("users", "jobs", "images", "favourites", "attempts", "model_audit", "preferences", "downloads")
    }
    assert [row["id"] for row in rows["users"]] == [BEN]
    assert [(row["user_id"], row["source_image_id"]) for row in rows["jobs"]] == [(BEN, None)]
    assert [(row["id"], row["parent_image_id"]) for row in rows["images"]] == [(theirs.id, None)]
    assert [(row["user_id"], row["image_id"]) for row in rows["favourites"]] == [(BEN, theirs.id)]
    assert len(rows["attempts"]) == 1
    assert [row["user_id"] for row in rows["model_audit"]] == [NOBODY, BEN]
    assert [(row["level"], row["owner_id"]) for row in rows["preferences"]] == [("user", BEN), ("server", ANA)]
    assert json.loads(rows["downloads"][0]["wish"])["asked_by"] is None
    assert again.id != mine.id


async def test_somebody_with_jobs_left_stays_known(database, jobs, tmp_path):
    await picture(database, jobs, tmp_path, ANA, 1)
    await Forgetting(database).finish(ANA)
    assert await database.one("SELECT 1 FROM users WHERE id = ?", (ANA,))


async def test_what_is_offered_to_others_forgets_whose_picture_it_began_with(database, jobs, tmp_path):
    theirs = await picture(database, jobs, tmp_path, ANA, 1)
    await picture(database, jobs, tmp_path, BEN, 2)
    base = Txt2Img(prompt="a|b", checkpoint="m", width=64, height=64, seed=1)
    offers = ScriptOffers(database)
    made = await offers.add(
        BEN, Matrix(base=base), Action.MATRIX, source_image_id=theirs.id, parent_id=theirs.job_id, private=False
    )
    forgetting = Forgetting(database)
    await forgetting.forget_jobs(await forgetting.jobs_of(ANA))
    await forgetting.finish(ANA)
    left = await offers.get(made.id)
    assert left is not None
    assert (left.source_image_id, left.parent_id) == (None, None)
