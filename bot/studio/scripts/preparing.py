"""A script made ready: its cells, the sheets they are drawn in, and what they cost; arithmetic first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.job import work_units
from bot.domain.safety.limits import Wanted
from bot.domain.safety.texts import steering_of
from bot.domain.scripts import Cell, ScriptSpec
from bot.domain.scripts.sheets import sheets_of
from bot.errors import UserFacingError
from bot.studio.safety.amounts import wanted_of
from gpu_worker.protocol.specs import JobSpec, Sheet

__all__ = ["EstimateS", "Prepared", "judged_of", "prepared", "require_size"]

EstimateS = Callable[[str, float], float | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    sheets: Sequence[Sheet]
    judged: Sequence[JobSpec]
    """Of cells that the same rules see, one: all that steers pictures, and every model, is in some of these."""
    wanted: Wanted
    seconds: float | None
    """Of drawing, about; None before anything was learnt of some model."""


def require_size(script: ScriptSpec, most: int) -> None:
    """Raises UserFacingError (`script_too_many`) without making a single cell."""
    if script.size > most:
        # A number of a thousand digits is nobody's business.
        raise UserFacingError("script_too_many", n=min(script.size, 10**9), limit=most)


async def prepared(script: ScriptSpec, most: int, estimate_s: EstimateS) -> Prepared:
    """Raises UserFacingError: `script_too_many`."""
    require_size(script, most)
    return await asyncio.to_thread(_prepared, script, estimate_s)


def _prepared(script: ScriptSpec, estimate_s: EstimateS) -> Prepared:
    cells = script.expanded().cells
    assert sorted(cell.index for cell in cells) == list(range(script.size)), "every place once"
    sheets = sheets_of(cells)
    seconds = [estimate_s(sheet.checkpoint, work_units(sheet)) for sheet in sheets]
    known = [one for one in seconds if one is not None]
    each = [wanted_of(sheet, estimate_s) for sheet in sheets]
    wanted = Wanted(
        pictures=len(cells),
        gpu_s=sum(known),
        side_px=max(one.side_px for one in each),
        steps=max(one.steps for one in each),
        count=1,
    )
    return Prepared(sheets, _judged(cells), wanted, sum(known) if len(known) == len(seconds) else None)


def judged_of(script: ScriptSpec) -> list[JobSpec]:
    """As `Prepared.judged`, of a script that was drawn. Blocks as long as `Script.expanded`."""
    return _judged(script.expanded().cells)


def _judged(cells: Sequence[Cell]) -> list[JobSpec]:
    found: dict[object, JobSpec] = {}
    for cell in cells:
        spec = cell.spec
        steering = steering_of(spec)
        models = (spec.checkpoint, spec.vae, spec.refiner, getattr(spec, "hires", None), spec.control)
        found.setdefault((*steering.whole, *steering.parts, "", *steering.away, models), spec)
    return list(found.values())
