"""A plot has the right picture in each cell: every one is drawn again alone, and found in the finished grid.

Alone and in a batch the same sums are made in another order, so pictures may differ in their last digits: here, on a
processor, by one grey level in fewer than one pixel of a hundred, and never as two cells differ.
"""

import random

import numpy as np
import pytest
from drawing import Recorder, pixels, spec

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.plots.build import AxisWish, PlotWishes, build_plot
from bot.domain.scripts.sheets import sheets_of
from bot.grids import draw_grid

PLOTS = {
    "steps and words": ((("Steps", "2-6(+2)"), ("Prompt S/R", "red, blue")), {}),
    "samplers, shapes and guidance": (
        (("Sampler", "Euler a, DPM++ 2M Karras"), ("Size", "128x128, 64x96"), ("CFG Scale", "3, 7")), {"steps": 3},
    ),
    "seeds and a variation": ((("Seed", "1-3"), ("Var. strength", "0, 0.5")), {"steps": 3}),
    "a second pass": (
        (("Denoising", "0.3, 0.7"), ("Hires upscaler", "Latent, Lanczos")),
        {"steps": 3, "width": 64, "height": 64, "hires": {"scale": 2}},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PLOTS)
def test_each_cell_of_a_grid_is_the_picture_of_its_request(engine, name):
    axes, given = PLOTS[name]
    wishes = tuple(AxisWish(*axis) for axis in axes) + (AxisWish(),) * (3 - len(axes))
    plot = build_plot(
        spec(**given),
        PlotWishes(wishes, margin_px=3),
        facts=engine.facts(),
        limits=DEFAULT_LIMITS,
        rng=random.Random(1),
    )
    cells = {cell.index: cell.spec for cell in plot.expanded().cells}
    together = {}
    for sheet in sheets_of(plot.expanded().cells):
        together |= dict(zip(sheet.places, engine.draw_sheet(sheet, Recorder()), strict=True))
    assert sorted(together) == [*range(plot.size)]
    alone = {place: pixels(engine.draw(request, Recorder())[0]) for place, request in cells.items()}
    for place in cells:
        far = np.abs(pixels(together[place]) - alone[place])
        assert far.max() <= 1, (name, place)
        assert (far > 0).mean() < 0.01, (name, place)
    shape = next(iter(alone.values())).shape
    for one in alone:
        for other in alone:
            if one < other and alone[one].shape == alone[other].shape:
                assert np.abs(alone[one] - alone[other]).max() > 8, "two cells of a plot look different"
    found = np.asarray(draw_grid(plot.layout(), lambda place: together[place].png, shape[1::-1], {}), dtype=int)
    places = list(corners(plot, found, shape))
    for place, (x, y) in enumerate(places):
        height, width = alone[place].shape[:2]
        left, top = x + (shape[1] - width) // 2, y + (shape[0] - height) // 2
        assert (found[top : top + height, left : left + width] == pixels(together[place])).all(), (name, place)


def corners(plot, grid, shape):
    """Where each cell begins, reckoned from the right and the bottom, where there are no titles."""
    columns, rows, pages = plot.sizes
    step_x, step_y = shape[1] + plot.margin_px, shape[0] + plot.margin_px
    page = (grid.shape[1] + plot.margin_px) // pages
    for number in range(pages):
        right = number * page + page - plot.margin_px
        for row in range(rows):
            for column in range(columns):
                yield (
                    right - (columns - column) * step_x + plot.margin_px,
                    (grid.shape[0] - (rows - row) * step_y + plot.margin_px),
                )
