"""Searching through captions: a process of its own, which no pattern can keep busy or fill."""

import asyncio

import pytest

from bot.errors import UserFacingError
from bot.studio.captions.replacing import Replacement, Replacer

CAPTIONS = ["red hair, red_hat", "blue sky"]


@pytest.mark.parametrize(
    ("wanted", "tags"),
    [
        (Replacement("red", "green"), [("green hair", "green_hat"), ("blue sky",)]),
        (Replacement(r"(\w+) hair", r"\1 eyes", regex=True), [("red eyes", "red_hat"), ("blue sky",)]),
        (Replacement("^red", "a, b", regex=True, whole=False), [("a", "b hair", "a", "b_hat"), ("blue sky",)]),
        (Replacement("red", "x", whole=False, only=("red_hat",)), [("red hair", "x_hat"), ("blue sky",)]),
        (Replacement("red.", r"\0\n, a\tb", regex=True), [("a bhair", "a bhat"), ("blue sky",)]),
        (Replacement(".", ""), [("red hair", "red_hat"), ("blue sky",)]),
    ],
)
async def test_what_is_replaced(wanted, tags):
    assert await Replacer().replaced(CAPTIONS, wanted) == tags


@pytest.mark.parametrize(
    ("search", "replace", "key"),
    [
        ("(", "", "captions_pattern"), ("a", r"\5", "captions_pattern"), ("[^,]", "x" * 900, "captions_long"),
        ("(" * 3000 + "a" + ")" * 3000, "", "captions_pattern"),
    ],
)  # fmt: skip
async def test_patterns_that_are_none(search, replace, key):
    with pytest.raises(UserFacingError) as caught:
        await Replacer().replaced(CAPTIONS, Replacement(search, replace, regex=True))
    assert caught.value.key == key


async def test_a_pattern_that_takes_for_ever_is_ended_and_holds_nobody_up():
    replacer = Replacer(replacing_s=1.0)
    bomb = replacer.replaced(["a" * 60 + "!"], Replacement("(a+)+$", "", regex=True))
    honest = Replacer().replaced(CAPTIONS, Replacement("red", "green"))
    ended, found = await asyncio.gather(bomb, honest, return_exceptions=True)
    assert isinstance(ended, UserFacingError)
    assert ended.key == "captions_slow"
    assert found[0] == ("green hair", "green_hat")
    replaced = await replacer.replaced(CAPTIONS, Replacement("sky", "sea"))
    assert replaced[1] == ("blue sea",)
