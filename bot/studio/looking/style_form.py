"""The form that saves a picture's look as a style, where no card of ours has it."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.domain.changes import sampler_label
from bot.domain.fields import line_of
from bot.domain.recorded import parameters_of
from bot.domain.styles import Style, make_style, style_from_spec
from bot.i18n import Texts
from bot.storage.finds import Find
from bot.ui.codec import Verb, encode
from bot.ui.forms import checkbox_field, form_of, radio_field, text_field
from gpu_worker.protocol.specs import JobSpec

__all__ = ["found_style_form", "sent_style"]

_NOT_SHOWN = ("seed", "count", "variation_seed", "hires_prompt", "hires_negative")


def found_style_form(find: Find, number: int, spec: JobSpec, texts: Texts) -> discord.ui.Modal:
    """The same fields as the form under a card."""
    form = form_of(texts("form.style.title"), encode(Verb.STYLE_FOUND_FORM, find.id, number))
    text_field(form, "name", texts("form.style.name"), "", "", paragraph=False, required=True, max_length=60)
    text_field(form, "prompt", texts("form.style.prompt"), texts("form.style.prompt_hint"), spec.prompt)
    text_field(form, "negative", texts("form.style.negative"), "", spec.negative_prompt)
    kept = f"{sampler_label(spec)}, {line_of(parameters_of(spec), _NOT_SHOWN)}"
    options = [
        ("yes", texts("form.style.parameters_yes", parameters=kept)),
        ("no", texts("form.style.parameters_no")),
    ]
    radio_field(form, "keep", texts("form.style.parameters"), "", options, "yes")
    checkbox_field(form, "replace", texts("form.style.replace"), "", checked=False)
    return form


def sent_style(fields: Mapping[str, str], spec: JobSpec) -> Style:
    """Raises UserFacingError as `make_style`."""
    name = fields.get("name", "")
    look = style_from_spec(name, spec).parameters.layer() if fields.get("keep") != "no" else None
    return make_style(name, fields.get("prompt", ""), fields.get("negative", ""), look)
