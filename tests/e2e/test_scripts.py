"""/matrix on a real worker: each cell of the grid is the picture that its request draws by itself."""

from __future__ import annotations

import numpy as np

from tests.e2e.visitor import finished

PROMPT = "a red circle on a blue background|a green square"


def beside(a, b) -> float:
    """Share of values that are as good as equal."""
    return float((np.abs(np.asarray(a.convert("RGB")).astype(int) - np.asarray(b.convert("RGB"))) <= 2).mean())


async def test_each_cell_is_what_its_own_request_draws(member):
    answer = await member.slash("general", "matrix", {"prompt": PROMPT, "seed": 5, "steps": 8})
    offer = await member.shown("general", member.started(answer), lambda m: not m.loading, 30)
    assert "2 pictures" in offer.text
    pressed = await member.click(offer, member.address(offer, "scriptdraw"))
    grid = await member.shown("general", member.started(pressed), finished, 120)
    (whole,) = await member.pictures(grid)
    assert (whole.width, whole.height > 128) == (2 * 128, True)  # titles above
    picked = await member.select(grid, member.address(grid, "scriptcell"), ["1"])
    cell = await member.shown("general", picked.message_id, finished, 30)
    assert member.spec(cell)["prompt"] == PROMPT.replace("|", ", ")
    (picture,) = await member.pictures(cell)
    alone = await member.imagine(prompt=PROMPT.replace("|", ", "), seed=5, steps=8, count=1)
    (drawn,) = await member.pictures(alone)
    assert beside(picture, drawn) > 0.99
    # The second of two columns: at the right end of the grid, below its title.
    there = whole.crop((whole.width - 128, whole.height - 128, whole.width, whole.height))
    assert beside(there, picture) > 0.99
