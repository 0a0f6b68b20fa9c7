"""Styles of users and servers: versions, limits, names, taking back, proposals and imports."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time

import pytest

from bot.domain.style_names import StyleOwner
from bot.domain.styles import Style, StyleParameters
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, Texts
from bot.storage.migrate import known_migrations, migrate
from bot.storage.style_proposals import WAITING_PER_MEMBER, Import, StyleImports, StyleProposals
from bot.storage.styles import KEPT_AFTER_DELETING_S, VERSIONS_KEPT, Styles

ANA, BEN, GUILD = 1, 2, 10
ANAS, BENS, SERVERS = StyleOwner.user(ANA), StyleOwner.user(BEN), StyleOwner.server(GUILD)


@pytest.fixture
def styles(database) -> Styles:
    return Styles(database, per_user=3, per_server=3)


@pytest.fixture
def proposals(database, styles) -> StyleProposals:
    return StyleProposals(database, styles)


def style(name: str, prompt: str = "{prompt}, oil", **parameters) -> Style:
    return Style(name=name, prompt=prompt, negative_prompt="blurry", parameters=StyleParameters(**parameters))


async def names(styles, owner):
    return [kept.style.name for kept in await styles.list(owner)]


async def refused(call) -> str:
    with pytest.raises(UserFacingError) as caught:
        await call
    for language in LANGUAGES:
        assert Texts(language)(f"error.{caught.value.key}", **caught.value.values)
    return caught.value.key


async def test_a_style_comes_back_as_it_was_saved(styles):
    saved = style("Oil Painting", steps=30, seed=2**64 - 4, sampler="Euler a")
    await styles.save_own(ANA, saved)
    for name in ("Oil Painting", "oil painting", "  OIL   painting "):
        kept = await styles.get(ANAS, name)
        assert (kept.style, kept.version, kept.owner, kept.author_id) == (saved, 1, ANAS, ANA)
    assert await styles.get(BENS, "Oil Painting") is None
    assert await styles.get(SERVERS, "Oil Painting") is None


async def test_the_same_name_needs_replace_and_makes_a_version(styles):
    await styles.save_own(ANA, style("Anime", "a"))
    assert await refused(styles.save_own(ANA, style("ANIME", "b"))) == "style_exists"
    saved = await styles.save_own(ANA, style("ANIME", "b"), replace=True)
    assert (saved.version, saved.change) == (2, "changed")
    assert (await styles.save_own(ANA, style("ANIME", "b"), replace=True)).change == "same"
    kept = await styles.get(ANAS, "anime")
    assert (kept.style.name, kept.style.prompt, kept.version) == ("ANIME", "b", 2)
    assert [(v.version, v.style.prompt) for v in await styles.versions(kept.ref)] == [(2, "b"), (1, "a")]


async def test_a_version_that_is_brought_back_is_the_newest(styles):
    ref = (await styles.save_own(ANA, style("a", "one", steps=9))).ref
    await styles.save_own(ANA, style("a", "two"), replace=True)
    await styles.restore_version(ref, 1, author_id=ANA)
    kept = await styles.get(ANAS, "a")
    assert (kept.version, kept.style.prompt, kept.style.parameters.steps) == (3, "one", 9)
    assert len(await styles.versions(ref)) == 3
    assert await refused(styles.restore_version(ref, 9, author_id=ANA)) == "style_version_gone"


async def test_the_oldest_versions_go(styles):
    for n in range(VERSIONS_KEPT + 3):
        saved = await styles.save_own(ANA, style("a", f"text {n}"), replace=True)
    kept = [v.version for v in await styles.versions(saved.ref)]
    assert kept == [*range(VERSIONS_KEPT + 3, 3, -1)]


async def test_limits_count_what_is_there(styles):
    for name in "abc":
        await styles.save_own(ANA, style(name))
        await styles.save(SERVERS, style(name), author_id=BEN)
    assert await refused(styles.save_own(ANA, style("d"))) == "styles_full"
    assert await refused(styles.save(SERVERS, style("d"), author_id=BEN)) == "styles_full_server"
    await styles.save_own(ANA, style("a", "new"), replace=True)
    await styles.delete((await styles.get(ANAS, "b")).ref)
    await styles.save_own(ANA, style("d"))


async def test_deleting_can_be_taken_back_once_room_and_name_are_free(styles):
    ref = (await styles.save_own(ANA, style("a", "one"))).ref
    assert await styles.delete(ref)
    assert not await styles.delete(ref)
    assert await names(styles, ANAS) == []
    other = (await styles.save_own(ANA, style("A", "two"))).ref
    assert other != ref
    assert await refused(styles.undelete(ref)) == "style_exists"
    await styles.rename(other, "b")
    await styles.undelete(ref)
    await styles.undelete(ref)
    assert [(k.style.name, k.style.prompt) for k in await styles.list(ANAS)] == [("a", "one"), ("b", "two")]


async def test_what_was_deleted_long_ago_is_gone_and_its_number_is_not_given_again(styles, database):
    ref = (await styles.save_own(ANA, style("a"))).ref
    await styles.delete(ref)
    await database.write_one("UPDATE styles SET deleted_at = ?", (time.time() - KEPT_AFTER_DELETING_S - 1,))
    await styles.delete("0")
    assert await database.all("SELECT * FROM style_versions") == []
    assert await refused(styles.undelete(ref)) == "style_gone"
    assert int((await styles.save_own(ANA, style("a"))).ref) > int(ref)


async def test_renaming_keeps_versions_and_meets_no_other(styles):
    ref = (await styles.save_own(ANA, style("a"))).ref
    await styles.save_own(ANA, style("b"))
    assert await refused(styles.rename(ref, "B")) == "style_exists"
    await styles.rename(ref, "A ")
    await styles.rename(ref, "c")
    assert await names(styles, ANAS) == ["b", "c"]
    assert len(await styles.versions(ref)) == 1


async def test_two_people_at_once_leave_one_style(styles):
    calls = [styles.save(SERVERS, style("a", f"text {n}"), author_id=n, replace=True) for n in range(8)]
    saved = await asyncio.gather(*calls)
    assert sorted(one.version for one in saved) == [*range(1, 9)]
    assert await names(styles, SERVERS) == ["a"]


async def test_an_unreadable_style_hides_only_itself(styles, database):
    await styles.save_own(ANA, style("a"))
    ref = (await styles.save_own(ANA, style("b"))).ref
    await database.write_one("UPDATE style_versions SET parameters = '{\"x\": 1}' WHERE style_id = ?", (int(ref),))
    assert await names(styles, ANAS) == ["a"]


async def test_many_at_once_and_what_found_no_room(styles):
    await styles.save_own(ANA, style("a", "old"))
    saved, left = await styles.save_all(
        ANAS, [style("a", "new"), style("b"), style("c"), style("d")], author_id=ANA, replace=True
    )
    assert [one.change for one in saved] == ["changed", "new", "new"]
    assert [one.name for one in left] == ["d"]
    saved, left = await styles.save_all(ANAS, [style("a", "newest")], author_id=ANA, replace=False)
    assert (saved, [one.name for one in left]) == ([], ["a"])


# --- proposals and imports ------------------------------------------------------------------------------------------


async def test_a_proposal_becomes_the_servers(styles, proposals):
    assert await proposals.propose(GUILD, BEN, style("Ink", "one"))
    assert not await proposals.propose(GUILD, BEN, style("INK", "two")), "the second takes the place of the first"
    (waiting,) = await proposals.waiting(GUILD)
    assert waiting.style.prompt == "two"
    _, saved = await proposals.decide(waiting.id, GUILD, ANA, approve=True)
    kept = await styles.by_ref(saved.ref)
    assert (kept.owner, kept.style.prompt, kept.author_id) == (SERVERS, "two", BEN)
    assert [p.state for p in await proposals.of(GUILD, BEN)] == ["approved"]
    await proposals.propose(GUILD, BEN, style("ink", "three"))
    (waiting,) = await proposals.waiting(GUILD)
    _, saved = await proposals.decide(waiting.id, GUILD, ANA, approve=True)
    assert (saved.version, saved.change) == (2, "changed")


async def test_two_admins_decide_once(proposals, styles):
    await proposals.propose(GUILD, BEN, style("Ink"))
    (waiting,) = await proposals.waiting(GUILD)
    answers = await asyncio.gather(
        proposals.decide(waiting.id, GUILD, ANA, approve=True),
        proposals.decide(waiting.id, GUILD, 7, approve=False),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, UserFacingError) for answer in answers) == 1
    assert await proposals.waiting(GUILD) == []
    assert await refused(proposals.decide(waiting.id, 99, ANA, approve=True)) == "proposal_decided"


async def test_a_full_server_leaves_the_proposal_waiting(proposals, styles):
    for name in "abc":
        await styles.save(SERVERS, style(name), author_id=ANA)
    await proposals.propose(GUILD, BEN, style("Ink"))
    (waiting,) = await proposals.waiting(GUILD)
    assert await refused(proposals.decide(waiting.id, GUILD, ANA, approve=True)) == "styles_full_server"
    assert len(await proposals.waiting(GUILD)) == 1


async def test_one_member_cannot_fill_the_line(proposals):
    for n in range(WAITING_PER_MEMBER):
        await proposals.propose(GUILD, BEN, style(f"s{n}"))
    assert await refused(proposals.propose(GUILD, BEN, style("more"))) == "proposals_full"
    await proposals.propose(GUILD, ANA, style("more"))


async def test_an_import_is_taken_once_and_by_its_own_user(database):
    imports = StyleImports(database)
    wanted = Import(ANAS, (style("a", steps=9), style("b")))
    id_ = await imports.add(ANA, wanted)
    assert await refused(imports.take(id_, BEN)) == "style_import_gone"
    assert await imports.take(id_, ANA) == wanted
    assert await refused(imports.take(id_, ANA)) == "style_import_gone"
    empty = await imports.add(ANA, Import(SERVERS, ()))
    assert (await imports.take(empty, ANA)).styles == ()


def test_styles_of_the_earlier_schema_are_kept(tmp_path):
    path, migrations = tmp_path / "old.sqlite", known_migrations()
    before = {name: sql for name, sql in migrations.items() if name < "2026-11-26"}
    migrate(path, before)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO users (id, first_seen_at) VALUES (5, 1)")
        connection.execute("INSERT INTO styles VALUES (3, 5, 'Ink', 'ink', 'p', 'n', '{\"steps\": 9}', 10, 20)")
        connection.commit()
    migrate(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id, level, owner_id, name, version FROM styles").fetchall() == [
            (3, "user", 5, "Ink", 1)
        ]
        assert connection.execute("SELECT style_id, prompt, parameters, made_at FROM style_versions").fetchall() == [
            (3, "p", '{"steps": 9}', 20)
        ]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
