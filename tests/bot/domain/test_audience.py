"""The flags that say who sees a picture."""

import pytest

from bot.domain.audience import read_audience


@pytest.mark.parametrize(
    ("prompt", "left", "private"),
    [
        ("a cat", "a cat", None),
        ("a cat --private", "a cat", True),
        ("a cat —PRIVATE --steps 30", "a cat --steps 30", True),
        ("--draft a cat", "a cat", True),
        ("a cat --private --public", "a cat", False),
        ("a cat --privately", "a cat --privately", None),
        ("a cat--private", "a cat--private", None),
        ("a private cat --no private", "a private cat --no private", None),
    ],
)
def test_the_flag_is_read_and_taken_out(prompt, left, private):
    assert read_audience(prompt) == (left, private)
