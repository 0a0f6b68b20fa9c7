"""The order of an autocomplete."""

import pytest

from bot.domain.model_ranking import Candidate, rank


def names(typed, *candidates, limit=25):
    return [candidate.name for candidate in rank(typed, candidates, limit)]


def test_nothing_typed_default_favourites_own_everybodys_then_names():
    assert names(
        "",
        Candidate("zeta"),
        Candidate("alpha"),
        Candidate("popular", all_uses=9),
        Candidate("mine", own_uses=1),
        Candidate("mine more", own_uses=5),
        Candidate("starred", favourite=True),
        Candidate("default", marked=True),
        Candidate("other family", favourite=True, own_uses=99, fits=False),
    ) == ["default", "starred", "mine more", "mine", "popular", "alpha", "zeta", "other family"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("ink", ["ink wash", "big ink", "pinkish", "brushes"]),
        ("INK  ", ["ink wash", "big ink", "pinkish", "brushes"]),
        ("wash ink", ["ink wash", "pinkish"]),
        ("brushs", ["brushes"]),
        ("qqqq", []),
    ],
)
def test_what_is_typed_decides_first(typed, expected):
    found = names(
        typed,
        Candidate("brushes", words="ink style"),
        Candidate("pinkish"),
        Candidate("big ink"),
        Candidate("ink wash"),
    )
    assert found == expected


def test_what_does_not_fit_the_checkpoint_goes_last_however_well_it_matches():
    assert names("ink", Candidate("ink", fits=False), Candidate("my ink")) == ["my ink", "ink"]


def test_equal_matches_by_favourite_and_own_use():
    assert names("a", Candidate("a1"), Candidate("a2", own_uses=2), Candidate("a3", favourite=True)) == [
        "a3",
        "a2",
        "a1",
    ]


def test_the_limit_holds_among_thousands_and_the_fuzzy_match_is_there():
    many = [Candidate(f"model {number:04} anime") for number in range(8000)]
    assert len(rank("anime", many)) == 25
    assert names("model 7777", *many)[0] == "model 7777 anime"
    assert "watercolour" in names("watercolor", *many, Candidate("watercolour"))
