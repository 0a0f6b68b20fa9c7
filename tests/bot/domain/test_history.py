"""Dates as people type them, words of a search, and trees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.history import Kin, lineage_lines, moment_of, searched_words, shown_moment
from bot.errors import UserFacingError

DAY = 86400
NOV_3 = 1793664000.0


def test_dates():
    assert moment_of("  ") is None
    assert moment_of("2026-11-03") == NOV_3
    assert moment_of("2026/11/3", end=True) == NOV_3 + DAY
    assert moment_of("2026-11", end=True) == moment_of("2026-12-01")
    assert moment_of("2026-12", end=True) == moment_of("2027-01")
    assert moment_of("3d", now=NOV_3) == NOV_3 - 3 * DAY
    assert moment_of("2 weeks", now=NOV_3) == moment_of("2 semanas", now=NOV_3) == NOV_3 - 14 * DAY
    assert shown_moment(None) == ""
    assert moment_of(shown_moment(NOV_3)) == NOV_3
    assert moment_of(shown_moment(NOV_3 + DAY, end=True), end=True) == NOV_3 + DAY


@pytest.mark.parametrize("text", ["yesterday-ish", "2026-13-01", "2026-02-30", "3 apples", "99999999d", "0000-01-01"])
def test_what_is_no_date_is_told(text):
    with pytest.raises(UserFacingError):
        moment_of(text)


def test_words():
    assert searched_words(' red  "a blue   fox" "" x') == ["red", "a blue fox", '""', "x"]


def kin(id_, parent=None, at=0.0, here=False):
    return Kin(id_, parent, "imagine", at, here)


def test_a_tree_reads_from_parent_to_child_oldest_first():
    found = [kin("c", "a", 3), kin("a", None, 1), kin("b", "a", 2), kin("d", "b", 4, True), kin("z", "gone", 0)]
    assert lineage_lines(found, lambda k: k.id, 9) == ["z", "a", "├ b", "│ └ d", "└ c"]
    assert lineage_lines(found, lambda k: k.id, 2) == ["├ b", "│ └ d"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdefg")), max_size=8), st.integers(1, 6))
def test_any_tree_ends_and_each_picture_stands_once(pairs, limit):
    rows = {id_: kin(id_, parent, at) for at, (id_, parent) in enumerate(pairs)}
    lines = lineage_lines(list(rows.values()), lambda k: f"={k.id}", limit)
    shown = [line[-1] for line in lines]
    assert len(shown) == len(set(shown)) <= limit
