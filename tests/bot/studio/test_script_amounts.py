"""What a script asks for is what its cells do, with what is drawn in them once more."""

from __future__ import annotations

from bot.domain.scripts import Matrix
from bot.studio.scripts.preparing import prepared
from gpu_worker.protocol.specs import DetailFix, Txt2Img


async def test_what_is_found_in_cells_and_drawn_once_more_counts():
    unit = DetailFix(model="faces", steps=90, width=1024, height=768)
    base = Txt2Img(prompt="a|b", checkpoint="m", width=64, height=64, seed=7, steps=20, details=(unit,))
    wanted = (await prepared(Matrix(base=base), 100, lambda _model, _units: 2.0)).wanted
    assert (wanted.steps, wanted.side_px, wanted.pictures, wanted.count) == (90, 1024, 2, 1)
    assert wanted.gpu_s == 2.0
