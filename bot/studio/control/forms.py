"""The forms of a control unit: its pictures, its numbers, and how it looks at its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from bot.domain.control.kinds import KINDS
from bot.domain.control.units import PASSES, RESIZES, read_number, sliders
from bot.domain.values import plain
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.control.cards import AUTO, Form, number_of
from bot.ui.codec import Verb, encode
from bot.ui.forms import checkbox_field, form_of, radio_field, select_field, text_field, upload_field
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.specs import ControlUnit, Img2Img

__all__ = ["KEEP", "NO_MASK", "SOURCE", "read_numbers", "read_sizes", "unit_form"]

SEARCH_CHARS = 100
KEEP, NO_MASK, SOURCE = "keep", "no_mask", "source"
_RANGES = (("weight", "Weight", 0.0, 2.0), ("start", "Guidance Start", 0.0, 1.0), ("end", "Guidance End", 0.0, 1.0))
_RESOLUTION = ("Processor Res", 64.0, 2048.0)


def unit_form(draft: Draft, at: int, form: Form, texts: Texts) -> discord.ui.Modal:
    """`at` may be one more than there are: a new unit, whose form is that of its pictures."""
    units = draft.spec.control
    title = texts("control.form.add") if at == len(units) else texts(f"control.form.{form.name.lower()}")
    modal = form_of(title, encode(Verb.CONTROL_FORM, draft.id, number_of(at, form)))
    if at == len(units):
        required = not isinstance(draft.spec, Img2Img)
        hint = texts("control.field.image_hint" if required else "control.field.image_or_source")
        upload_field(modal, "image", texts("control.field.image"), hint, required=required)
        kinds = [(AUTO, texts("control.kind_auto")), *((kind.name, kind.name) for kind in KINDS)]
        select_field(modal, "kind", texts("control.field.kind"), texts("control.field.kind_hint"), kinds, AUTO)
        upload_field(modal, "mask", texts("control.field.mask"), texts("control.field.mask_hint"))
        return modal
    unit = units[at]
    match form:
        case Form.PICTURES:
            _pictures(modal, draft, unit, texts)
        case Form.NUMBERS:
            _numbers(modal, unit, texts)
        case Form.SIZES:
            _sizes(modal, unit, texts)
        case Form.MODEL | Form.PREPROCESSOR:
            text_field(
                modal, "text", texts("tweak.search_label"), texts("control.field.search_hint"), "", paragraph=False,
                required=True, max_length=SEARCH_CHARS,
            )  # fmt: skip
    return modal


def read_numbers(unit: ControlUnit, fields: Mapping[str, str]) -> ControlUnit:
    """An emptied field is the default. Raises UserFacingError: `control_number`, `control_order`."""
    found: dict[str, Any] = {}
    for name, label, low, high in _RANGES:
        default = float(ControlUnit.model_fields[name].default)
        wish = read_number(label, fields.get(name, ""), low, high)
        found[name] = default if wish is None else wish
    for name, slider in sliders(unit):
        found[name] = read_number(slider.label, fields.get(name, ""), slider.low, slider.high)
    if found["start"] > found["end"]:
        raise UserFacingError("control_order", start=f"{found['start']:g}", end=f"{found['end']:g}")
    return unit.model_copy(update=found)


def read_sizes(unit: ControlUnit, fields: Mapping[str, str]) -> ControlUnit:
    """Raises UserFacingError (`control_number`)."""
    label, low, high = _RESOLUTION
    default = int(ControlUnit.model_fields["processor_resolution"].default)
    wish = read_number(label, fields.get("resolution", ""), low, high)
    found: dict[str, Any] = {
        "processor_resolution": default if wish is None else round(wish),
        "pixel_perfect": fields.get("pixel_perfect") == "True",
        "low_memory": fields.get("low_memory") == "True",
    }
    for name, options in (("resize_mode", RESIZES), ("hires", PASSES)):
        if fields.get(name) in options:
            found[name] = fields[name]
    return unit.model_copy(update=found)


def _pictures(modal: discord.ui.Modal, draft: Draft, unit: ControlUnit, texts: Texts) -> None:
    upload_field(modal, "image", texts("control.field.image"), texts("control.field.image_keep"))
    upload_field(modal, "mask", texts("control.field.mask"), texts("control.field.mask_hint"))
    options = [(KEEP, texts("control.field.keep_all"))]
    if unit.mask is not None:
        options.append((NO_MASK, texts("control.field.no_mask")))
    if isinstance(draft.spec, Img2Img) and unit.image is not None:
        options.append((SOURCE, texts("control.field.source")))
    if len(options) > 1:
        radio_field(modal, "keep", texts("control.field.keep"), "", options, KEEP)


def _numbers(modal: discord.ui.Modal, unit: ControlUnit, texts: Texts) -> None:
    for name, label, low, high in _RANGES:
        hint = texts(f"control.field.{name}_hint", low=f"{low:g}", high=f"{high:g}")
        text_field(modal, name, label, hint, plain(getattr(unit, name)), paragraph=False, max_length=10)
    for name, slider in sliders(unit):
        hint = texts(
            "control.field.slider_hint", low=f"{slider.low:g}", high=f"{slider.high:g}", usual=f"{slider.default:g}"
        )
        value = getattr(unit, name)
        text_field(
            modal, name, slider.label, hint, plain(slider.default if value is None else value), paragraph=False,
            max_length=10,
        )  # fmt: skip


def _sizes(modal: discord.ui.Modal, unit: ControlUnit, texts: Texts) -> None:
    entry = find_preprocessor(unit.preprocessor)
    resizable = entry is not None and entry.resolution is not None
    hint = texts("control.field.resolution_hint" if resizable else "control.field.resolution_idle")
    text_field(modal, "resolution", _RESOLUTION[0], hint, str(unit.processor_resolution), paragraph=False, max_length=5)
    checkbox_field(
        modal, "pixel_perfect", "Pixel Perfect", texts("control.field.pixel_perfect_hint"), checked=unit.pixel_perfect
    )
    resizes = [(mode, mode) for mode in RESIZES]
    radio_field(modal, "resize_mode", "Resize Mode", texts("control.field.resize_mode_hint"), resizes, unit.resize_mode)
    passes = [(value, value) for value in PASSES]
    radio_field(modal, "hires", "Hr Option", texts("control.field.hires_hint"), passes, unit.hires)
    checkbox_field(modal, "low_memory", "Low VRAM", texts("control.field.low_memory_hint"), checked=unit.low_memory)
