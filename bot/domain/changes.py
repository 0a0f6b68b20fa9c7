"""What a request does differently from the one it came from: `Steps 20 → 30`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from bot.domain.control.differences import unit_changes
from bot.domain.detail_fixes import detail_changes
from bot.domain.layouts.keeping import region_changes
from bot.domain.lora_tags import loras_of, without_loras
from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from bot.domain.values import plain
from bot.domain.wishes import WISHES
from gpu_worker.language.names import AUTOMATIC, effective_schedule
from gpu_worker.protocol.specs import Img2Img, JobSpec

__all__ = ["Change", "Words", "changed_wishes", "changes", "sampler_label"]

_TOGETHER = frozenset({
    "width", "height", "sampler", "schedule", "variation_seed", "variation_strength", "detail_fix",
})  # fmt: skip
_TEXTS = ("hires_prompt", "hires_negative")
_NOT_REMEMBERED = (
    "seed", "variation_seed", "variation_strength", "seed_resize", "aspect", "extend", *_TEXTS,
)  # fmt: skip
"""What belongs to one picture."""
_BETWEEN = re.compile(r"\s*(?:,|\n|\bBREAK\b)\s*")


@dataclass(frozen=True, slots=True)
class Change:
    """`key` is A1111's name of the parameter; an empty value is none. For pictures (`Picture`, `Mask`) and whole
    control units both are empty but for a `+` where there is one."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Words:
    """What came into a prompt and what went; a mere change of order has neither."""

    key: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


def changes(before: JobSpec, after: JobSpec) -> list[Change | Words]:
    """Texts first, then LoRAs, then parameters in the order of A1111's line, control units, regions, pictures."""
    found: list[Change | Words] = []
    for key, one, two in (
        ("Prompt", before.prompt, after.prompt),
        ("Negative prompt", before.negative_prompt, after.negative_prompt),
    ):
        if without_loras(one) != without_loras(two):
            found.append(_words(key, without_loras(one), without_loras(two)))
    found += _loras(before.prompt, after.prompt)
    old, new = parameters_of(before), parameters_of(after)
    if (before.width, before.height) != (after.width, after.height):
        found.append(Change("Size", f"{before.width}×{before.height}", f"{after.width}×{after.height}"))
    if sampler_label(before) != sampler_label(after):
        found.append(Change("Sampler", sampler_label(before), sampler_label(after)))
    if before.variations != after.variations:
        found.append(Change("Variation", _path(before), _path(after)))
    for wish in WISHES:
        one, two = getattr(old, wish.field), getattr(new, wish.field)
        if wish.field not in _TOGETHER and one != two:
            if wish.field in _TEXTS:
                found.append(_words(wish.key, one or "", two or ""))
            else:
                found.append(Change(wish.key, _said(one, wish.words), _said(two, wish.words)))
    found += [Change(*each) for each in unit_changes(before.control, after.control)]
    found += [Change(*each) for each in detail_changes(before.details, after.details)]
    found += [Change(*each) for each in region_changes(before.regions, after.regions)]
    return found + _pictures(before, after)


def changed_wishes(before: JobSpec, after: JobSpec) -> Parameters:
    """The parameters that were changed and that mean something for another picture, too."""
    return parameters_of(after).but_for(parameters_of(before)).without(*_NOT_REMEMBERED)


def sampler_label(spec: JobSpec) -> str:
    """As people name it: `DPM++ 2M Karras`, but `Euler a`."""
    schedule = effective_schedule(spec.sampler, spec.schedule)
    return spec.sampler if schedule in (AUTOMATIC, "Uniform") else f"{spec.sampler} {schedule}"


def _said(value: object, words: tuple[str, str]) -> str:
    return "" if value is None else plain(value, words)


def _words(key: str, before: str, after: str) -> Words:
    one, two = (Counter(part for part in _BETWEEN.split(text) if part) for text in (before, after))
    return Words(key, tuple((two - one).elements()), tuple((one - two).elements()))


def _loras(before: str, after: str) -> list[Change | Words]:
    one, two = ({tag.name: tag.weights for tag in loras_of(text)} for text in (before, after))
    return [
        Change(f"LoRA {name}", one.get(name, ""), two.get(name, ""))
        for name in dict.fromkeys((*one, *two))
        if one.get(name) != two.get(name)
    ]


def _path(spec: JobSpec) -> str:
    return " + ".join(f"{step.strength:g}" for step in spec.variations)


def _pictures(before: JobSpec, after: JobSpec) -> list[Change | Words]:
    def held(spec: JobSpec) -> tuple[str, str]:
        if not isinstance(spec, Img2Img):
            return "", ""
        return spec.image.sha256, spec.mask.image.sha256 if spec.mask else ""

    return [
        Change(key, "+" if one else "", "+" if two else "")
        for key, one, two in zip(("Picture", "Mask"), held(before), held(after), strict=True)
        if one != two
    ]
