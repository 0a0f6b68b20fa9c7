"""Grids are drawn as A1111 draws them: cells where they belong, titles beside them, nothing without bounds."""

import io

import pytest
from PIL import Image, ImageChops

from bot.domain.scripts import GridLayout, TitlePart
from bot.grids import draw_grid
from bot.grids.fonts import set_text
from bot.grids.titles import LINES_MAX, block_of, font_size

CELL = (64, 48)
COLOURS = [(20 * n + 15, 255 - 20 * n, 40 * (n % 5)) for n in range(12)]


def png(colour, size=CELL):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def title(*parts):
    return tuple(TitlePart(part) if isinstance(part, str) else TitlePart(*part) for part in parts)


def grid(layout, read=lambda place: png(COLOURS[place]), blank=None):
    return draw_grid(layout, read, CELL, blank or {})


def test_cells_lie_in_rows_and_pages_side_by_side_with_margins():
    picture = grid(GridLayout(2, 2, 3, margin_px=10))
    assert picture.size == (3 * (2 * 64 + 10) + 2 * 10, 2 * 48 + 10)
    for place in range(12):
        page, rest = divmod(place, 4)
        row, column = divmod(rest, 2)
        x, y = page * (2 * 64 + 20) + column * 74, row * 58
        cell = picture.crop((x, y, x + 64, y + 48))
        assert cell.getcolors() == [(64 * 48, COLOURS[place])]
    assert picture.getpixel((69, 20)) == (255, 255, 255)


def test_titles_stand_above_columns_and_left_of_rows():
    layout = GridLayout(2, 1, column_titles=(title("Steps: 10"), title("Steps: 20")), row_titles=(title("Euler"),))
    picture = grid(layout)
    left = 64 * 3 // 4
    assert picture.width == left + 2 * 64
    top = picture.height - 48
    assert top >= 2 * (font_size(*CELL) // 2)
    assert picture.getpixel((left + 32, top + 20)) == COLOURS[0]
    for box in ((left, 0, left + 64, top), (left + 64, 0, left + 128, top), (0, top, left, top + 48)):
        assert darkest(picture, box) < 100
    assert darkest(picture, (0, 0, left, top)) == 255


def darkest(picture, box):
    return picture.crop(box).convert("L").getextrema()[0]


def test_without_a_legend_there_are_no_titles():
    layout = GridLayout(2, 1, column_titles=(title("a"), title("b")), row_titles=(title("c"),), legend=False)
    assert grid(layout).size == (128, 48)


def test_what_is_not_active_is_grey_and_struck_through():
    both = [
        grid(GridLayout(1, 1, column_titles=(title(("illustration", active)),))).crop((0, 0, 64, 12))
        for active in (True, False)
    ]
    assert darkest(both[0], None) < 60
    assert both[1].convert("L").getextrema()[0] >= 150
    rows = [[both[1].convert("L").getpixel((x, y)) for x in range(64)] for y in range(12)]
    assert max(sum(value < 170 for value in row) for row in rows) > 30, "a line goes through all of the word"


def test_a_page_has_its_title_above_its_grid():
    layout = GridLayout(1, 1, 2, page_titles=(title("demo"), title("second")))
    picture = grid(layout)
    assert picture.width == 128
    assert darkest(picture, (0, 0, 64, picture.height - 48)) < 100
    assert picture.getpixel((96, picture.height - 10)) == COLOURS[1]


def test_missing_cells_are_black_and_say_why():
    picture = grid(GridLayout(2, 1), read=lambda place: None if place else png(COLOURS[0]), blank={1: "Out of memory"})
    cell = picture.crop((64, 0, 128, 48))
    assert cell.getpixel((1, 1)) == (0, 0, 0)
    assert cell.convert("L").getextrema()[1] > 100
    silent = grid(GridLayout(1, 1), read=lambda place: None)
    assert silent.getcolors() == [(64 * 48, (0, 0, 0))]


def test_other_sizes_are_centred_and_what_is_too_large_is_made_to_fit():
    picture = grid(GridLayout(2, 1), read=lambda place: png(COLOURS[place], (32, 24) if place else (128, 48)))
    assert picture.getpixel((32, 2)) == (0, 0, 0)
    assert picture.getpixel((1, 24)) == COLOURS[0]
    assert picture.getpixel((64 + 32, 24)) == COLOURS[1]
    assert picture.getpixel((64 + 10, 24)) == (0, 0, 0)


def test_a_smaller_grid_keeps_how_large_its_pictures_are_beside_each_other():
    sizes = [(128, 96), (64, 48)]
    picture = draw_grid(GridLayout(2, 1), lambda place: png(COLOURS[place], sizes[place]), CELL, {}, scale=0.5)
    assert picture.crop((0, 0, 64, 48)).getcolors() == [(64 * 48, COLOURS[0])]
    assert min(picture.crop((64, 0, 128, 48)).getcolors()) == (32 * 24, COLOURS[1])


@pytest.mark.parametrize(
    "text", ["x" * 50_000, "a b " * 20_000, "日" * 5000, "\u202e\u0000\n\t" * 100, "👩‍👩‍👧" * 200, "é̀̂" * 500]
)
def test_a_title_is_bounded_whatever_somebody_typed(text):
    block = block_of(title(text), font_size(512, 512), 512, 512)
    assert len(block.lines) <= LINES_MAX
    assert block.height <= 512
    assert all(line.setting.width <= 512 for line in block.lines)
    column = block_of(title(text), 40, 512)
    assert column.height <= LINES_MAX * 2 * 40


def test_a_long_title_is_wrapped_at_its_words_and_a_long_word_shrunk():
    size = font_size(512, 512)
    lines = block_of(title("a busy city street in a modern city with many people"), size, 512).lines
    assert len(lines) > 1
    assert {line.size_px for line in lines} == {size}
    (word,) = block_of(title("Negative-Guidance-minimum"), size, 400).lines
    assert size // 2 <= word.size_px < size


@pytest.mark.parametrize("text", ["ñandú, ¿qué?", "Ёлка", "日本のお城", "ελληνικά", "—“”×→…"])
def test_scripts_that_people_write_have_signs_of_their_own(text):
    boxes = {bytes(run.font.getmask("\U0010fffe")) for run in set_text(text, 30).runs}
    for run in set_text(text, 30).runs:
        for sign in run.text:
            assert sign.isspace() or bytes(run.font.getmask(sign)) not in boxes, sign


def test_the_same_grid_is_the_same_picture():
    layout = GridLayout(2, 2, column_titles=(title("a"), title("b")), row_titles=(title("c"), title(("d", False))))
    assert ImageChops.difference(grid(layout), grid(layout)).getbbox() is None
