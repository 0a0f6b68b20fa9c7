"""The forms of the desk of regions, and what a sent one says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import discord

from bot.domain.layouts.parts import Arrangement, Part, one_text, parts_of_text
from bot.domain.layouts.rectangles import WEIGHT, for_count, read_rectangle, read_weight, rectangle_text
from bot.domain.mentions import spoken
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.layouts.cards import Step, region_name
from bot.ui.codec import Verb, encode
from bot.ui.forms import checkbox_field, form_of, radio_field, text_field, whole_text
from gpu_worker.language.regions import RegionSyntaxError, regions_of_params, regions_text
from gpu_worker.protocol.specs import Region

__all__ = ["added", "extension_said", "layout_form", "optioned", "region_changed", "region_form", "retold"]

KEEP, COPY, REMOVE = "keep", "copy", "remove"
MOST_STEP = 150
_OWN_CHARS = 2000


def region_form(draft: Draft, at: int, texts: Texts) -> discord.ui.Modal:
    """Raises UserFacingError (`regions_gone`)."""
    arrangement = Arrangement.of(draft.spec)
    if not 0 <= at < len(arrangement.parts):
        raise UserFacingError("regions_gone")
    part = arrangement.parts[at]
    form = form_of(region_name(at, part, texts), encode(Verb.LAYOUT_FORM, draft.id, Step.REGION + at))
    _region_fields(form, part, texts)
    if len(arrangement.parts) > 1:
        options = [(KEEP, texts("regions.do_keep")), (COPY, texts("regions.do_copy"))]
        options.append((REMOVE, texts("regions.do_remove")))
        radio_field(form, "do", texts("regions.do"), "", options, KEEP)
    return form


def layout_form(draft: Draft, step: Step, texts: Texts) -> discord.ui.Modal:
    arrangement = Arrangement.of(draft.spec)
    form = form_of(texts(f"regions.form.{step.name.lower()}"), encode(Verb.LAYOUT_FORM, draft.id, step))
    match step:
        case Step.ADD:
            others = len(arrangement.parts)
            _region_fields(form, Part("", for_count(others)[-1]), texts)
        case Step.TEXT:
            text_field(
                form, "prompt", texts("regions.field.prompt"), texts("regions.field.prompt_hint"), draft.spec.prompt,
                required=True,
            )  # fmt: skip
            negative = draft.spec.negative_prompt
            text_field(
                form, "negative", texts("regions.field.negative"), texts("regions.field.negative_hint"), negative
            )
        case Step.OPTIONS:
            text_field(
                form, "end", texts("regions.field.end"), texts("regions.field.end_hint", steps=draft.spec.steps),
                str(arrangement.end_step), paragraph=False, max_length=5,
            )  # fmt: skip
            checkbox_field(
                form, "apart", texts("regions.field.apart"), texts("regions.field.apart_hint"),
                checked=arrangement.loras_apart,
            )  # fmt: skip
        case _:
            said = regions_text(arrangement.regions) if arrangement.regions is not None else ""
            text_field(
                form, "syntax", texts("regions.extension"), texts("regions.field.syntax_hint"), said,
                max_length=_OWN_CHARS, required=True,
            )  # fmt: skip
    return form


def region_changed(draft: Draft, at: int, fields: Mapping[str, str]) -> Arrangement:
    """Raises UserFacingError: `regions_gone`, and what refuses a text, a rectangle or a weight."""
    arrangement = Arrangement.of(draft.spec)
    if not 0 <= at < len(arrangement.parts):
        raise UserFacingError("regions_gone")
    part = _read(fields, arrangement.parts[at])
    match fields.get("do"):
        case "remove":
            return arrangement.removed(at)
        case "copy":
            arrangement = arrangement.changed(at, part).added(part)
            *parts, copy = arrangement.parts
            return replace(arrangement, parts=(*parts[: at + 1], copy, *parts[at + 1 :]))
        case _:
            return arrangement.changed(at, part)


def added(draft: Draft, fields: Mapping[str, str]) -> Arrangement:
    """Raises as `region_changed`, and UserFacingError (`regions_many`)."""
    arrangement = Arrangement.of(draft.spec)
    return arrangement.added(_read(fields, Part("", for_count(len(arrangement.parts))[-1])))


def retold(draft: Draft, fields: Mapping[str, str]) -> tuple[Arrangement, str]:
    """The whole text, and the negative prompt. New parts stand everywhere until they get a place."""
    arrangement = Arrangement.of(draft.spec)
    prompt = whole_text(fields.get("prompt", ""), draft.spec.prompt)
    areas = [*(part.region for part in arrangement.parts)]
    texts = parts_of_text(prompt)
    areas += [Region()] * len(texts)
    parts = tuple(Part(text, area) for text, area in zip(texts, areas, strict=False))
    return replace(arrangement, parts=parts), whole_text(fields.get("negative", ""), draft.spec.negative_prompt)


def optioned(draft: Draft, fields: Mapping[str, str]) -> Arrangement:
    """Raises UserFacingError (`regions_step`)."""
    typed = fields.get("end", "").strip()
    if not (typed.isdecimal() and len(typed) < 6 and int(typed) <= MOST_STEP):
        raise UserFacingError("regions_step", text=spoken(typed[:20]), most=MOST_STEP)
    apart = fields.get("apart") == "True"
    return replace(Arrangement.of(draft.spec), end_step=int(typed), loras_apart=apart)


def extension_said(text: str, prompt: str, *, loras_apart: bool = False) -> Arrangement:
    """The extension's own line over a prompt's parts; missing words are added without words. Raises UserFacingError
    (`regions_syntax`)."""
    try:
        regions = regions_of_params(" ".join(text.split()))
    except RegionSyntaxError as error:
        raise UserFacingError("regions_syntax", part=spoken(error.part[:40]), problem=error.problem) from error
    texts = parts_of_text(prompt)
    texts += [""] * (len(regions.areas) - len(texts))
    areas = [*regions.areas, *[Region()] * len(texts)]
    parts = tuple(Part(words, area) for words, area in zip(texts, areas, strict=False))
    return Arrangement(parts, regions.end_step, loras_apart)


def _region_fields(form: discord.ui.Modal, part: Part, texts: Texts) -> None:
    text_field(
        form, "text", texts("regions.field.text"), texts("regions.field.text_hint"), part.text, max_length=_OWN_CHARS
    )
    text_field(
        form, "place", texts("regions.field.place"), texts("regions.field.place_hint"), rectangle_text(part.region),
        paragraph=False, max_length=60,
    )  # fmt: skip
    text_field(
        form, "weight", texts("regions.field.weight"), texts("regions.field.weight_hint"), f"{part.region.weight:g}",
        paragraph=False, max_length=8,
    )  # fmt: skip


def _read(fields: Mapping[str, str], part: Part) -> Part:
    """A place that was not changed stays exact; an emptied one is the whole picture."""
    shown, tail = part.text[:_OWN_CHARS], part.text[_OWN_CHARS:]
    typed = fields.get("text", "")
    text = part.text if typed == shown else one_text(typed + tail)
    place = fields.get("place", "").strip()
    weight = read_weight(fields["weight"]) if fields.get("weight", "").strip() else WEIGHT
    region = part.region
    if place != rectangle_text(region):
        region = read_rectangle(place) if place else Region()
    return Part(text, region.model_copy(update={"weight": weight}))
