"""Axes of a LoRA: which one, and its weight. A1111 has none (there people search and replace in the tag); ours need no
tag to begin with, know the names, and have a title that says what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.domain.models import NONE, find_lora, names_of
from bot.domain.plots.applying import Given
from bot.domain.plots.axis_type import AxisType
from bot.domain.plots.checking import PlotContext
from bot.errors import UserFacingError
from gpu_worker.language.networks import LORA_KINDS
from gpu_worker.language.plots import Value
from gpu_worker.protocol.specs import JobSpec

__all__ = ["LORA", "LORA_AXES", "LORA_WEIGHT"]

LORA = "LoRA"
LORA_WEIGHT = "LoRA weight"
WEIGHT_MAX = 10.0
_TAG = re.compile(r"<(\w+):([^>:]+)(?::([^>]*))?>")
_BLANKS = re.compile(r"[ \t]{2,}")
_COST = 0.5
"""Between loading a checkpoint and nothing: sheets are made of cells of one LoRA."""


def _first(prompt: str) -> re.Match[str] | None:
    return next((tag for tag in _TAG.finditer(prompt) if tag[1].lower() in LORA_KINDS), None)


def _applies_lora(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """In place of the first LoRA, with its weights; of a prompt without any at its end, with weight 1."""
    tag, prompt = _first(spec.prompt), spec.prompt
    if tag is None:
        first, word, rest = prompt.partition(" AND ")
        changed = prompt if value == NONE else f"{first.rstrip()} <lora:{value}:1>{word}{rest}"
    else:
        other = "" if value == NONE else f"<lora:{value}:{tag[3] or '1'}>"
        changed = prompt[: tag.start()] + other + prompt[tag.end() :]
    return spec.model_copy(update={"prompt": _BLANKS.sub(" ", changed).strip()})


def _applies_weight(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """Of the first LoRA, for text encoder and UNet alike; a cell without one stays as it is."""
    tag = _first(spec.prompt)
    if tag is None:
        return spec
    prompt = spec.prompt[: tag.start()] + f"<{tag[1]}:{tag[2]}:{value:g}>" + spec.prompt[tag.end() :]
    return spec.model_copy(update={"prompt": prompt})


def _lora(value: Value, context: PlotContext) -> Value:
    """Raises as `find_lora`; whether it fits is asked of each cell."""
    return NONE if str(value).casefold() == NONE.casefold() else find_lora(str(value), context.facts).name


def _weight(value: Value, _context: PlotContext) -> Value:
    """Raises `parameter_range`."""
    assert isinstance(value, int | float)
    if not -WEIGHT_MAX <= value <= WEIGHT_MAX:
        limit = f"{WEIGHT_MAX:g}"
        raise UserFacingError("parameter_range", name=LORA_WEIGHT, wish=f"{value:g}", least=f"-{limit}", most=limit)
    return value


def _loras(context: PlotContext) -> Sequence[str]:
    return (NONE, *names_of("lora", context.facts))


LORA_AXES: tuple[AxisType, ...] = (
    AxisType(LORA, "text", _applies_lora, _lora, cost=_COST, shown="base name", choices=_loras,
             rank=2),  # after texts are replaced: a trigger word often is a part of the LoRA's name
    AxisType(LORA_WEIGHT, "decimal", _applies_weight, _weight, needs="lora", rank=3),
)  # fmt: skip
