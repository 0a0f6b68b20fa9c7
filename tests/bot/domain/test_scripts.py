"""Scripts as records: their cells, their sheets, and what of them is stored."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from bot.domain.job import JobTask, model_of, work_units
from bot.domain.scripts import Cell, Matrix
from bot.domain.scripts.sheets import SHEET_CELLS, SHEET_PIXELS, sheets_of
from gpu_worker.protocol.specs import SEED_MAX, Hires, Sheet, Txt2Img


def spec(**changes) -> Txt2Img:
    values = {"prompt": "base|a|b", "checkpoint": "m1", "width": 64, "height": 64, "seed": 7, "steps": 10}
    return Txt2Img(**(values | changes))


def cells(*specs: Txt2Img) -> list[Cell]:
    return [Cell(place, each) for place, each in enumerate(specs)]


def test_a_matrix_is_read_back_as_it_was_written():
    matrix = Matrix(base=spec(), at_start=True, delimiter="space", different_seeds=True, margin_px=3)
    read = TypeAdapter(JobTask).validate_json(matrix.model_dump_json())
    assert read == matrix
    assert read.expanded() == matrix.expanded()


def test_what_stands_around_the_varied_text_is_in_every_cell():
    matrix = Matrix(base=spec(prompt="neon a|b, glowing a|b"), varied_text="a|b")
    assert [cell.spec.prompt for cell in matrix.expanded().cells] == ["neon a, glowing a", "neon a, b, glowing a, b"]


def test_seeds_count_up_and_stop_at_the_last():
    matrix = Matrix(base=spec(seed=SEED_MAX - 1), different_seeds=True)
    assert [cell.spec.seed for cell in matrix.expanded().cells] == [SEED_MAX - 1, *[SEED_MAX] * 3]


def test_notes_say_which_parts_are_there():
    assert [cell.note for cell in Matrix(base=spec()).expanded().cells] == [None, "a", "b", "a, b"]


def test_a_size_is_known_without_a_single_cell():
    assert Matrix(base=spec(prompt="a" + "|" * 3000)).size == 2**3000


def test_another_seed_keeps_everything_else():
    again = Matrix(base=spec(), delimiter="space").reseeded(9)
    assert (again.base.seed, again.delimiter, again.base.prompt) == (9, "space", "base|a|b")


def test_cells_share_a_sheet_where_they_share_checkpoint_networks_and_shape():
    plain, ink = spec(prompt="x"), spec(prompt="x <lora:ink:1>")
    found = sheets_of(
        cells(plain, ink, spec(prompt="y"), spec(checkpoint="m2"), spec(prompt="z <lora:ink:1>"), spec(width=128),
              spec(steps=3, cfg_scale=2, seed=1, sampler="Euler a"))
    )  # fmt: skip
    assert [sheet.places for sheet in found] == [(0, 2, 6), (1, 4), (5,), (3,)]
    assert [sheet.checkpoint for sheet in found] == ["m1", "m1", "m1", "m2"]


def test_checkpoints_come_in_the_order_in_which_each_was_first():
    found = sheets_of(cells(*[spec(checkpoint=name) for name in "abab"]))
    assert [(sheet.checkpoint, sheet.places) for sheet in found] == [("a", (0, 2)), ("b", (1, 3))]


@pytest.mark.parametrize(
    ("size", "hires", "at_once"),
    [(64, None, SHEET_CELLS), (1024, None, 4), (2048, None, 1), (512, Hires(scale=4), 1)],
)
def test_a_sheet_is_bounded_by_its_finished_pixels(size, hires, at_once):
    each = spec(width=size, height=size, hires=hires)
    found = sheets_of(cells(*[each] * 10))
    assert max(len(sheet.cells) for sheet in found) == at_once
    assert sum(len(sheet.cells) for sheet in found) == 10
    assert at_once == 1 or at_once * size * size <= SHEET_PIXELS


def test_model_and_work_of_a_sheet_are_those_of_its_cells():
    one = spec(prompt="x")
    sheet = Sheet(cells=(one, spec(prompt="y", steps=30)))
    assert model_of(sheet) == "m1"
    assert work_units(sheet) == pytest.approx(4 * work_units(one))
    assert work_units(Matrix(base=spec())) == pytest.approx(4 * work_units(one))
