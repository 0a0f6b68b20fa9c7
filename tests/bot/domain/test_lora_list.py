"""Several LoRAs in one line."""

import pytest

from bot.domain.lora_list import LoraWish, complete_loras, last_lora, read_loras
from bot.errors import UserFacingError

NAMES = ("inkwash", "ink blot", "neon", "red, white", "x" * 90)


def search(typed, names):
    return [name for name in names if typed.casefold() in name.casefold()]


def complete(typed):
    return complete_loras(typed, NAMES, search, 25)


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("neon", [("neon", "1")]),
        ("inkwash:0.8, neon", [("inkwash", "0.8"), ("neon", "1")]),
        (" inkwash : .5 ,, neon:-1,", [("inkwash", ".5"), ("neon", "-1")]),
        ("neon:0.7:0.2", [("neon", "0.7:0.2")]),
        ("red, white:0.4, neon", [("red, white", "0.4"), ("neon", "1")]),
        ("<lora:neon:0.3>, <lyco:inkwash>", [("neon", "0.3"), ("inkwash", "1")]),
        ("neon:0.1, neon:0.9", [("neon", "0.9")]),
        ("", []),
        (" , ", []),
        ("nobody knows:2", [("nobody knows", "2")]),
    ],
)
def test_reading(text, wishes):
    assert read_loras(text, NAMES) == tuple(LoraWish(*wish) for wish in wishes)


@pytest.mark.parametrize("text", ["neon:strong", "neon:", "neon:1:2:3", "neon:1e9", "neon:0,,8:x"])
def test_what_is_no_weight(text):
    with pytest.raises(UserFacingError, match="lora_weight"):
        read_loras(text, NAMES)


def test_the_last_name_is_completed():
    assert complete("ink") == ["inkwash", "ink blot"]
    assert complete("neon:0.8, ink") == ["neon:0.8, inkwash", "neon:0.8, ink blot"]


def test_what_is_taken_is_not_offered_again():
    assert complete("neon, ") == ["neon, inkwash", "neon, ink blot", "neon, red, white", f"neon, {'x' * 90}"]


def test_weights_behind_a_complete_name():
    assert complete("neon")[:4] == ["neon", "neon:1", "neon:0.8", "neon:0.6"]
    assert complete("inkwash, neon:0") == ["inkwash, neon:0.8", "inkwash, neon:0.6", "inkwash, neon:0.4"]
    assert complete("neon:0.35") == ["neon:0.35"]


def test_a_line_longer_than_a_choice_is_not_offered():
    assert complete(f"{'x' * 90}:0.8, ink") == []


def test_what_is_typed_of_the_last_name():
    assert [last_lora(text, NAMES) for text in ("", "ink", "neon:0.8, in", "neon:0.8", "neon,")] == [
        "", "ink", "in", "neon", "",
    ]  # fmt: skip
