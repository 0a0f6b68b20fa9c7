"""Autocomplete: at most 25 rows, the best first, whatever is typed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ui.commands import choices, keyed

NAMES = ["DreamShaper 8", "dreamlike-photoreal", "Realistic Vision", "pincel-demo", "anything v5"]


def values(found):
    return [choice.value for choice in found]


@pytest.mark.parametrize(
    ("typed", "first"),
    [("dream", "DreamShaper 8"), ("reel vison", "Realistic Vision"), ("DEMO", "pincel-demo"), ("v5", "anything v5")],
)
def test_the_best_comes_first(typed, first):
    assert values(choices(typed, NAMES))[0] == first


def test_nothing_typed_shows_all_with_the_marked_first():
    assert values(choices("", NAMES, marked=["pincel-demo"])) == ["pincel-demo", *(n for n in NAMES if "demo" not in n)]
    assert len(choices("", [f"m{n}" for n in range(200)])) == 25


def test_what_resembles_nothing_is_not_offered():
    assert choices("zzzzzz", NAMES) == []


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=120), st.lists(st.text(min_size=1, max_size=300), max_size=60, unique=True))
def test_discord_takes_any_answer(typed, names):
    found = choices(typed, names)
    assert len(found) <= 25
    assert all(1 <= len(choice.name) <= 100 and 1 <= len(choice.value) <= 100 for choice in found)


def test_a_key_that_does_not_exist_is_found_at_import():
    with pytest.raises(KeyError):
        keyed("command.nosuch.name")
