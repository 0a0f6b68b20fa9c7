"""Captions of a data set: what a filter leaves, what can be done to many at once, what the guide says of them."""

import pytest

from bot.domain.captions.advice import advise
from bot.domain.captions.editor import CaptionEditor, found_in
from bot.domain.captions.merging import merged
from bot.domain.captions.operations import (
    adding,
    changed,
    common_of,
    listed_tags,
    removing,
    rewriting,
    shortened,
    sorting,
    triggering,
    without_doubles,
)
from bot.domain.captions.rules import allowed_part
from bot.domain.captions.tokens import about_tokens
from bot.domain.training.datasets import Folder, Picture

FOLDER = Folder("f", "d", 10, "girl", False, 1)


def pictures(*captions, folder="f"):
    return [
        Picture(f"p{n}", folder, f"{n:064x}", "image/png", 64, 64, 9, 0, f"name{n}", caption, "", n, 0.0)
        for n, caption in enumerate(captions)
    ]


def after(operation, *captions):
    there = pictures(*captions)
    new = changed(there, operation)
    return [new.get(one.id, one.caption) for one in there]


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({}, ["p0", "p1", "p2", "p3"]),
        ({"all_of": ("red_hair", "SMILE")}, ["p0"]),
        ({"none_of": ("smile",)}, ["p1", "p2", "p3"]),
        ({"all_of": ("red hair",), "none_of": ("smile",)}, ["p1"]),
        ({"search": "Blue"}, ["p2"]),
        ({"search": "name3"}, ["p3"]),
        ({"bare": True}, ["p3"]),
        ({"all_of": ("hair",)}, []),
    ],
)
def test_what_a_filter_leaves(values, left):
    found = found_in(
        pictures("red hair, smile", "red hair, hat", "blue_sky", None), CaptionEditor(dataset="d", **values)
    )
    assert [one.id for one in found.pictures] == left


def test_tags_are_counted_once_a_picture_and_the_most_frequent_comes_first():
    found = found_in(pictures("b, a, a", "a", "c, b", None), CaptionEditor(dataset="d"))
    assert found.counts == (("a", 2), ("b", 2), ("c", 1))


def test_a_list_of_some_tags_leaves_the_choice_of_others():
    editor = CaptionEditor(dataset="d", chosen=("x", "a"))
    assert editor.marked(["a", "b"], ["b"]).chosen == ("x", "b")


@pytest.mark.parametrize(
    ("operation", "before", "expected"),
    [
        (adding("mychar, 1girl", "front"), ("1girl, hat", None), ["mychar, 1girl, hat", "mychar, 1girl"]),
        (adding("hat", "end"), ("1girl, hat", "1girl"), ["1girl, hat", "1girl, hat"]),
        (triggering("mychar"), ("1girl, mychar, hat", "hat"), ["mychar, 1girl, hat", "mychar, hat"]),
        (removing(("hat", "bag")), ("hat", "1girl, hat"), [None, "1girl"]),
        (without_doubles, ("a, b, a", "a ,b"), ["a, b", "a ,b"]),
        (rewriting(("red hair", "smile"), "blue hair\ngrin, hat\nnew", prepend=True), ("red hair, x, smile",),
         ["new, blue hair, x, grin, hat"]),
        (rewriting(("red hair", "smile"), "\ngrin", prepend=False), ("red hair, x, smile",), ["x, grin"]),
        (rewriting(("smile",), "", prepend=False), ("red hair, smile",), ["red hair"]),
        (rewriting(("a", "b"), "b, a", prepend=False), ("a, c, b",), ["b, c, a"]),
    ],
)  # fmt: skip
def test_many_captions_at_once(operation, before, expected):
    assert after(operation, *before) == expected


def test_sorting_leaves_the_trigger_word_in_front():
    there = pictures("mychar, b, a", "mychar, a")
    by_name = sorting(there, "alphabetical", descending=False, keep=1)
    assert changed(there, by_name) == {"p0": "mychar, a, b"}
    often = sorting(there, "frequency", descending=True, keep=0)
    assert changed(there, often)["p0"] == "mychar, a, b"


def test_a_long_caption_loses_its_last_tags():
    text = ", ".join(f"word{chr(97 + n % 26)} thing" for n in range(60))
    (short,) = after(shortened, text)
    assert about_tokens(short) <= 75 < about_tokens(text)
    assert text.startswith(short)


def test_a_form_lists_as_many_tags_as_it_can_show():
    many = [f"{n:050}" for n in range(100)]
    listed = listed_tags(many)
    assert listed == tuple(many[: len(listed)])
    assert 30 < len(listed) < 40


def test_common_tags_in_the_order_of_the_first():
    assert common_of(pictures("b, a, c", "a, b")) == ("b", "a")


@pytest.mark.parametrize(
    ("before", "existing", "caption"),
    [
        (None, "ignore", "x, a"), ("a, b", "ignore", "a, b"), ("a, b", "overwrite", "x, a"),
        ("a, b", "append", "a, b, x"), ("a, b", "prepend", "x, a, b"), ("", "append", "x, a"),
    ],
)  # fmt: skip
def test_what_a_tagger_wrote_beside_what_is_there(before, existing, caption):
    assert merged(before, "x, a", existing) == caption
    assert merged(before, "", existing) == before


def test_a_tagger_writes_nothing_that_the_rules_refuse():
    assert allowed_part("1girl, nude, bikini, hat") == "1girl, hat"
    assert allowed_part("1girl, Frogs, hat", ("frogs",)) == "1girl, hat"


def keys(notes):
    return [note.key.removeprefix("captions_") for note in notes]


def test_advice():
    good = [f"mychar, hair {n}" for n in range(8)]
    assert keys(advise(pictures(*good), [FOLDER])) == ["keep_tokens"]
    plain = advise(pictures(*[f"thing{n}, 1girl, red hair" for n in range(8)], None), [FOLDER])
    assert keys(plain) == ["bare", "trigger", "common"]
    assert "red hair" in plain[2].values["names"]
    assert keys(advise(pictures("a"), [FOLDER])) == []
    many = advise(pictures(*[f"mychar, b{n}" for n in range(50)]), [FOLDER])
    assert (many[-1].values["n"], many[-1].values["better"]) == (500, 8)
    assert keys(advise(pictures(", ".join(["a word"] * 60)), [FOLDER])) == ["long"]
    assert advise(pictures(None), [Folder("f", "d", 500, "girl", True, 1)]) == []
