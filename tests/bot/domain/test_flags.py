"""Inline flags at the end of a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.flags import read_flags
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError


@pytest.mark.parametrize(
    ("typed", "prompt", "parameters", "negative", "ignored"),
    [
        ("a cat", "a cat", Parameters(), "", ()),
        ("a cat --ar 16:9", "a cat", Parameters(aspect="16:9"), "", ()),
        ("a cat —ar 16:9", "a cat", Parameters(aspect="16:9"), "", ()),
        ("a cat –seed 7", "a cat", Parameters(seed=7), "", ()),
        ("a cat --AR 16:9 --Seed=7", "a cat", Parameters(aspect="16:9", seed=7), "", ()),
        ("a cat --seed -1 --cfg 6,5 --count 2", "a cat", Parameters(seed=-1, cfg_scale=6.5, count=2), "", ()),
        ("a cat --steps 30", "a cat", Parameters(steps=30), "", ()),
        ("a cat --no dogs, hats --seed 3", "a cat", Parameters(seed=3), "dogs, hats", ()),
        ("--seed 3", "", Parameters(seed=3), "", ()),
        # An unknown flag stays as text and does not hide the known ones beside it.
        ("a cat --v 5 --ar 1:1", "a cat --v 5", Parameters(aspect="1:1"), "", ("--v",)),
        ("a cat --ar 1:1 --shiny", "a cat --shiny", Parameters(aspect="1:1"), "", ("--shiny",)),
        # A known one in the middle is text.
        ("a cat --steps 30 and a dog", "a cat --steps 30 and a dog", Parameters(), "", ("--steps",)),
        ("--seed 4 a cat --steps 9", "--seed 4 a cat", Parameters(steps=9), "", ("--seed",)),
        # No flags at all.
        ("a well--known thing", "a well--known thing", Parameters(), "", ()),
        ("a cat — no problem", "a cat — no problem", Parameters(), "", ()),
        ("a cat -- ar 3", "a cat -- ar 3", Parameters(), "", ()),
    ],
)  # fmt: skip
def test_read(typed, prompt, parameters, negative, ignored):
    read = read_flags(typed)
    assert (read.prompt, read.parameters, read.negative, read.ignored) == (prompt, parameters, negative, ignored)


@pytest.mark.parametrize(
    ("typed", "key", "flag"),
    [
        ("a cat --steps abc", "flag_value", "--steps"),
        ("a cat --seed", "flag_value", "--seed"),
        ("a cat --ar 16x", "flag_value", "--ar"),
        ("a cat --ar 0:1", "flag_value", "--ar"),
        ("a cat --no", "flag_value", "--no"),
        ("a cat --seed 1 --seed 2", "flag_twice", "--seed"),
    ],
)
def test_refused(typed, key, flag):
    with pytest.raises(UserFacingError) as refusal:
        read_flags(typed)
    assert refusal.value.key == key
    assert refusal.value.values["flag"] == flag


@given(st.text(alphabet="a-—=:1 ,\nnosedarcfgt", max_size=60))
def test_only_user_errors(typed):
    try:
        read = read_flags(typed)
    except UserFacingError:
        return
    assert len(read.prompt) <= len(typed)
