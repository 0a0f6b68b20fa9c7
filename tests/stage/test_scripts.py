"""Scripts from the command to the grid: offered, drawn cell by cell, cancelled, killed, handed out."""

from __future__ import annotations

from gpu_worker.protocol.specs import Sheet

PROMPT = "a street|in the rain|at night"


async def offered(member, prompt: str = PROMPT, **options):
    return await member.slash("general", "matrix", {"prompt": prompt, "width": 64, "height": 64, **options})


async def asked(member, prompt: str = PROMPT, **options):
    offer = await member.shown(await offered(member, prompt, **options))
    return await member.press(offer, "scriptdraw")


def cells(stage):
    return [cell for spec in stage.painter.specs if isinstance(spec, Sheet) for cell in spec.cells]


async def test_a_matrix_is_shown_with_its_cost_and_drawn_as_one_grid(stage):
    member = await stage.visitor()
    offer = await member.shown(await offered(member, seed=5))
    assert "4 pictures: 2 by 2" in offer.text
    assert stage.painter.assigned == []
    card = await member.drawn(await member.press(offer, "scriptdraw"))
    print(card.text, card.media)
    assert [cell.prompt for cell in cells(stage)] == [
        "a street", "a street, in the rain", "a street, at night", "a street, in the rain, at night",
    ]  # fmt: skip
