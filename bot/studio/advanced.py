"""The forms behind the panel: groups of parameters, at most five fields each, filled with what the draft says now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import discord

from bot.domain import values
from bot.domain.fields import read_fields
from bot.domain.flags import read_value
from bot.domain.lora_tags import loras_of
from bot.domain.mentions import spoken
from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from bot.domain.wishes import WISHES
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.advanced_fields import KEEP, NONE, current_of, options_of, parameters_behind
from bot.ui.codec import Verb, encode
from bot.ui.forms import (
    RADIO_LIMIT,
    checkbox_field,
    form_of,
    radio_field,
    select_field,
    shown_part,
    text_field,
    upload_field,
)
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Img2Img, JobSpec, Txt2Img

__all__ = [
    "GROUPS", "LORA_FIELD", "Group", "Sent", "advanced_form", "fields_for",
    "groups_for", "hidden_tails", "read_advanced",
]  # fmt: skip


@dataclass(frozen=True)
class Group:
    """`fields` are at most five (of a modal), each a field of `Parameters`, one of the combined ones below, or one of
    `_OTHER`, which change something else of the request."""

    key: str
    fields: tuple[str, ...]


LORA_FIELD = "lora"
"""Before the number of a LoRA of the prompt; their fields are as many as there are LoRAs, up to a form's five."""
GROUPS: tuple[Group, ...] = (
    Group("second_pass", ("hires", "hires_upscaler", "denoising_strength", "hires_steps", "hires_prompt")),
    Group("seeds", ("seed", "variation", "seed_resize", "noise_source", "ensd")),
    Group("sampler", ("schedule", "cfg_scale", "eta", "clip_skip", "emphasis")),
    Group("model", ("checkpoint", "vae", "refiner", "face_restore", "tiling")),
    Group("picture", ("denoising_strength", "resize_mode", "mask_content", "mask_blur", "extend")),
    Group("texts", ("prompt", "negative_prompt")),
    Group("numbers", ("steps", "cfg_scale", "size", "count", "clip_skip")),
    Group("loras", tuple(f"{LORA_FIELD}{n}" for n in range(5))),
    Group("source", ("image", "mask", "keep", "denoising_strength", "resize_mode")),
)
"""Their place in this list is the number in a form's address, so it only ever grows at the end."""
_COMBINED = frozenset({"hires", "variation", "refiner"})
"""Fields that take what the flag of that name takes. `size` takes one in pixels, or an aspect."""
_OTHER = frozenset({"prompt", "negative_prompt", "image", "mask", "keep", *GROUPS[7].fields})
_RADIO = frozenset({"noise_source", "emphasis", "resize_mode", "mask_content", "count", "face_restore", "keep"})
_KEYS = {wish.field: wish for wish in WISHES}


@dataclass(frozen=True)
class Sent:
    """What a sent form wishes. `dropped` are the fields of `Parameters` that it took out: those fall back to their
    defaults. None of the texts: the form did not have it. `weights` are those of LoRAs, empty for one that goes."""

    wishes: Parameters
    dropped: tuple[str, ...] = ()
    prompt: str | None = None
    negative_prompt: str | None = None
    weights: Mapping[str, str] | None = None
    keep: str = KEEP


def groups_for(spec: JobSpec) -> list[int]:
    """The groups that mean something for it: one draws from a picture, or it can have a second pass."""
    left_out = {"second_pass" if isinstance(spec, Img2Img) else "picture"}
    if not loras_of(spec.prompt):
        left_out.add("loras")
    return [number for number, group in enumerate(GROUPS) if group.key not in left_out]


def advanced_form(draft: Draft, number: int, texts: Texts, facts: Sequence[ModelFact]) -> discord.ui.Modal:
    """Raises UserFacingError: `form_unknown` for a group there is not, `tweak_no_loras`."""
    now = parameters_of(draft.spec)
    form = form_of(texts(f"advanced.{_group(number).key}"), encode(Verb.ADVANCED_FORM, draft.id, number))
    fields = fields_for(draft.spec, number)
    if not fields:
        raise UserFacingError("tweak_no_loras")
    for field in fields:
        _add_field(form, field, draft, now, texts, facts)
    return form


def _add_field(
    form: discord.ui.Modal, field: str, draft: Draft, now: Parameters, texts: Texts, facts: Sequence[ModelFact]
) -> None:
    if field.startswith(LORA_FIELD):
        tag = loras_of(draft.spec.prompt)[int(field.removeprefix(LORA_FIELD))]
        hint = texts("advanced.hint.lora")
        text_field(form, field, _short(tag.name), hint, tag.weights, paragraph=False, max_length=40)
        return
    label, hint = texts(f"advanced.field.{field}"), texts(f"advanced.hint.{field}")
    match field:
        case "image" | "mask":
            upload_field(form, field, label, hint)
        case "prompt" | "negative_prompt":
            text_field(form, field, label, hint, getattr(draft.spec, field), required=field == "prompt")
        case "tiling":
            checkbox_field(form, field, label, hint, checked=bool(now.tiling))
        case _:
            options, current = options_of(field, draft, facts, texts), current_of(field, now)
            if options is None:
                text_field(form, field, label, hint, current, paragraph=field == "hires_prompt")
            else:
                short = field in _RADIO and 2 <= len(options) < RADIO_LIMIT
                (radio_field if short else select_field)(form, field, label, hint, options, current or options[0][0])


def read_advanced(draft: Draft, number: int, fields: Mapping[str, str]) -> Sent:
    """What a sent form wishes. Raises UserFacingError: `form_unknown`, `flag_value`, those of `read_fields`."""
    wishes, dropped, weights = Parameters(), list[str](), dict[str, str]()
    tags = loras_of(draft.spec.prompt)
    for field in _group(number).fields:
        if field not in fields:
            continue
        text = fields[field].strip()
        if field.startswith(LORA_FIELD):
            place = int(field.removeprefix(LORA_FIELD))
            if place < len(tags):
                weights[tags[place].name] = text
            continue
        if field in _OTHER:
            continue
        named = parameters_behind(field)
        if text in ("", NONE):
            dropped += named
            continue
        if tail := _tail(field, draft):
            text = (fields[field] + tail).strip()  # a blank may stand where it was cut
        found = _read(field, text)
        wishes = found.over(wishes)
        if field != "face_restore":  # visibility and weight stand in no form, so the choice says nothing of them
            dropped += [name for name in named if getattr(found, name) is None]
    if "seed" in dropped:
        wishes = replace(wishes, seed=-1)
    if "hires_scale" in dropped and "hires_size" in dropped and isinstance(draft.spec, Txt2Img) and draft.spec.hires:
        # Emptied: the second pass goes, though its upscaler and the rest are still filled in.
        wishes = replace(wishes, hires_scale=0.0)
    return Sent(
        wishes,
        tuple(dropped),
        prompt=_text(fields, "prompt", draft.spec.prompt),
        negative_prompt=_text(fields, "negative_prompt", draft.spec.negative_prompt),
        weights=weights or None,
        keep=fields.get("keep") or KEEP,
    )


def _read(field: str, text: str) -> Parameters:
    if field in _COMBINED:
        return read_value(field, text)
    if field != "size":
        return read_fields({_KEYS[field].key: text}).parameters
    try:
        if ":" in text or "/" in text:
            return Parameters(aspect=values.aspect(text))
        width, height = values.size(text)
    except ValueError as error:
        raise UserFacingError("parameter_value", name="Size", value=spoken(text), example="512x768") from error
    return Parameters(width=width, height=height)


def _text(fields: Mapping[str, str], name: str, recorded: str) -> str | None:
    typed = fields.get(name)
    return None if typed is None else typed + recorded[len(shown_part(recorded)) :]


def fields_for(spec: JobSpec, number: int) -> tuple[str, ...]:
    """Those of a group that do something. Raises UserFacingError (`form_unknown`)."""
    group = _group(number)
    if group.key == "loras":
        return group.fields[: len(loras_of(spec.prompt))]
    pictured = isinstance(spec, Img2Img)
    masked = pictured and spec.mask is not None
    useless = {"mask_content", "mask_blur"} if not masked else set[str]()
    if not pictured and group.key == "source":
        useless |= {"keep"}
    return tuple(field for field in group.fields if field not in useless)


def hidden_tails(draft: Draft, number: int) -> bool:
    """Whether a text of this form is longer than it could show."""
    return any(_tail(field, draft) for field in fields_for(draft.spec, number))


def _tail(field: str, draft: Draft) -> str:
    match field:
        case "prompt" | "negative_prompt":
            recorded = str(getattr(draft.spec, field))
        case "hires_prompt" if isinstance(draft.spec, Txt2Img) and draft.spec.hires is not None:
            recorded = draft.spec.hires.prompt or ""
        case _:
            return ""
    return recorded[len(shown_part(recorded)) :]


def _group(number: int) -> Group:
    if not 0 <= number < len(GROUPS):
        raise UserFacingError("form_unknown")
    return GROUPS[number]


def _short(name: str) -> str:
    """A label that shows both ends of a long name."""
    return name if len(name) <= 45 else f"{name[:25]}…{name[-19:]}"
