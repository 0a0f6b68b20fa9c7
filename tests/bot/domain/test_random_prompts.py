"""What /random draws is drawable: every theme has its parts, and no combination is refused."""

from random import Random

import pytest

from bot.domain.content import judge
from bot.domain.random_prompts import THEMES, random_prompt, themes


def test_every_theme_has_its_parts():
    assert set(themes()) == set(THEMES)
    for key, theme in themes().items():
        assert len(theme.subjects) >= 10, key
        assert all(len(set(part)) == len(part) for part in (theme.subjects, theme.places, theme.lights, theme.manners))


@pytest.mark.parametrize("theme", THEMES)
def test_nothing_of_it_is_refused(theme):
    parts = themes()[theme]
    everything = {*parts.subjects, *parts.places, *parts.lights, *parts.manners}
    assert [part for part in everything if part and not judge(part).allowed] == []
    rng = Random(theme)
    assert [text for text in (random_prompt(theme, rng) for _ in range(60)) if not judge(text).allowed] == []


def test_prompts_differ_and_are_whole():
    rng = Random(1)
    found = {random_prompt(None, rng) for _ in range(200)}
    assert len(found) > 190
    assert all(text.strip(", ") == text and "  " not in text and ", ," not in text for text in found)


def test_something_of_ones_own_in_the_place_of_the_subject():
    assert random_prompt("city", Random(3), about="__animal__").startswith("__animal__")
