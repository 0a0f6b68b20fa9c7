"""A filled-in form, turned into the components Discord sends back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from simcord.enums import OptionType

from bot.playground.cdn import Upload
from bot.playground.options import PageError, Resolver

__all__ = ["submitted_components"]

_ROW, _STRING_SELECT, _TEXT_INPUT, _TEXT, _LABEL = 1, 3, 4, 10, 18
_FILE_UPLOAD, _RADIO, _CHECKBOXES, _CHECKBOX = 19, 21, 22, 23
_ENTITY_SELECTS = {5: OptionType.USER, 6: OptionType.ROLE, 7: OptionType.MENTIONABLE, 8: OptionType.CHANNEL}


def submitted_components(
    modal: Mapping[str, Any],
    values: Mapping[str, object],
    files: Mapping[str, Upload],
    resolver: Resolver,
    channel_id: int,
) -> list[dict[str, Any]]:
    """Raises PageError, with the custom_id as `option`, for a field whose value Discord's own form would not accept.

    `values` maps custom ids to text, a list of values, or a boolean; a file upload lists parts of `files`.
    """

    def walk(component: Mapping[str, Any]) -> dict[str, Any]:
        kind = component["type"]
        found: dict[str, Any] = {"type": kind, "id": component.get("id", 0)}
        if kind == _ROW:
            found["components"] = [walk(child) for child in component["components"]]
        elif kind == _LABEL:
            found["component"] = walk(component["component"])
        elif kind != _TEXT:
            found["custom_id"] = component["custom_id"]
            found |= _field(component, values.get(component["custom_id"]), files, resolver, channel_id)
        return found

    return [walk(component) for component in modal["components"]]


def _field(
    component: Mapping[str, Any], value: object, files: Mapping[str, Upload], resolver: Resolver, channel_id: int
) -> dict[str, Any]:
    kind, name = component["type"], component["custom_id"]
    required = bool(component.get("required", kind != _CHECKBOX))
    if kind == _TEXT_INPUT:
        text = "" if value is None else str(value)
        low, high = int(component.get("min_length") or 0), int(component.get("max_length") or 4000)
        if required and not text:
            raise PageError("option.required", name)
        if len(text) > high or (text and len(text) < low):
            raise PageError("option.length", name, low=low, high=high, length=len(text))
        return {"value": text}
    if kind == _CHECKBOX:
        return {"value": bool(component.get("default", False) if value is None else value)}
    options = {option["value"] for option in component.get("options") or ()}
    if kind == _RADIO:
        if value is None and required:
            raise PageError("option.required", name)
        if value is not None and value not in options:
            raise PageError("option.choice", name)
        return {"value": value}
    chosen = [str(item) for item in _listed(value)]
    low = int(1 if component.get("min_values") is None else component["min_values"])
    high = int(component.get("max_values") or (len(options) if kind == _CHECKBOXES else 1))
    if required and not chosen and low > 0:
        raise PageError("option.required", name)
    if chosen and not low <= len(chosen) <= high:
        raise PageError("option.count", name, low=low, high=high)
    if kind in (_STRING_SELECT, _CHECKBOXES):
        if not set(chosen) <= options:
            raise PageError("option.choice", name)
    elif kind == _FILE_UPLOAD:
        if not set(chosen) <= files.keys():
            raise PageError("option.attachment", name)
        chosen = [resolver.attachment(files[item], channel_id) for item in chosen]
    else:
        chosen = entity_values(kind, chosen, resolver, name)
    return {"values": chosen}


def entity_values(kind: int, chosen: Sequence[object], resolver: Resolver, name: str) -> list[str]:
    """The ids picked in a user, role, mentionable or channel select."""
    wanted = _ENTITY_SELECTS[kind]
    found = [resolver.entity(wanted, item) for item in chosen]
    if None in found:
        raise PageError(f"option.{wanted.name.lower()}", name)
    return cast("list[str]", found)


def _listed(value: object) -> list[Any]:
    return [] if value is None else cast("list[Any]", value) if isinstance(value, list) else [value]
