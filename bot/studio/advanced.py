"""The forms behind "advanced": four groups of parameters, five fields each, filled with what the draft says now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import discord

from bot.domain.fields import read_fields
from bot.domain.flags import read_value
from bot.domain.models import UPSCALERS, face_models, names_of
from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from bot.domain.values import plain
from bot.domain.wishes import EMPHASES, MASK_CONTENTS, NOISE_SOURCES, RESIZE_MODES, WISHES
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.ui.codec import Verb, encode
from bot.ui.forms import NAME_LIMIT, OPTIONS_LIMIT, form_of, select_field, shown_part, text_field
from gpu_worker.language.names import SCHEDULES
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Img2Img, JobSpec, Txt2Img

__all__ = ["GROUPS", "advanced_form", "groups_for", "hidden_tails", "read_advanced"]


@dataclass(frozen=True)
class Group:
    """`fields` are at most five (of a modal), each a field of `Parameters` or one of the combined ones below."""

    key: str
    fields: tuple[str, ...]


GROUPS: tuple[Group, ...] = (
    Group("second_pass", ("hires", "hires_upscaler", "denoising_strength", "hires_steps", "hires_prompt")),
    Group("seeds", ("seed", "variation", "seed_resize", "noise_source", "ensd")),
    Group("sampler", ("schedule", "cfg_scale", "eta", "clip_skip", "emphasis")),
    Group("model", ("checkpoint", "vae", "refiner", "face_restore", "tiling")),
    Group("picture", ("denoising_strength", "resize_mode", "mask_content", "mask_blur", "extend")),
)
"""Their place in this list is the number in a form's address, so it only ever grows at the end."""
_COMBINED = frozenset({"hires", "variation", "refiner"})
"""Fields that take what the flag of that name takes."""
_KEYS = {wish.field: wish for wish in WISHES}
_NONE = "-"
"""A choice of a list that takes a wish away; Discord knows no empty value."""


def groups_for(spec: JobSpec) -> list[int]:
    """The groups that mean something for it: one draws from a picture, or it can have a second pass."""
    left_out = "second_pass" if isinstance(spec, Img2Img) else "picture"
    return [number for number, group in enumerate(GROUPS) if group.key != left_out]


def advanced_form(draft: Draft, number: int, texts: Texts, facts: Sequence[ModelFact]) -> discord.ui.Modal:
    """Raises UserFacingError (`form_unknown`) for a group there is not."""
    now = parameters_of(draft.spec)
    form = form_of(texts(f"advanced.{_group(number).key}"), encode(Verb.ADVANCED_FORM, draft.id, number))
    for field in fields_for(draft.spec, number):
        label, hint, current = texts(f"advanced.field.{field}"), texts(f"advanced.hint.{field}"), _current(field, now)
        options = _options(field, facts, texts)
        if options is None:
            text_field(form, field, label, hint, current, paragraph=field == "hires_prompt")
        else:
            select_field(form, field, label, hint, options, current or _NONE)
    return form


def read_advanced(draft: Draft, number: int, fields: Mapping[str, str]) -> tuple[Parameters, tuple[str, ...]]:
    """What a sent form wishes, and which fields of `Parameters` it took out: those fall back to their defaults.

    Raises UserFacingError: `form_unknown`, `flag_value`, those of `read_fields`.
    """
    wishes, dropped = Parameters(), list[str]()
    for field in _group(number).fields:
        if field not in fields:
            continue
        text = fields[field].strip()
        named = _fields_of(field)
        if text in ("", _NONE):
            dropped += named
            continue
        if tail := _tail(field, draft):
            text = (fields[field] + tail).strip()  # a blank may stand where it was cut
        found = read_value(field, text) if field in _COMBINED else read_fields({_KEYS[field].key: text}).parameters
        wishes = found.over(wishes)
        if field != "face_restore":  # visibility and weight stand in no form, so the choice says nothing of them
            dropped += [name for name in named if getattr(found, name) is None]
    if "seed" in dropped:
        wishes = replace(wishes, seed=-1)
    if "hires_scale" in dropped and "hires_size" in dropped and isinstance(draft.spec, Txt2Img) and draft.spec.hires:
        # Emptied: the second pass goes, though its upscaler and the rest are still filled in.
        wishes = replace(wishes, hires_scale=0.0)
    return wishes, tuple(dropped)


def fields_for(spec: JobSpec, number: int) -> tuple[str, ...]:
    """Those of a group that do something. Raises UserFacingError (`form_unknown`)."""
    masked = isinstance(spec, Img2Img) and spec.mask is not None
    return tuple(field for field in _group(number).fields if masked or not field.startswith("mask_"))


def hidden_tails(draft: Draft, number: int) -> bool:
    """Whether a text of this form is longer than it could show."""
    return any(_tail(field, draft) for field in fields_for(draft.spec, number))


def _tail(field: str, draft: Draft) -> str:
    if field != "hires_prompt" or not isinstance(draft.spec, Txt2Img) or draft.spec.hires is None:
        return ""
    recorded = draft.spec.hires.prompt or ""
    return recorded[len(shown_part(recorded)) :]


def _group(number: int) -> Group:
    if not 0 <= number < len(GROUPS):
        raise UserFacingError("form_unknown")
    return GROUPS[number]


def _fields_of(field: str) -> tuple[str, ...]:
    match field:
        case "hires":
            return "hires_scale", "hires_size"
        case "variation":
            return "variation_seed", "variation_strength"
        case "refiner":
            return "refiner", "refiner_at"
        case "face_restore":
            return "face_restore", "face_visibility", "face_weight"
        case _:
            return (field,)


def _current(field: str, now: Parameters) -> str:
    match field:
        case "hires":
            return plain(now.hires_size or (now.hires_scale if now.hires_scale is not None else ""))
        case "variation" if now.variation_strength is not None:
            return f"{now.variation_seed}:{plain(now.variation_strength)}"
        case "variation":
            return ""
        case "refiner":
            return f"{now.refiner}@{plain(now.refiner_at)}" if now.refiner else ""
        case _:
            wish = getattr(now, field)
            return "" if wish is None else plain(wish)


def _options(field: str, facts: Sequence[ModelFact], texts: Texts) -> list[tuple[str, str]] | None:
    """(value, label) of a list; None where a text is typed, also where a list would not hold all there are."""
    none = (_NONE, texts("advanced.default"))
    match field:
        case "hires_upscaler":
            names = [*UPSCALERS, *names_of("upscaler", facts)]
        case "noise_source":
            names = [*NOISE_SOURCES]
        case "schedule":
            return [(name, name) for name in SCHEDULES]
        case "emphasis":
            names = [*EMPHASES]
        case "resize_mode":
            names = [*RESIZE_MODES]
        case "mask_content":
            names = [*MASK_CONTENTS]
        case "checkpoint":
            names = names_of("checkpoint", facts)
            return [(name, name) for name in names] if names and _fit(names) else None
        case "vae":
            names = ["None", *names_of("vae", facts)]
        case "face_restore":
            names = face_models(facts)
        case "tiling":
            return [none, ("True", texts("advanced.on"))]
        case _:
            return None
    return [none, *((name, name) for name in names)] if _fit(names) else None


def _fit(names: Sequence[str]) -> bool:
    return len(names) < OPTIONS_LIMIT and all(len(name) <= NAME_LIMIT for name in names)
