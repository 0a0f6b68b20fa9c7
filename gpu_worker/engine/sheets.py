"""A sheet: the cells of a grid drawn side by side, each as a job of its own that may fail alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from gpu_worker.engine.apart import Parts
from gpu_worker.engine.denoise import Outcome
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.hooks import Hooks
from gpu_worker.protocol.messages import Missing
from gpu_worker.protocol.specs import DrawTask, Sheet

__all__ = ["draw_sheet"]

log = logging.getLogger(__name__)

T = TypeVar("T")
DrawAll = Callable[[Sequence[tuple[DrawTask, Hooks]]], list[Outcome[list[T]]]]


def draw_sheet(sheet: Sheet, hooks: Hooks, draw_all: DrawAll[T]) -> list[T | Missing]:
    """One entry a cell. Together they may need more memory than each alone, so who ran out of it is tried once more
    by itself.

    Raises the first cell's EngineError where no cell could be drawn, DrawingCancelled, and whatever says that the whole
    sheet has to be drawn again (a retryable EngineError, an error of the hooks, a bug).
    """
    parts = Parts(hooks, len(sheet.cells))
    jobs: list[tuple[DrawTask, Hooks]] = [(cell, parts.hooks_of(n)) for n, cell in enumerate(sheet.cells)]
    outcomes = draw_all(jobs)
    if len(jobs) > 1:
        for n, outcome in enumerate(outcomes):
            if isinstance(outcome.error, EngineError) and outcome.error.kind == "oom":
                log.info("cell %s of %s had too little memory beside the others; it is drawn alone", n, len(jobs))
                outcomes[n] = draw_all([jobs[n]])[0]
    found: list[T | Missing] = [_result(n, outcome) for n, outcome in enumerate(outcomes)]
    if all(isinstance(item, Missing) for item in found):
        outcomes[0].get()
    return found


def _result(index: int, outcome: Outcome[list[T]]) -> T | Missing:
    error = outcome.error
    if isinstance(error, EngineError) and not error.retryable:
        return Missing(index=index, kind=error.kind, detail=error.detail)
    (picture,) = outcome.get()
    return picture
