"""Styles put on and taken off a prompt."""

import pytest

from bot.domain.styles import Style
from bot.domain.worn_styles import with_styles, worn

INK = Style(name="ink", prompt="ink drawing", negative_prompt="photo")
FRAME = Style(name="frame", prompt="a poster of {prompt} on a wall")
FOG = Style(name="fog", prompt="fog")
ALL = (INK, FRAME, FOG)


def dressed(prompt, negative, *styles):
    return with_styles(prompt, negative, [], styles)[:2]


def test_what_is_put_on_is_found_and_comes_off_again():
    prompt, negative = dressed("a cat <lora:x:1>", "blurry", INK, FRAME)
    assert prompt == "a poster of a cat, ink drawing on a wall <lora:x:1>"
    assert negative == "blurry, photo"
    on = worn(prompt, negative, ALL)
    assert on == [FRAME, INK]
    assert with_styles(prompt, negative, on, []) == ("a cat <lora:x:1>", "blurry", [])


@pytest.mark.parametrize("staying", ALL)
def test_one_of_several_stays_wherever_it_lies(staying):
    prompt, negative = dressed("a cat", "", *ALL)
    on = worn(prompt, negative, ALL)
    assert with_styles(prompt, negative, on, [staying])[:2] == dressed("a cat", "", staying)


def test_a_new_one_goes_on_top_and_the_others_stay_as_they_are():
    prompt, negative = dressed("a cat", "", INK)
    on = worn(prompt, negative, ALL)
    assert with_styles(prompt, negative, on, [FOG, INK]) == ("a cat, ink drawing, fog", "photo", [FOG])


def test_nothing_is_worn_by_chance():
    assert worn("a cat", "", ALL) == []
