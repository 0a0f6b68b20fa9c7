"""The forms of a unit of detail fix: its words, what it finds, its mask, and how finds are drawn."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.domain.detail_forms import bounds, read_drawing, read_finding, read_mask, read_words, shown_pair
from bot.domain.limits import Limits
from bot.domain.values import plain
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.details.cards import Form, number_of
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, text_field, whole_text
from gpu_worker.protocol.specs import DetailFix

__all__ = ["read_unit", "unit_form"]

NUMBER_CHARS = 24


def unit_form(draft: Draft, at: int, form: Form, texts: Texts) -> discord.ui.Modal:
    unit = draft.spec.details[at]
    title = texts(f"details.form.{form.name.lower()}")
    modal = form_of(title, encode(Verb.DETAILS_FORM, draft.id, number_of(at, form)))
    match form:
        case Form.WORDS:
            for name in ("prompt", "negative_prompt"):
                hint = texts(f"details.field.{name}_hint")
                text_field(modal, name, texts(f"details.field.{name}"), hint, getattr(unit, name))
            text_field(
                modal, "classes", texts("details.field.classes"), texts("details.field.classes_hint"), unit.classes,
                paragraph=False, max_length=200,
            )  # fmt: skip
        case Form.FINDING:
            _numbers(modal, unit, texts, "confidence", "only_k", "most")
            _short(modal, texts, "ratio", shown_pair(unit.min_ratio, unit.max_ratio))
        case Form.MASK:
            _numbers(modal, unit, texts, "dilate", "mask_blur", "padding_px")
            _short(modal, texts, "offset", shown_pair(unit.x_offset, unit.y_offset))
        case Form.DRAWING:
            _numbers(modal, unit, texts, "denoising_strength", "steps")
            _short(modal, texts, "cfg_scale", "" if unit.cfg_scale is None else plain(unit.cfg_scale))
            _short(modal, texts, "size", f"{unit.width}x{unit.height}" if unit.width else "")
            schedule = f" {unit.schedule}" if unit.schedule not in (None, "Automatic") else ""
            _short(modal, texts, "sampler", f"{unit.sampler}{schedule}" if unit.sampler else "", 60)
    return modal


def read_unit(unit: DetailFix, form: int, fields: Mapping[str, str], limits: Limits) -> DetailFix:
    """Raises UserFacingError: those of `read_finding`, `read_mask`, `read_drawing`, and `form_unknown`."""
    match form:
        case Form.WORDS:
            whole = {
                name: whole_text(fields.get(name, ""), getattr(unit, name)) for name in ("prompt", "negative_prompt")
            }
            return read_words(unit, {**fields, **whole})
        case Form.FINDING:
            return read_finding(unit, fields)
        case Form.MASK:
            return read_mask(unit, fields)
        case Form.DRAWING:
            return read_drawing(unit, fields, limits)
        case _:
            raise UserFacingError("form_unknown")


def _numbers(modal: discord.ui.Modal, unit: DetailFix, texts: Texts, *names: str) -> None:
    for name in names:
        least, most = bounds(name)
        hint = texts(f"details.field.{name}_hint", least=f"{least:g}", most=f"{most:g}")
        value = plain(getattr(unit, name))
        text_field(modal, name, texts(f"details.field.{name}"), hint, value, paragraph=False, max_length=NUMBER_CHARS)


def _short(modal: discord.ui.Modal, texts: Texts, name: str, value: str, chars: int = NUMBER_CHARS) -> None:
    label, hint = texts(f"details.field.{name}"), texts(f"details.field.{name}_hint")
    text_field(modal, name, label, hint, value, paragraph=False, max_length=chars)
