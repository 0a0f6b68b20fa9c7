import random

from bot.domain.tag_texts import piece_of, written
from bot.tags.book import TagBook
from bot.tags.entries import Tag, merged, read_rows, tags_in
from bot.tags.index import CHUNK, TagIndex


def names(hits):
    return [hit.tag.name for hit in hits]


def test_lists_keep_their_order_and_meet_by_count():
    first = [Tag("a", count=50), Tag("b", count=90), Tag("c", count=10)]
    second = [Tag("x", count=70), Tag("B", count=60), Tag("y", count=20)]
    assert [tag.name for tag in merged([first, second])] == ["x", "B", "a", "y", "c"]


def test_odd_rows_are_left_out_or_read_as_far_as_they_go():
    rows = read_rows('good,0,5,"one,/two"\n,0,1\nno count,9,many\n' + "x" * 200 + ",0,1\n\nlone\n")
    assert [*tags_in(rows)] == [
        Tag("good", "general", 5, ("one", "two")), Tag("no count", "other", 0), Tag("lone", "general", 0),
    ]  # fmt: skip
    assert next(tags_in([["wolf", "5", "1"]], e621=True)).kind == "species"


def test_words_inside_aliases_and_kinds():
    index = TagIndex(
        [Tag("very_long_hair", count=9), Tag("bob_cut", "artist", 8, ("bob haircut",)), Tag("hair", count=1)]
    )
    assert names(index.search("hair")) == ["very_long_hair", "bob_cut", "hair"]
    assert names(index.search("LONG hair")) == ["very_long_hair"]
    assert [hit.alias for hit in index.search("bob_h")] == ["bob_haircut"]
    assert names(index.search("hair", kind="artist")) == ["bob_cut"]
    assert names(index.search("ery_l")) == ["very_long_hair"]
    assert names(index.search("very_lomg_hair")) == ["very_long_hair"]
    assert index.search("") == index.search("zzzz") == []
    assert names(index.most_used(2)) == ["very_long_hair", "bob_cut"]
    assert index.named("BOB cut") is not None


def test_many_tags_are_found_over_all_chunks_as_a_plain_search_finds_them():
    rng = random.Random(3)
    words = ["".join(rng.choices("abcdef", k=rng.randint(1, 5))) for _ in range(300)]
    tags = [Tag("_".join(rng.choices(words, k=3)) + f"_{n}", count=20_000 - n) for n in range(CHUNK // 2)]
    index = TagIndex(tags)
    for typed in ("a", "fed", "abc_d", words[0], "12"):
        plain = [tag.name for tag in tags if any(part.startswith(typed) for part in _starts(tag.name))]
        assert names(index.search(typed, 40))[: len(plain)] == plain[:40]


def _starts(name):
    return [name[i:] for i in range(len(name)) if i == 0 or not name[i - 1].isalpha()]


def test_what_is_being_typed():
    def of(text):
        piece = piece_of(text)
        return piece.kind, piece.typed, text[piece.start :]

    assert of("1girl, long h") == ("tag", "long h", "long h")
    assert of("(red ey") == ("tag", "red ey", "red ey")
    assert of("a {cat|re") == ("tag", "re", "re")
    assert of("hat_(obj") == ("tag", "hat_(obj", "hat_(obj")
    assert of(r"hat \(obj") == ("tag", "hat (obj", r"hat \(obj")
    assert of("a, <lora:in") == ("network", "<lora:in", "<lora:in")
    assert of("a, __co") == ("wildcard", "co", "__co")
    assert of("a, __colour__ b")[0] == "tag"
    assert of("a cat --st")[0] == "flag"
    assert of("a cat, ")[0] == of("")[0] == "none"
    assert (piece_of("a cat wearing a ha").word, piece_of("a cat wearing a ").word) == ("ha", "")


def test_faces_keep_their_underscore_and_brackets_are_escaped():
    assert written("^_^") == "^_^"
    assert written("a_[b]_(c)") == r"a \[b\] \(c\)"


async def test_lists_are_read_again_when_they_change(tmp_path):
    now = 0.0
    book = TagBook(tmp_path, clock=lambda: now)
    await book.refresh()
    assert names(book.index.search("long_ha"))[0] == "long_hair"
    (tmp_path / "own.csv").write_text('pincel_tag,4,99999999,"brush"\n')
    now = 10.0
    book.look()
    await book.stop()
    assert names(book.index.search("brush"))[0] == "pincel_tag"
    before = book.index
    await book.refresh()
    assert book.index is before
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00broken,0,1")
    await book.refresh()
    assert "pincel_tag" not in names(book.index.search("pincel"))


async def test_the_list_that_ships_has_no_doubles(tmp_path):
    book = TagBook(tmp_path)
    await book.refresh()
    assert len(book.index) > 1000
