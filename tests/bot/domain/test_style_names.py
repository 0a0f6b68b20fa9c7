"""Several styles in one line: whose they are, commas in names, and what is offered while one types."""

import pytest

from bot.domain.shipped_styles import shipped_styles
from bot.domain.style_names import KeptStyle, StyleOwner, completions, labelled, split_names
from bot.domain.styles import Style, is_no_style, style_key
from bot.errors import UserFacingError


def kept(name, owner, ref="1"):
    return KeptStyle(ref, owner, Style(name=name, prompt=name), 1)


MINE, OURS = StyleOwner.user(1), StyleOwner.server(2)


def test_the_nearest_has_the_plain_name():
    styles = [kept("Photo", OURS), kept("Ink", OURS), kept("ink", MINE), *shipped_styles()]
    labels = labelled(styles)
    assert labels["ink"].owner == MINE
    assert labels["Ink@server"].owner == OURS
    assert labels["Photo"].owner == OURS
    assert labels["Photo@pincel"].ref == "pphoto"
    assert len(labels) == len(styles)


def test_the_shipped_styles_are_whole():
    styles = shipped_styles()
    assert {"Anime", "Photo"} <= {kept.style.name for kept in styles}
    assert len({style_key(kept.style.name) for kept in styles}) == len(styles) <= 25
    for found in styles:
        assert found.ref.isalnum()
        assert found.style.prompt.count("{prompt}") <= 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ink", ["Ink"]),
        ("Ink, Oil", ["Ink", "Oil"]),
        (" Ink ,, Oil, ", ["Ink", "Oil"]),
        ("Red, green and blue", ["Red, green and blue"]),
        ("Ink, Red, green and blue, Oil", ["Ink", "Red, green and blue", "Oil"]),
        ("Oil, Oil", ["Oil", "Oil"]),
        ("Ink, nothing, Oil", ["Ink", "nothing", "Oil"]),
        ("", []),
    ],
)
def test_names_between_commas(text, names):
    known = {"ink", "oil", "red, green and blue", "red"}
    assert split_names(text, lambda name: style_key(name) in known) == names


def test_too_many_styles_are_refused():
    with pytest.raises(UserFacingError, match="styles_many"):
        split_names(",".join("abcdefghijk"), lambda _: False)


def test_the_empty_style():
    assert [is_no_style(text) for text in ("None", "none ", "-", "Nona", "")] == [True, True, True, False, False]


def starts(typed, names):
    return [name for name in names if name.casefold().startswith(typed.casefold())]


def test_the_last_name_is_completed_and_replaces_the_whole_option():
    labels = ["Ink", "Oil", "Red, green", "Photo@pincel"]
    assert completions("", labels, starts) == labels
    assert completions("o", labels, starts) == ["Oil"]
    assert completions("Ink, o", labels, starts) == ["Ink, Oil"]
    assert completions("Ink,", labels, starts) == ["Ink, Oil", "Ink, Red, green", "Ink, Photo@pincel"]
    assert completions("Red, green", labels, starts) == ["Red, green"]
    assert completions("x" * 97 + ", o", labels, starts) == [], "what Discord would cut is not offered"
