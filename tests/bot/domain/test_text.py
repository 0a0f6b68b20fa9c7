"""Cleaning what a user typed, and showing it without letting it act."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.mentions import neutral, spoken
from bot.domain.text import clean, is_blank


@pytest.mark.parametrize(
    ("typed", "text", "altered"),
    [
        ("a red apple", "a red apple", False),
        ("  a\tb\n c  ", "a\tb\n c", False),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", False),
        ("a\u200bb\u00adc\ufeff", "abc", False),
        ("a\x00b", "ab", True),
        ("a\u202eb", "ab", True),
        ("👩\u200d🚀", "👩🚀", True),
        ("a\ud800b", "ab", True),
        ("\x00\x1f", "", True),
    ],
)
def test_clean(typed, text, altered):
    cleaned = clean(typed)
    assert (cleaned.text, cleaned.altered) == (text, altered)


@given(st.text())
def test_clean_text_is_storable_and_stays_clean(typed):
    text = clean(typed).text
    text.encode()
    assert clean(text).text == text


def test_is_blank():
    assert is_blank(" \n, ;")
    assert not is_blank("a")


@pytest.mark.parametrize(
    "ping", ["@everyone", "@here", "<@123>", "<@!123>", "<@&123>", "<#123>", "</imagine:123>", "<t:1>", "<:a:1>"]
)
def test_nothing_pings_or_renders_as_a_mention(ping):
    shown = neutral(f"hello {ping} you")
    assert ping not in shown
    assert shown.replace("\u200b", "").replace("\\", "") == f"hello {ping} you"


@given(st.text(alphabet="@<>#&!:everyonhr1 2/*_`|\n", max_size=60))
def test_no_ping_survives_in_any_text(text):
    assert not re.search(r"@(?!\u200b)|<[@#]|https?://", neutral(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**bold** _it_ ~~no~~ `code` ||spoiler||", r"\*\*bold\*\* \_it\_ \~\~no\~\~ \`code\` \|\|spoiler\|\|"),
        ("# title\n> quote\n- item", "\\# title\n\\> quote\n\\- item"),
        ("-# small", "\\-# small"),
        ("[a](https://x.y)", "\\[a\\](https:\u200b//x.y)"),
        ("(apple:1.2), <lora:x:1>", "(apple:1.2), <lora:x:1>"),
        ("3 - 2 > 1 # x", "3 - 2 > 1 # x"),
    ],
)
def test_markdown_is_shown_not_done(text, shown):
    assert neutral(text) == shown


@given(st.text(alphabet="ab@*<#\n ", max_size=200), st.integers(1, 50))
def test_the_limit_holds(text, limit):
    shown = neutral(text, limit)
    assert len(shown) <= limit
    if len(neutral(text)) <= limit:
        assert shown == neutral(text)
    elif limit > 5:
        assert shown.endswith("…")


def test_a_cut_never_leaves_half_an_escape():
    for limit in range(2, 20):
        assert not re.search(r"(?<!\\)(\\\\)*\\…", neutral("*" * 40, limit))


def test_spoken_is_short_and_on_one_line():
    assert "\n" not in spoken("a\nb" * 100)
    assert len(spoken("x" * 500)) <= 80
