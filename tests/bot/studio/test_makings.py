"""What a command about new model files says, read."""

import pytest

from bot.errors import UserFacingError
from bot.studio.model_admin.makings import read_loras


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ink", [("ink", 1.0)]),
        ("ink, oil:0.6", [("ink", 1.0), ("oil", 0.6)]),
        ("ink : -1; oil:0,5", [("ink", -1.0), ("oil", 0.5)]),
        ("a: b, c", [("a: b", 1.0), ("c", 1.0)]),
        (" ,ink,, ", [("ink", 1.0)]),
    ],
)
def test_names_and_weights(text, expected):
    assert read_loras(text) == expected


@pytest.mark.parametrize("text", ["", " , ", "ink:9", ",".join(f"x{n} y" for n in range(9))])
def test_what_cannot_be_baked(text):
    with pytest.raises(UserFacingError, match="bake_loras"):
        read_loras(text)
