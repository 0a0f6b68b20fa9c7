"""What /models and /loras show of a folder."""

from dataclasses import dataclass

from bot.domain.shelves import PAGE, Shelf, base_of, bases, kinds, page_of, trained_words


@dataclass(frozen=True)
class File:
    name: str
    kind: str = "lora"
    family: str | None = "sd1"
    base: str | None = None
    alias: str | None = None
    title: str | None = None
    note: str | None = None
    trigger_words: tuple[str, ...] = ()
    times_used: int = 0

    @property
    def id(self):
        return self.name


FILES = [
    File("ink", trigger_words=("inkwash",)),
    File("oil", family="sdxl"),
    File("pony oil", family="sdxl", base="Pony"),
    File("base", kind="checkpoint"),
    File("unknown", family=None),
]


def shown(shelf, files=FILES, **more):
    return [file.name for file in page_of(shelf, files, **more).files]


def test_kind_base_and_search():
    assert shown(Shelf()) == ["base", "ink", "oil", "pony oil", "unknown"]
    assert shown(Shelf(kind="lora", base="SDXL")) == ["oil"]
    assert shown(Shelf(search="oil")) == ["oil", "pony oil"]
    assert shown(Shelf(search="inkwash")) == ["ink"]
    assert shown(Shelf(search="pony")) == ["pony oil"]
    assert shown(Shelf(search="zzzz")) == []


def test_bases_and_kinds_are_counted():
    assert bases(FILES) == ["SD 1.5", "Pony", "SDXL"]
    assert kinds(FILES) == {"lora": 4, "checkpoint": 1}
    assert base_of(File("x", family="other")) == "other"


def test_favourites_and_own_use_come_first():
    found = shown(Shelf(), favourites=frozenset({"unknown"}), history={("lora", "pony oil"): 3})
    assert found[:2] == ["unknown", "pony oil"]


def test_pages_end_where_the_files_do():
    many = [File(f"{number:05}") for number in range(2 * PAGE + 1)]
    first, last, beyond = (page_of(Shelf(page=number), many) for number in (0, 2, 9))
    assert (first.number, first.pages, first.total, len(first.files)) == (0, 3, 2 * PAGE + 1, PAGE)
    assert [file.name for file in last.files] == [f"{2 * PAGE:05}"]
    assert beyond == last
    assert page_of(Shelf(), []).pages == 1


def test_trigger_words_are_bounded_and_plain():
    assert trained_words(File("x", trigger_words=(" a,", "b  c", "", "a"))) == ("a", "b c")
    assert sum(map(len, trained_words(File("x", trigger_words=tuple("w" * 90 + str(n) for n in range(99)))))) <= 400
