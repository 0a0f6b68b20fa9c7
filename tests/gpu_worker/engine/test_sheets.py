"""A sheet draws what as many jobs would, and what fails in it fails alone."""

import pytest
from drawing import Recorder, pixels, spec

from gpu_worker.engine.denoise import Outcome
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.sheets import draw_sheet
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.messages import Missing
from gpu_worker.protocol.specs import Sheet

CELLS = (spec(), spec(steps=6, cfg_scale=3, seed=7), spec(prompt="a blue circle", width=64, sampler="Euler a"))


@pytest.mark.slow
def test_each_cell_is_the_picture_of_its_own_request(engine):
    together = engine.draw_sheet(Sheet(cells=CELLS), Recorder())
    alone = [engine.draw(cell, Recorder())[0] for cell in CELLS]
    assert all((pixels(a) == pixels(b)).mean() > 0.999 for a, b in zip(together, alone, strict=True))
    assert [parse_infotext(cell.infotext).fields["Steps"] for cell in together] == ["4", "6", "4"]
    assert not (pixels(together[0]) == pixels(together[1])).mean() > 0.9


@pytest.mark.slow
def test_a_cell_that_cannot_be_drawn_leaves_the_others(engine):
    lacks = spec(prompt="a red apple <lora:nowhere:1>")
    first, missing, last = engine.draw_sheet(Sheet(cells=(CELLS[0], lacks, CELLS[2])), Recorder())
    assert missing == Missing(index=1, kind="missing_model", detail={"lora": "nowhere"})
    assert (first.width, last.width) == (128, 64)
    with pytest.raises(EngineError, match="missing_model"):
        engine.draw_sheet(Sheet(cells=(lacks, lacks)), Recorder())


@pytest.mark.slow
def test_progress_runs_once_over_all_cells_and_a_cancel_ends_all(engine):
    hooks = Recorder()
    engine.draw_sheet(Sheet(cells=CELLS[:2]), hooks)
    steps = [(step, of) for phase, step, of in hooks.calls if phase == "sampling"]
    assert steps[-1] == (10, 10)
    with pytest.raises(DrawingCancelled):
        engine.draw_sheet(Sheet(cells=CELLS), Recorder(cancel_at=5))


def test_who_had_too_little_memory_beside_the_others_is_drawn_alone():
    asked = []

    def draw_all(jobs):
        asked.append([cell.seed for cell, _ in jobs])
        full = {1: EngineError("oom", ""), 2: EngineError("other", "", {"reason": "not_finite"})}
        return [
            Outcome(error=full[cell.seed]) if cell.seed in full and len(jobs) > 1 else Outcome([f"picture {cell.seed}"])
            for cell, _ in jobs
        ]

    found = draw_sheet(Sheet(cells=tuple(spec(seed=seed) for seed in range(3))), Recorder(), draw_all)
    assert found == ["picture 0", "picture 1", Missing(index=2, kind="other", detail={"reason": "not_finite"})]
    assert asked == [[0, 1, 2], [1]]


def test_a_failure_that_may_pass_is_the_whole_sheets():
    def draw_all(jobs):
        return [Outcome(error=EngineError("other", "", retryable=True)), *(Outcome(["picture"]) for _ in jobs[1:])]

    with pytest.raises(EngineError):
        draw_sheet(Sheet(cells=CELLS), Recorder(), draw_all)


def test_a_sheet_is_of_one_checkpoint_and_of_single_pictures():
    with pytest.raises(ValueError, match="one checkpoint"):
        Sheet(cells=(spec(), spec(checkpoint="another")))
    with pytest.raises(ValueError, match="one picture"):
        Sheet(cells=(spec(count=2),))
    with pytest.raises(ValueError, match="1 places for 2 cells"):
        Sheet(cells=CELLS[:2], places=(3,))
