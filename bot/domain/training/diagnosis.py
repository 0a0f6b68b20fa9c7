"""Whether a training went well, as the guide judges it: raw, overcooked, inflexible; told from what was measured.

Every bound is named with where it comes from. "Bench" is `python -m bench.training_findings`: trainings of the demo
checkpoint that go well or badly in a known way. Pictures of large checkpoints differ from those, so a finding is a hint
with its numbers, and never changes anything by itself.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Diagnosis", "Finding", "FindingKind", "Looked", "Measures", "diagnosed"]

FindingKind = Literal["diverged", "raw", "overcooked", "astray", "memorised", "inflexible"]

RAW_EFFECT = 0.03
"""Bench: 0.004 to 0.018 at a twentieth of a good rate and too few steps; 0.09 to 0.12 for what is learnt."""
OVERCOOKED_DRIFT = 1.35
"""Bench: up to 1.13 for what went well; 1.4 to 2.1 with ten times its rate, or far too long."""
ASTRAY_RATIO = 1.1
"""Bench: 0.80 to 0.87 of the base's own distance for what went well; 1.2 to 1.5 once the pictures have fallen apart."""
SPREAD_LEAST = 0.7
"""Bench: 0.97 and more for what went well; 0.07 to 0.31 where five pictures on one background were learnt far too long,
0.5 to 0.6 on the way there."""
BASE_SPREAD_LEAST = 0.08
"""Prompts whose pictures differ less without any LoRA tell nothing. Bench: the base's own is 0.30."""
MEMORISED_NEAREST = 0.03
"""The same picture saved again as JPEG, or moved by a pixel, is less than 0.02 away; bench: 0.15 and more."""
DIVERGED_RATIO = 1.5
CURVE_PARTS = 5


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Looked(_Kept):
    """What an epoch draws at weight 1, on the mean over prompts, beside what the base alone draws from the same
    noise."""

    name: str
    effect: float
    """How far its pictures are from the base's own (`difference`)."""
    saturation: float
    contrast: float
    sharpness: float
    """Each how many times outside of what the base and the data set have: 1 within."""
    spread: float | None = None
    """How far pictures of different prompts are apart, times as far as the base's; None where there is one prompt."""
    nearest: float | None = None
    """How far a picture is from the most similar one of the data set; None where that is gone."""

    @property
    def drift(self) -> float:
        return max(self.saturation, self.contrast, self.sharpness)


class Measures(_Kept):
    epochs: tuple[Looked, ...] = ()
    """In the order of training; empty before they were compared."""
    base_spread: float | None = None
    base_nearest: float | None = None
    curve: tuple[float, ...] = ()


class Finding(_Kept):
    kind: FindingKind
    numbers: dict[str, float]
    """What was measured, and the bound, by the names in its sentence."""
    epoch: str | None = None
    """The epoch that is meant: the first that is overcooked, the best of those that are not."""


class Diagnosis(_Kept):
    findings: tuple[Finding, ...] = ()
    """The gravest first; none is good news."""
    best: str | None = None
    """The epoch to begin with: the furthest on that nothing is wrong with."""
    measures: Measures = Measures()


def diagnosed(measures: Measures) -> Diagnosis:
    findings: list[Finding] = []
    diverged = _diverged(measures.curve)
    if diverged is not None:
        findings.append(diverged)
    if not measures.epochs:
        return Diagnosis(findings=tuple(findings), measures=measures)
    spread_known = measures.base_spread is not None and measures.base_spread >= BASE_SPREAD_LEAST
    sound = [
        one
        for one in measures.epochs
        if not (_wrong(one, spread_known=spread_known) or _astray(one, measures.base_nearest))
    ]
    best = sound[-1] if sound else None
    last = measures.epochs[-1]
    if max(one.effect for one in measures.epochs) < RAW_EFFECT:
        findings.append(Finding(kind="raw", numbers={"effect": last.effect, "least": RAW_EFFECT}, epoch=last.name))
        best = last
    overcooked = next((one for one in measures.epochs if one.drift > OVERCOOKED_DRIFT), None)
    if overcooked is not None:
        numbers = {"drift": max(one.drift for one in measures.epochs), "most": OVERCOOKED_DRIFT}
        findings.append(Finding(kind="overcooked", numbers=numbers, epoch=overcooked.name))
    astray = next((one for one in measures.epochs if _astray(one, measures.base_nearest)), None)
    if astray is not None and measures.base_nearest:
        ratio = max((one.nearest or 0.0) / measures.base_nearest for one in measures.epochs)
        findings.append(Finding(kind="astray", numbers={"ratio": ratio, "most": ASTRAY_RATIO}, epoch=astray.name))
    copied = next((one for one in measures.epochs if _copies(one)), None)
    if copied is not None:
        numbers = {"nearest": copied.nearest or 0.0, "least": MEMORISED_NEAREST}
        findings.append(Finding(kind="memorised", numbers=numbers, epoch=copied.name))
    stiff = next((one for one in measures.epochs if spread_known and _stiff(one)), None)
    if stiff is not None:
        numbers = {"spread": min(one.spread or 1.0 for one in measures.epochs), "least": SPREAD_LEAST}
        findings.append(Finding(kind="inflexible", numbers=numbers, epoch=stiff.name))
    return Diagnosis(findings=tuple(findings), best=best.name if best is not None else None, measures=measures)


def _wrong(one: Looked, *, spread_known: bool) -> bool:
    return one.drift > OVERCOOKED_DRIFT or _copies(one) or (spread_known and _stiff(one))


def _astray(one: Looked, base_nearest: float | None) -> bool:
    """Further from what it should learn than without having learnt anything."""
    return one.nearest is not None and base_nearest is not None and one.nearest > base_nearest * ASTRAY_RATIO


def _copies(one: Looked) -> bool:
    return one.nearest is not None and one.nearest < MEMORISED_NEAREST


def _stiff(one: Looked) -> bool:
    return one.spread is not None and one.spread < SPREAD_LEAST


def _diverged(curve: Sequence[float]) -> Finding | None:
    """The loss rises again, and stays up: fifths of the run are compared, for single steps differ by far more."""
    if len(curve) < 2 * CURVE_PARTS:
        return None
    if any(not math.isfinite(loss) for loss in curve):
        return Finding(kind="diverged", numbers={"ratio": DIVERGED_RATIO, "most": DIVERGED_RATIO})
    size = len(curve) / CURVE_PARTS
    parts = [statistics.fmean(curve[round(at * size) : round((at + 1) * size)]) for at in range(CURVE_PARTS)]
    lowest = min(parts)
    ratio = parts[-1] / lowest if lowest > 0 else 1.0
    if ratio <= DIVERGED_RATIO:
        return None
    return Finding(kind="diverged", numbers={"ratio": ratio, "most": DIVERGED_RATIO})
