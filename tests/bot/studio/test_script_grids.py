"""Every cell is in its place, whatever picture of the grid shows it; what is too large is cut, and bounded."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.domain.scripts import GridLayout, Matrix
from bot.studio.scripts.composing import THUMB_PX, composed, filling, thumbnail
from bot.studio.scripts.pieces import PIECE_PIXELS, PIECE_SIDE, PIECES_MAX, pieces_of
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import Txt2Img


def colour(place: int) -> tuple[int, int, int]:
    return (place * 7 + 9) % 200 + 20, (place * 31) % 200 + 20, (place * 101) % 200 + 20


def png(place: int, size=(16, 16)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour(place)).save(out, "PNG")
    return out.getvalue()


def matrix(parts: int, **options) -> Matrix:
    prompt = "|".join(["base", *"abcdefgh"[:parts]])
    return Matrix(base=Txt2Img(prompt=prompt, checkpoint="m", width=64, height=64, seed=7), legend=False, **options)


def test_every_cell_is_in_its_place_and_what_is_missing_is_black():
    script = matrix(3, margin_px=2)
    text = "base\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 64x64"
    (made,) = composed(script, (16, 16), lambda place: None if place == 5 else png(place), {5: ""}, text)
    layout = script.layout()
    with Image.open(io.BytesIO(made.png)) as picture:
        for place in range(8):
            row, column = divmod(place, layout.columns)
            found = picture.getpixel((column * 18 + 8, row * 18 + 8))
            assert found == ((0, 0, 0) if place == 5 else colour(place)), place
        assert picture.info["parameters"] == made.infotext
    read = parse_infotext(made.infotext)
    assert (read.fields["Script"], read.fields["Size-1"], read.fields["Seed"]) == ("Prompt matrix", "64", "7")


def test_a_grid_that_fills_shows_each_cell_where_it_will_be():
    layout = GridLayout(3, 2, 2)
    thumbs = {place: thumbnail(png(place, (512, 512))) for place in range(12) if place != 4}
    with Image.open(io.BytesIO(filling(layout, thumbs, (512, 512)))) as picture:
        shown = picture.convert("RGB")
    side = shown.width // 6
    assert side <= THUMB_PX
    for place in thumbs:
        page, rest = divmod(place, 6)
        row, column = divmod(rest, 3)
        found = shown.getpixel(((page * 3 + column) * side + side // 2, row * side + side // 2))
        assert all(abs(a - b) < 24 for a, b in zip(found, colour(place), strict=True)), place


@settings(max_examples=100, deadline=None)
@given(
    columns=st.integers(1, 20), rows=st.integers(1, 20), pages=st.integers(1, 20),
    width=st.integers(8, 256).map(lambda n: n * 8), height=st.integers(8, 256).map(lambda n: n * 8),
    margin=st.integers(0, 500),
)  # fmt: skip
def test_pieces_show_every_place_once_and_stay_within_bounds(columns, rows, pages, width, height, margin):
    layout = GridLayout(columns, rows, pages, margin_px=margin)
    found = pieces_of(layout, (width, height))
    assert len(found) <= PIECES_MAX
    assert sorted(place for piece in found for place in piece.places) == list(range(layout.places))
    for piece in found:
        part = piece.layout
        assert len(piece.places) == part.places
        across = part.columns * part.pages * (piece.cell[0] + part.margin_px)
        down = part.rows * (piece.cell[1] + part.margin_px)
        one = part.places == 1
        assert one or (max(across, down) <= PIECE_SIDE and across * down <= PIECE_PIXELS)


def test_titles_go_with_their_columns_rows_and_pages():
    names = tuple((title,) for title in "abcdefghij")
    layout = GridLayout(10, 10, 1, names, names)
    first, *others = pieces_of(layout, (1024, 1024))
    assert (first.layout.column_titles, first.layout.row_titles) == (names[:5], names[: first.layout.rows])
    assert others[0].layout.column_titles == names[5:]


@pytest.mark.parametrize(("pages", "sub_grids", "count"), [(3, True, 4), (3, False, 1), (1, True, 1)])
def test_sub_grids_are_sent_where_asked_for(pages, sub_grids, count):
    found = pieces_of(GridLayout(2, 2, pages, sub_grids=sub_grids), (64, 64))
    assert [piece.page for piece in found] == [None, *range(count - 1)]
