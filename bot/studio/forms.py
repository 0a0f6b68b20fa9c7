"""The forms behind "Edit" and "Save as style": built from a recorded job, read back from a raw submit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import discord

from bot.domain.changes import sampler_label
from bot.domain.fields import line_of, shown_fields
from bot.domain.job import Job
from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.ui.codec import Verb, encode
from bot.ui.forms import TEXT_LIMIT, form_of, select_field, text_field
from gpu_worker.language.infotext import parse_fields
from gpu_worker.language.names import resolve_sampler, sampler_choices
from gpu_worker.protocol.specs import JobSpec, Txt2Img

__all__ = ["dropped_fields", "edit_form", "edited_wishes", "fields_in", "parameters_line", "style_form"]

_DECIMAL_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|(?<=\d),(?=\d)')
"""Outside quotes."""
_LONG = ("hires_prompt", "hires_negative")
"""Left out of a line that would not fit a form; what is not shown stays as it is."""
_KEPT = frozenset({"steps", "cfg_scale", "width", "height", "clip_skip", "count", "checkpoint", "seed"})
"""A line without these leaves them as they are; the seed is asked for anew elsewhere."""


def edit_form(job: Job, spec: JobSpec, texts: Texts) -> discord.ui.Modal:
    """`spec` is what an edit starts from: for an upscaled picture the request it was drawn by."""
    form = form_of(texts("form.edit.title"), encode(Verb.EDIT_FORM, job.id))
    text_field(form, "prompt", texts("form.edit.prompt"), texts("form.edit.prompt_hint"), spec.prompt, required=True)
    text_field(form, "negative", texts("form.edit.negative"), texts("form.edit.negative_hint"), spec.negative_prompt)
    names = [(name, name) for name in sampler_choices()]
    select_field(form, "sampler", texts("form.edit.sampler"), "", names, sampler_label(spec))
    text_field(
        form, "parameters", texts("form.edit.parameters"), texts("form.edit.parameters_hint"), parameters_line(spec)
    )
    more: discord.ui.Checkbox[discord.ui.Modal] = discord.ui.Checkbox(custom_id="advanced")
    form.add_item(
        discord.ui.Label(
            text=texts("form.edit.advanced")[:45], description=texts("form.edit.advanced_hint")[:100], component=more
        )
    )
    return form


def style_form(job: Job, spec: JobSpec, texts: Texts) -> discord.ui.Modal:
    """`spec` as in `edit_form`."""
    form = form_of(texts("form.style.title"), encode(Verb.STYLE_FORM, job.id))
    text_field(form, "name", texts("form.style.name"), "", "", paragraph=False, required=True, max_length=60)
    text_field(form, "prompt", texts("form.style.prompt"), texts("form.style.prompt_hint"), spec.prompt)
    text_field(form, "negative", texts("form.style.negative"), "", spec.negative_prompt)
    kept = f"{sampler_label(spec)}, {line_of(parameters_of(spec), ('seed', 'count', 'variation_seed', *_LONG))}"
    group: discord.ui.RadioGroup[discord.ui.Modal] = discord.ui.RadioGroup(custom_id="keep")
    group.add_option(label=texts("form.style.parameters_yes", parameters=kept)[:100], value="yes", default=True)
    group.add_option(label=texts("form.style.parameters_no"), value="no")
    form.add_item(discord.ui.Label(text=texts("form.style.parameters")[:45], component=group))
    replace: discord.ui.Checkbox[discord.ui.Modal] = discord.ui.Checkbox(custom_id="replace")
    form.add_item(discord.ui.Label(text=texts("form.style.replace")[:45], component=replace))
    return form


def parameters_line(spec: JobSpec) -> str:
    """A1111's own keys, so that a line can be pasted from anywhere, and goes anywhere."""
    return line_of(parameters_of(spec), _unshown(parameters_of(spec)))


def dropped_fields(spec: JobSpec, given: Parameters) -> tuple[str, ...]:
    """What the line of `spec` showed and `given`, read from it again, says no more: it was taken out."""
    shown = parameters_of(spec)
    fields = [field for named in shown_fields(shown, _unshown(shown)).values() for field in named]
    return tuple(field for field in fields if field not in _KEPT and getattr(given, field) is None)


def edited_wishes(spec: JobSpec, line: Parameters, chosen: str | None) -> Parameters:
    """What a sent edit form of `spec` wishes: its line as read, and what its list of samplers says.

    Whatever is typed wins over the list, and a list left as it was wishes nothing, since its names do not tell every
    schedule. A seed that was taken out asks for a new one, a second pass whose size was taken out goes.
    """
    wishes = replace(line, seed=-1 if line.seed is None else line.seed)
    if line.sampler is None and chosen is not None and chosen != sampler_label(spec):
        known = resolve_sampler(chosen) if line.schedule is not None else None
        wishes = replace(wishes, sampler=known.sampler if known else chosen)
    sized = line.hires_scale is not None or line.hires_size is not None
    if isinstance(spec, Txt2Img) and spec.hires is not None and not sized:
        wishes = replace(wishes, hires_scale=0.0)
    return wishes


def _unshown(wishes: Parameters) -> tuple[str, ...]:
    return _LONG if len(line_of(wishes)) > TEXT_LIMIT // 2 else ()


def fields_in(line: str) -> Mapping[str, str]:
    """Lenient in the separator and the decimal point: people write one per line, and `5,5` where that is usual.

    Raises UserFacingError (`parameters_unreadable`) for a text that holds no `key: value` at all.
    """
    joined = ", ".join(part.strip().rstrip(",") for part in line.splitlines() if part.strip())
    found = parse_fields(_DECIMAL_COMMA.sub(lambda found: found[1] or ".", joined))
    if joined and not found:
        raise UserFacingError("parameters_unreadable")
    return found
