"""Completion while typing, the prompt builder and /wildcards, end to end."""

import pytest

from gpu_worker.protocol.messages import ModelFact
from tests.stage.visitor import verbs


@pytest.fixture
async def member(stage):
    await stage.studio.tag_book.refresh()
    return await stage.visitor()


async def completed(member, option, text, **others):
    rows = await member.autocomplete("general", "imagine", option, {option: text, **others})
    assert all(row["name"] == row["value"] for row in rows)
    return [row["value"] for row in rows]


async def test_the_last_tag_is_completed_and_what_stands_there_comes_first(member):
    rows = await completed(member, "prompt", "1girl, long ha")
    assert rows[:2] == ["1girl, long ha", "1girl, long hair,"]
    assert await completed(member, "tags", "a cat, starry") == ["a cat, starry", "a cat, starry sky,"]
    assert "a cat wearing a straw hat," in await completed(member, "prompt", "a cat wearing a stra")
    assert "(brown hair," in await completed(member, "prompt", "(brown ha")


async def test_long_prompts_are_completed_in_tags_alone(member):
    long = "a long prompt about many things " * 3
    assert await completed(member, "prompt", f"{long}, long hair") == []
    assert (await completed(member, "tags", "long ha", prompt=long))[1] == "long hair,"


async def test_wildcards_loras_embeddings_and_flags(member):
    assert "a __season__" in await completed(member, "prompt", "a __sea")
    assert await completed(member, "prompt", "a <lora:ink") == ["a <lora:ink", "a <lora:inkwash:1>"]
    assert "bad-hands," in await completed(member, "prompt", "bad-ha")
    assert await completed(member, "prompt", "<e:bad") == ["<e:bad", "bad-hands,"]
    assert "a cat --combinatorial" in await completed(member, "prompt", "a cat --comb")
    assert await completed(member, "prompt", "a cat, ") == []


async def test_the_operators_list_counts_and_what_is_refused_is_never_offered(stage, member):
    folder = stage.settings.data / "tags"
    folder.mkdir()
    (folder / "own.csv").write_text('zebra_(animal),0,9000000,"stripy"\nzealot_nude_child,0,8000000\n')
    await stage.studio.tag_book.refresh()
    assert (await completed(member, "prompt", "strip"))[1] == r"zebra \(animal\),"
    assert all("child" not in row for row in await completed(member, "prompt", "zealo"))


async def test_adult_tags_are_offered_where_adult_content_is_allowed(stage, member, monkeypatch):
    folder = stage.settings.data / "tags"
    folder.mkdir()
    (folder / "own.csv").write_text("zyx,0,2\nzyx_nude,0,1\n")
    await stage.studio.tag_book.refresh()
    assert await completed(member, "prompt", "zyx") == ["zyx", "zyx,"]
    dark = stage.channel_id("after-dark")
    monkeypatch.setattr(stage.studio.completion, "_adult_allowed", lambda where: where.channel_id == dark)
    rows = await member.autocomplete("after-dark", "imagine", "prompt", {"prompt": "zyx"})
    assert [row["value"] for row in rows] == ["zyx", "zyx,", "zyx nude,"]


async def test_tags_are_put_behind_the_prompt(stage, member):
    await member.imagine(prompt="a cat --steps 5", tags="long hair, straw hat,", count=1)
    (spec,) = stage.painter.specs
    assert (spec.prompt, spec.steps) == ("a cat, long hair, straw hat", 5)


async def test_a_prompt_is_built_and_drawn(stage, member):
    board = await member.shown(await member.slash("general", "tags", {"search": "long hair"}))
    assert board.ephemeral
    await member.pick(board, "tagspick", ["t:long_hair"])
    board = await member.shown(board.id)
    assert "long hair" in board.text
    await member.pick(board, "tagskind", ["lora"])
    await member.fill(await member.press(board, "tagssearch"), {"text": "ink"})
    await member.pick(await member.shown(board.id), "tagspick", ["l:inkwash"])
    await member.pick(await member.shown(board.id), "tagskind", ["wildcard"])
    await member.fill(await member.press(board, "tagssearch"), {"text": ""})
    await member.pick(await member.shown(board.id), "tagspick", ["w:season"])
    await stage.restart()
    board = await member.shown(board.id)
    await member.press(board, "tagsdo", 1)
    board = await member.shown(board.id, lambda m: "season" not in m.text.split("Wildcards")[0])
    await member.fill(
        await member.press(board, "tagsedit"), {"text": "long hair <lora:inkwash:1>, {a cat|a dog} --count 2"}
    )
    card = await member.drawn(await member.press(await member.shown(board.id), "tagsdo", 3))
    assert len(card.media) == 2
    assert all(text.prompt.startswith("long hair <lora:inkwash:1>, a ") for text in stage.painter.specs[-1].texts)
    await member.press(board, "tagsdo", 2)
    empty = await member.shown(board.id, lambda m: verbs(m).count("tagsdo") == 1)
    assert "tagsedit" in verbs(empty)


async def test_pages_and_kinds(stage, member):
    stage.painter.facts = (
        *stage.painter.facts,
        *(ModelFact(kind="lora", name=f"many{n}", family="sd1") for n in range(30)),
    )
    await stage.painter.announce()
    board = await member.shown(await member.slash("general", "tags", {}))
    await member.press(board, "tags", 1)
    board = await member.shown(board.id, lambda m: "page 2" in m.text)
    await member.press(board, "tags", 0)
    board = await member.shown(board.id, lambda m: "page" not in m.text)
    await member.pick(board, "tagskind", ["lora"])
    board = await member.shown(board.id, lambda m: "LoRAs" in m.text)
    await member.press(board, "tags", 1)
    await member.shown(board.id, lambda m: "page 2" in m.text)


async def test_wildcards_are_listed_added_and_removed(stage, member):
    admin = await stage.visitor("Admin")
    assert "__season__" in await member.told(await member.slash("general", "wildcards list", {}))
    assert "winter" in await member.told(await member.slash("general", "wildcards list", {"name": "season"}))
    part = await member.told(await member.slash("general", "wildcards list", {"name": "hair"}))
    assert "__hair-colour__" in part
    assert "season" not in part
    assert "nothing" in await member.told(await member.slash("general", "wildcards list", {"name": "nothing"}))
    refused = await member.slash("general", "wildcards add", {}, attachments={"file": ("mine.txt", b"one\n")})
    assert not (stage.settings.data / "wildcards").exists(), refused
    await admin.told(await admin.slash("general", "wildcards add", {}, attachments={"file": ("mi-ne_1.txt", b"one\n")}))
    await member.imagine(prompt="a __mi-ne-1__", count=1)
    assert stage.painter.specs[-1].prompt == "a one"
    for name, data in (
        ("empty.txt", b"# nothing\n"),
        ("evil.exe", b"x"),
        ("..txt", b"x"),
        ("large.txt", b"x" * 300_000),
    ):
        await admin.told(await admin.slash("general", "wildcards add", {}, attachments={"file": (name, data)}))
    folder = stage.settings.data / "wildcards" / "servers" / str(stage.guild_id)
    assert [path.name for path in folder.iterdir()] == ["mi-ne-1.txt"]
    assert "no" in (await admin.told(await admin.slash("general", "wildcards remove", {"file": "../x"}))).lower()
    await admin.told(await admin.slash("general", "wildcards remove", {"file": "mi-ne-1.txt"}))
    assert not [*folder.iterdir()]


async def test_what_somebody_draws_with_often_goes_up_for_them_alone(stage, member):
    folder = stage.settings.data / "tags"
    folder.mkdir()
    (folder / "own.csv").write_text("zyx_common,0,9000\nzyx_usual,0,8000\nzyx_rare,0,7000\n")
    await stage.studio.tag_book.refresh()
    for seed in range(4):
        await member.imagine(prompt="a cat, (zyx rare:1.2)", count=1, seed=seed)
    other = await stage.visitor("Ann")
    assert await completed(member, "prompt", "zyx") == ["zyx", "zyx rare,", "zyx common,", "zyx usual,"]
    assert await completed(other, "prompt", "zyx") == ["zyx", "zyx common,", "zyx usual,", "zyx rare,"]
