"""Templates through their process: real ones, hostile ones, and wildcards of every place."""

import asyncio

import pytest

from bot.dynamic.expander import Expander
from bot.dynamic.wildcards import SHIPPED, WildcardBook
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import Texts

DOUBLING = "".join(f"${{v{n}=${{v{n - 1}}}${{v{n - 1}}}}}" for n in range(1, 40))
HOSTILE = {
    "nested braces": "{" * 3000 + "a" + "}" * 3000,
    "open braces": "{a|" * 400 + "}",
    "all orders": "{12$$" + "|".join("abcdefghijklmnop") + "}",
    "huge ranges": "{99999999-999999999$$, $$a|b} {" + "|".join(map(str, range(3000))) + "}",
    "doubling": "${v0={x|y}}" + DOUBLING + "${v39}",
    "cycle": "{a|b} __one__",
    "variable of itself": "${x={${x}|a}} ${x}",
}


@pytest.fixture
def book(tmp_path):
    (tmp_path / "one.txt").write_text("__two__\n")
    (tmp_path / "two.txt").write_text("__one__ and __two__\n")
    (tmp_path / "fruit.txt").write_text("# all\nred {apple|apple}\n\n")
    (tmp_path / "servers" / "7").mkdir(parents=True)
    (tmp_path / "servers" / "7" / "fruit.txt").write_text("__basket/pear__\n")
    (tmp_path / "servers" / "7" / "baskets.yaml").write_text("basket:\n  pear:\n    - 3::green pear\n")
    return WildcardBook(tmp_path)


@pytest.fixture
def expander(book):
    return Expander(book, drawing_s=20)


async def test_each_picture_has_a_text_of_its_own_seed(expander):
    texts = await expander.texts("a {red|green|blue|pink|grey} cat", "{ugly|}", range(20, 28))
    assert len({text.prompt for text in texts}) > 2
    assert {text.negative_prompt for text in texts} == {"ugly", ""}
    assert texts[3:5] == await expander.texts("a {red|green|blue|pink|grey} cat", "{ugly|}", [23, 24])


async def test_combinations_of_prompt_and_negative_prompt(expander):
    texts = await expander.combinations("{a|b}", "{c|d}", most=10)
    assert texts == [Texts(prompt=one, negative_prompt=other) for one in "ab" for other in "cd"]
    assert len(await expander.combinations("{a|b|c} {1|2|3}", "", most=4)) == 5


async def test_wildcards_of_every_place(expander):
    assert [text.prompt for text in await expander.texts("a __fruit__", "", [1])] == ["a red apple"]
    assert [text.prompt for text in await expander.texts("a __fruit__", "", [1], guild_id=7)] == ["a green pear"]
    assert [text.prompt for text in await expander.texts("__nowhere__ {a}", "", [1])] == ["__nowhere__ a"]
    (shipped,) = await expander.texts("__season__", "", [1])
    assert shipped.prompt in (SHIPPED / "season.txt").read_text().split("\n")


async def test_network_tags_come_through_as_they_were_typed(expander):
    texts = await expander.texts("{cat} <lora:a#b__c__//d:0.5> {<lora:x:1>|<lora:x:1>} [a:b:0.5] (c:1.2)", "", [1])
    assert texts[0].prompt == "cat <lora:a#b__c__//d:0.5> <lora:x:1> [a:b:0.5] (c:1.2)"


@pytest.mark.parametrize(("text", "key"), [("{a|b", "unreadable"), ("{a} ${x}", "variable"), ("{a} __", "unreadable")])
async def test_what_cannot_be_read_is_told(expander, text, key):
    with pytest.raises(UserFacingError) as refused:
        await expander.texts(text, "", [1])
    assert refused.value.key == f"template_{key}"


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_template_ends(book, name):
    """It is refused or drawn, in bounded time, and the loop goes on meanwhile."""
    expander = Expander(book, drawing_s=2)
    turns = 0

    async def ticking():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    refused: set[str] = set()
    ticks = asyncio.create_task(ticking())
    for work in (expander.texts(HOSTILE[name], "", [1, 2]), expander.combinations(HOSTILE[name], "", most=40)):
        try:
            async with asyncio.timeout(60):
                assert len(await work) <= 41
        except UserFacingError as error:
            refused.add(error.key)
    ticks.cancel()
    assert refused <= {"template_endless", "template_unreadable", "template_long"}
    assert turns > 5


async def test_who_waits_too_long_is_told(book, monkeypatch):
    monkeypatch.setattr("bot.dynamic.expander.WAITING_S", 0)
    expander = Expander(book)
    expander._turns = asyncio.Semaphore(0)
    with pytest.raises(UserFacingError, match="template_busy"):
        await expander.texts("{a|b}", "", [1])


async def test_files_are_read_again_when_they_change(book, tmp_path):
    expander = Expander(book, drawing_s=20)
    (tmp_path / "fruit.txt").write_text("a plum that is longer\n")
    assert (await expander.texts("__fruit__", "", [1]))[0].prompt == "a plum that is longer"
    (tmp_path / "fruit.txt").unlink()
    assert (await expander.texts("__fruit__", "", [1]))[0].prompt == "__fruit__"


def test_what_is_too_much_or_broken_is_left_out(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [1, 2\n  b: }")
    rows = [f"{b}: &{b} [{', '.join([f'*{a}'] * 6)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "bomb.yaml").write_text("\n".join(["a: &a [x, x, x, x]", *rows]))
    rows = [f"{b}: &{b} {{{', '.join(f'k{n}: *{a}' for n in range(40))}}}" for a, b in zip("abcd", "bcde", strict=True)]
    (tmp_path / "keys.yaml").write_text("\n".join(["a: &a {k: x, l: y}", *rows]))
    rows = [f"{b}: &{b}\n  <<: [{', '.join([f'*{a}'] * 6)}]" for a, b in zip("abcdef", "bcdefg", strict=True)]
    (tmp_path / "merged.yaml").write_text("\n".join(["a: &a {k: x, l: y}", *rows]))
    rows = [f"{b}: &{b} [{', '.join([f'*{a}'] * 6)}]" for a, b in zip("abcdef", "bcdefg", strict=True)]
    (tmp_path / "texts.yaml").write_text("\n".join(["a: &a [x, x]", *rows, "h: [{text: *g}]"]))
    (tmp_path / "deep.json").write_text('{"a":' * 5000 + "1" + "}" * 5000)
    (tmp_path / "large.txt").write_bytes(b"x\n" * (2 << 20))
    (tmp_path / "good.txt").write_text("fine\n")
    values = WildcardBook(tmp_path, shipped=tmp_path / "none").values()
    assert values["good"] == (("fine", 1.0),)
    assert "large" not in values
    assert not {"g/k", "h"} & {*values}
    assert sum(len(entries) for entries in values.values()) < 30_000
