"""What the guide would change after a finding: by kohya's names, so that a form, a sentence and a file agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from bot.domain.training.diagnosis import RAW_EFFECT, Finding, FindingKind
from bot.domain.training.wishes import Part
from gpu_worker.language.training.parameters import Parameters

__all__ = ["Changes", "change_lines", "suggested"]

Changes = Mapping[tuple[Part, str], Any]

NOTHING_LEARNT = RAW_EFFECT / 5
"""Below this more of the same would take weeks."""
DIM_LEAST = 4
EPOCHS_MAX = 10_000
STEPS_MAX = 1_000_000


def suggested(finding: Finding, given: Parameters) -> Changes:
    """New values of what a retry is to change; empty where the parameters leave nothing to change."""
    return _CHANGES[finding.kind](finding, given)


def change_lines(changes: Changes, given: Parameters) -> list[str]:
    """`unet_lr 0.0001 → 3.3e-05`, for whoever decides."""
    return [f"{key} {_told(getattr(given, key))} → {_told(value)}" for (_, key), value in changes.items()]


def _told(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _rates(given: Parameters, factor: float) -> Changes:
    if given.optimizer_type == "Prodigy":  # finds its rate itself; this is the factor of it
        return {("parameters", "d_coef"): _rounded(min(100.0, (given.d_coef or 1.0) * factor))}
    named: dict[tuple[Part, str], Any] = {}
    for key in ("learning_rate", "unet_lr", "text_encoder_lr"):
        value = getattr(given, key)
        if value and (key != "learning_rate" or given.unet_lr is None or given.text_encoder_lr is None):
            named["parameters", key] = _rounded(min(10.0, value * factor))
    return named


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _length(given: Parameters, factor: float) -> Changes:
    if given.max_train_epochs is not None:
        epochs = max(1, min(EPOCHS_MAX, round(given.max_train_epochs * factor)))
        return {("parameters", "max_train_epochs"): epochs} if epochs != given.max_train_epochs else {}
    steps = max(1, min(STEPS_MAX, round(given.max_train_steps * factor)))
    return {("parameters", "max_train_steps"): steps} if steps != given.max_train_steps else {}


def _raw(finding: Finding, given: Parameters) -> Changes:
    hopeless = finding.numbers.get("effect", 0.0) < NOTHING_LEARNT
    return _rates(given, 3) if hopeless else _length(given, 2)


def _slower(_finding: Finding, given: Parameters) -> Changes:
    return _rates(given, 1 / 3)


def _memorised(_finding: Finding, given: Parameters) -> Changes:
    return _length(given, 0.5) or _rates(given, 1 / 3)


def _inflexible(_finding: Finding, given: Parameters) -> Changes:
    dim = given.network_dim // 2
    if dim < DIM_LEAST:
        return _rates(given, 0.5)
    return {("parameters", "network_dim"): dim, ("parameters", "network_alpha"): _rounded(given.alpha / 2)}


_CHANGES: Mapping[FindingKind, Callable[[Finding, Parameters], Changes]] = MappingProxyType(
    {
        "diverged": _slower,
        "raw": _raw,
        "overcooked": _slower,
        "astray": _slower,
        "memorised": _memorised,
        "inflexible": _inflexible,
    }
)
