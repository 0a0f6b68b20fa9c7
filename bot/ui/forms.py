"""Parts of a form, within Discord's limits, and reading a sent one.

A form's custom_id is an address like a button's, and its answer is read from the interaction's own data, so a form that
was open while the bot restarted still arrives.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import discord

from bot.ui.client import Interaction

__all__ = [
    "NAME_LIMIT", "OPTIONS_LIMIT", "RADIO_LIMIT", "TEXT_LIMIT", "boxes_field", "checkbox_field", "field_values",
    "fields_of", "form_of", "radio_field", "select_field", "shown_part", "text_field", "upload_field", "uploaded",
    "uploads_of", "whole_text",
]  # fmt: skip

TEXT_LIMIT = 4000
"""A TextInput's own limit."""
OPTIONS_LIMIT = 25
NAME_LIMIT = 100
RADIO_LIMIT = 10


def shown_part(text: str) -> str:
    """The beginning of a text that fits a form; the rest cannot be shown, so it is kept and appended again.

    Counted in UTF-16 units, as clients count, because an emoji has two of them.
    """
    if len(text) * 2 <= TEXT_LIMIT:
        return text
    return text.encode("utf-16-le")[: TEXT_LIMIT * 2].decode("utf-16-le", "ignore")


def form_of(title: str, custom_id: str) -> discord.ui.Modal:
    form = discord.ui.Modal(title=title[:45], custom_id=custom_id)
    # Finished from the start, so discord.py does not keep one per press: the answer comes through on_interaction.
    form.stop()
    return form


def text_field(
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


def select_field(
    form: discord.ui.Modal, custom_id: str, label: str, hint: str, options: Sequence[tuple[str, str]], current: str
) -> None:
    """`options` are (value, label); a current value that is not among them goes first."""
    rows = [*options]
    if all(value != current for value, _ in rows):
        rows.insert(0, (current, current))
    select: discord.ui.Select[discord.ui.Modal] = discord.ui.Select(
        custom_id=custom_id,
        options=[
            discord.SelectOption(label=shown[:NAME_LIMIT], value=value[:NAME_LIMIT], default=value == current)
            for value, shown in rows[:OPTIONS_LIMIT]
        ],
    )
    form.add_item(discord.ui.Label(text=label[:45], description=hint[:100] or None, component=select))


def radio_field(
    form: discord.ui.Modal, custom_id: str, label: str, hint: str, options: Sequence[tuple[str, str]], current: str
) -> None:
    """As `select_field`, all options in sight; two to ten of them."""
    rows = [*options]
    if all(value != current for value, _ in rows):
        rows.insert(0, (current, current))
    group: discord.ui.RadioGroup[discord.ui.Modal] = discord.ui.RadioGroup(custom_id=custom_id)
    for value, shown in rows[:RADIO_LIMIT]:
        group.add_option(label=shown[:NAME_LIMIT], value=value[:NAME_LIMIT], default=value == current)
    form.add_item(discord.ui.Label(text=label[:45], description=hint[:100] or None, component=group))


def checkbox_field(form: discord.ui.Modal, custom_id: str, label: str, hint: str, *, checked: bool) -> None:
    """Sent as `True` or `False`."""
    box: discord.ui.Checkbox[discord.ui.Modal] = discord.ui.Checkbox(custom_id=custom_id, default=checked)
    form.add_item(discord.ui.Label(text=label[:45], description=hint[:100] or None, component=box))


def boxes_field(
    form: discord.ui.Modal, custom_id: str, label: str, hint: str, options: Sequence[str], checked: Collection[str]
) -> None:
    """Up to ten boxes, of which any number may be checked; `field_values` gives them."""
    group: discord.ui.CheckboxGroup[discord.ui.Modal] = discord.ui.CheckboxGroup(
        custom_id=custom_id, required=False, min_values=0, max_values=len(options)
    )
    for value in options[:RADIO_LIMIT]:
        group.add_option(label=value[:NAME_LIMIT], value=value[:NAME_LIMIT], default=value in checked)
    form.add_item(discord.ui.Label(text=label[:45], description=hint[:100] or None, component=group))


def upload_field(
    form: discord.ui.Modal, custom_id: str, label: str, hint: str, *, required: bool = False, most: int = 1
) -> None:
    """One file, which `uploads_of` finds, or up to ten, which `uploaded` does."""
    item: discord.ui.FileUpload[discord.ui.Modal] = discord.ui.FileUpload(
        custom_id=custom_id, required=required, min_values=int(required), max_values=most
    )
    form.add_item(discord.ui.Label(text=label[:45], description=hint[:100] or None, component=item))


def uploads_of(interaction: Interaction) -> dict[str, discord.Attachment]:
    """custom_id → the first file of every upload of a sent form that has one."""
    there = _attachments(interaction)
    return {name: there[value] for name, value in fields_of(interaction).items() if value in there}


def uploaded(interaction: Interaction, custom_id: str) -> list[discord.Attachment]:
    """Every file of that upload of a sent form."""
    there = _attachments(interaction)
    return [there[value] for value in field_values(interaction, custom_id) if value in there]


def _attachments(interaction: Interaction) -> dict[str, discord.Attachment]:
    data = cast("Mapping[str, Any]", interaction.data or {})
    resolved = cast("Mapping[str, Any]", data.get("resolved") or {})
    there = cast("Mapping[str, Any]", resolved.get("attachments") or {})
    return {
        key: discord.Attachment(data=one, state=interaction._state)  # pyright: ignore[reportPrivateUsage]
        for key, one in there.items()
    }


def field_values(interaction: Interaction, custom_id: str) -> list[str]:
    """Everything chosen in that list or group of a sent form."""
    data = cast("Mapping[str, Any]", interaction.data or {})
    pending: list[Any] = list(cast("list[Any]", data.get("components", [])))
    while pending:
        component = cast("Mapping[str, Any]", pending.pop(0))
        if component.get("custom_id") == custom_id:
            return [str(value) for value in cast("list[Any]", component.get("values") or [])]
        pending += [*cast("list[Any]", component.get("components", [])), *filter(None, [component.get("component")])]
    return []


def whole_text(typed: str, recorded: str) -> str:
    """What was typed, and of the recorded text the part that no form could show."""
    return typed + recorded[len(shown_part(recorded)) :]


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
