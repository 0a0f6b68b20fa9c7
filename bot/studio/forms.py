"""The forms behind "Edit" and "Save as style": built from a recorded job, read back from a raw submit.

A form's custom_id is an address like a button's, and its answer is read from the interaction's own data, so a form that
was open while the bot restarted still arrives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import discord

from bot.domain.job import Job
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from gpu_worker.language.infotext import parse_fields, quote
from gpu_worker.language.names import SAMPLER_CHOICES, effective_schedule
from gpu_worker.protocol.specs import JobSpec

__all__ = ["edit_form", "fields_of", "parameters_line", "parameters_of", "sampler_name", "shown_part", "style_form"]

TEXT_LIMIT = 4000
"""A TextInput's own limit."""
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


def shown_part(text: str) -> str:
    """The beginning of a text that fits a form; the rest cannot be shown, so it is kept and appended again.

    Counted in UTF-16 units, as clients count, because an emoji has two of them.
    """
    if len(text) * 2 <= TEXT_LIMIT:
        return text
    return text.encode("utf-16-le")[: TEXT_LIMIT * 2].decode("utf-16-le", "ignore")


def _form(title: str, custom_id: str) -> discord.ui.Modal:
    form = discord.ui.Modal(title=title[:45], custom_id=custom_id)
    # Finished from the start, so discord.py does not keep one per press: the answer comes through on_interaction.
    form.stop()
    return form


def _text(
    form: discord.ui.Modal,
    custom_id: str,
    label: str,
    hint: str,
    default: str,
    *,
    paragraph: bool = True,
    required: bool = False,
    max_length: int = TEXT_LIMIT,
) -> None:
    item: discord.ui.TextInput[discord.ui.Modal] = discord.ui.TextInput(
        custom_id=custom_id,
        style=discord.TextStyle.paragraph if paragraph else discord.TextStyle.short,
        default=shown_part(default)[:max_length] or None,
        required=required,
        max_length=max_length,
    )
    form.add_item(discord.ui.Label(text=label[:45], description=hint[:100] or None, component=item))


def edit_form(job: Job, spec: JobSpec, texts: Texts) -> discord.ui.Modal:
    """`spec` is what an edit starts from: for an upscaled picture the request it was drawn by."""
    form = _form(texts("form.edit.title"), encode(Verb.EDIT_FORM, job.id))
    _text(form, "prompt", texts("form.edit.prompt"), texts("form.edit.prompt_hint"), spec.prompt, required=True)
    _text(form, "negative", texts("form.edit.negative"), texts("form.edit.negative_hint"), spec.negative_prompt)
    current = sampler_name(spec)
    names = [*SAMPLER_CHOICES] if current in SAMPLER_CHOICES else [current, *SAMPLER_CHOICES]
    select: discord.ui.Select[discord.ui.Modal] = discord.ui.Select(
        custom_id="sampler",
        options=[discord.SelectOption(label=name, value=name, default=name == current) for name in names[:25]],
    )
    form.add_item(discord.ui.Label(text=texts("form.edit.sampler"), component=select))
    _text(
        form, "parameters", texts("form.edit.parameters"), texts("form.edit.parameters_hint"),
        parameters_line(spec), paragraph=True, max_length=500,
    )  # fmt: skip
    return form


def style_form(job: Job, spec: JobSpec, texts: Texts) -> discord.ui.Modal:
    """`spec` as in `edit_form`."""
    form = _form(texts("form.style.title"), encode(Verb.STYLE_FORM, job.id))
    _text(form, "name", texts("form.style.name"), "", "", paragraph=False, required=True, max_length=60)
    _text(form, "prompt", texts("form.style.prompt"), texts("form.style.prompt_hint"), spec.prompt)
    _text(form, "negative", texts("form.style.negative"), "", spec.negative_prompt)
    kept = f"{sampler_name(spec)}, {parameters_line(spec, seed=False, count=False)}"
    group: discord.ui.RadioGroup[discord.ui.Modal] = discord.ui.RadioGroup(custom_id="keep")
    group.add_option(label=texts("form.style.parameters_yes", parameters=kept)[:100], value="yes", default=True)
    group.add_option(label=texts("form.style.parameters_no"), value="no")
    form.add_item(discord.ui.Label(text=texts("form.style.parameters")[:45], component=group))
    replace: discord.ui.Checkbox[discord.ui.Modal] = discord.ui.Checkbox(custom_id="replace")
    form.add_item(discord.ui.Label(text=texts("form.style.replace")[:45], component=replace))
    return form


def sampler_name(spec: JobSpec) -> str:
    """`DPM++ 2M Karras`, or the bare name where the schedule is the plain one."""
    schedule = effective_schedule(spec.sampler, spec.schedule)
    return spec.sampler if schedule in ("Automatic", "Uniform") else f"{spec.sampler} {schedule}"


def parameters_line(spec: JobSpec, *, seed: bool = True, count: bool = True) -> str:
    """A1111's own keys, so that a line can be pasted from anywhere."""
    pairs: list[tuple[str, str]] = [
        ("Steps", str(spec.steps)),
        ("CFG scale", f"{spec.cfg_scale:g}"),
        *([("Seed", str(spec.seed))] if seed else []),
        ("Size", f"{spec.width}x{spec.height}"),
        ("Clip skip", str(spec.clip_skip)),
        *([("Count", str(spec.count))] if count else []),
        ("Model", quote(spec.checkpoint)),
    ]
    return ", ".join(f"{key}: {value}" for key, value in pairs)


def parameters_of(line: str) -> Mapping[str, str]:
    """Lenient in the separator and the decimal point: people write one per line, and `5,5` where that is usual.

    Raises UserFacingError (`parameters_unreadable`) for a text that holds no `key: value` at all.
    """
    joined = ", ".join(part.strip().rstrip(",") for part in line.splitlines() if part.strip())
    found = parse_fields(_DECIMAL_COMMA.sub(".", joined))
    if joined and not found:
        raise UserFacingError("parameters_unreadable")
    return found


def fields_of(interaction: Interaction) -> dict[str, str]:
    """custom_id → value of every field of a sent form; a select gives its first value, an empty one an empty text."""
    found: dict[str, str] = {}
    data = cast("Mapping[str, Any]", interaction.data or {})
    pending: list[Any] = list(cast("list[Any]", data.get("components", [])))
    while pending:
        component = cast("Mapping[str, Any]", pending.pop(0))
        pending += cast("list[Any]", component.get("components", []))
        if "component" in component:
            pending.append(component["component"])
        if "custom_id" in component:
            values = cast("list[str]", component.get("values") or [])
            value = component.get("value")
            found[str(component["custom_id"])] = str(value) if value is not None else (values[0] if values else "")
    return found
