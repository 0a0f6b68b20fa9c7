"""Slash-command options as a person gives them, turned into what Discord sends to a bot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from simcord import interactions as simcord_interactions
from simcord.backend import serializers
from simcord.backend.access import channel_accessible
from simcord.backend.errors import OptionError
from simcord.enums import OptionType

from bot.playground.cdn import Upload
from bot.playground.state import LocalDiscord

__all__ = ["PageError", "Resolver", "build_options", "localised_commands"]

_ENTITIES = {OptionType.USER, OptionType.CHANNEL, OptionType.ROLE, OptionType.MENTIONABLE}
_STRING_LENGTH = 6000


class PageError(Exception):
    """A refusal the person at the page is told: `key` below `playground.` in bot/i18n; `option` names the culprit."""

    def __init__(self, key: str, option: str | None = None, **values: object) -> None:
        super().__init__(f"{key} {values}" if values else key)
        self.key = key
        self.option = option
        self.values = values


@dataclass
class Resolver:
    """Collects the `resolved` block: the objects behind the ids in an interaction, as one person sees them."""

    state: LocalDiscord
    user_id: int
    guild_id: int | None

    def __post_init__(self) -> None:
        self.resolved: dict[str, dict[str, Any]] = {}

    def user(self, user_id: int) -> bool:
        if user_id not in self.state.users:
            return False
        key = str(user_id)
        self.resolved.setdefault("users", {})[key] = dict(serializers.user_payload(self.state.users[user_id]))
        guild = self.state.guilds.get(self.guild_id or 0)
        if guild is not None and user_id in guild.members:
            member = dict(serializers.member_payload(self.state, guild, guild.members[user_id], with_user=False))
            member["permissions"] = str(self.state.compute_permissions(guild.id, user_id))
            self.resolved.setdefault("members", {})[key] = member
        return True

    def role(self, role_id: int) -> bool:
        guild = self.state.guilds.get(self.guild_id or 0)
        if guild is None or role_id not in guild.roles:
            return False
        self.resolved.setdefault("roles", {})[str(role_id)] = dict(serializers.role_payload(guild.roles[role_id]))
        return True

    def channel(self, channel_id: int) -> bool:
        channel = self.state.channels.get(channel_id)
        if channel is None or channel.guild_id is None or channel.guild_id != self.guild_id:
            return False
        if not channel_accessible(self.state, channel_id, self.user_id):
            return False
        payload = dict(serializers.channel_payload(self.state, channel))
        payload["permissions"] = str(self.state.compute_permissions(channel.guild_id, self.user_id, channel_id))
        payload["app_permissions"] = str(
            self.state.compute_permissions(channel.guild_id, self.state.bot_user.id, channel_id)
        )
        self.resolved.setdefault("channels", {})[str(channel_id)] = payload
        return True

    def entity(self, kind: int, value: object) -> str | None:
        """The id of what `value` (an id or a mention) names, if it may fill an option or select of this kind."""
        found = re.fullmatch(r"(?:<[@#]?[!&]?)?(\d{1,20})>?", str(value).strip())
        if found is None:
            return None
        key = int(found[1])
        fits = {
            OptionType.USER: lambda: self.user(key),
            OptionType.CHANNEL: lambda: self.channel(key),
            OptionType.ROLE: lambda: self.role(key),
            OptionType.MENTIONABLE: lambda: self.user(key) or self.role(key),
        }[OptionType(kind)]
        return str(key) if fits() else None

    def attachment(self, upload: Upload, channel_id: int) -> str:
        return simcord_interactions.store_interaction_attachment(
            self.state, channel_id, upload.filename, cast("bytes", upload), self.resolved
        )


def _number(option: Mapping[str, Any], raw: object) -> int | float:
    name, whole = option["name"], option["type"] == OptionType.INTEGER
    text = str(raw).strip()
    pattern = r"[-+]?\d{1,16}" if whole else r"[-+]?(?:\d{1,16}(?:[.,]\d*)?|[.,]\d+)"
    if isinstance(raw, bool) or not re.fullmatch(pattern, text):
        raise PageError("option.whole" if whole else "option.number", name)
    return int(text) if whole else float(text.replace(",", "."))


def _boolean(option: Mapping[str, Any], raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word not in ("true", "false"):
        raise PageError("option.boolean", option["name"])
    return word == "true"


def _choice(option: Mapping[str, Any], raw: object) -> object:
    """A typed-in choice may be its value or any of its names."""
    choices = cast("list[Mapping[str, Any]]", option.get("choices") or [])
    for choice in choices:
        names = {choice["name"], *cast("dict[str, str]", choice.get("name_localizations") or {}).values()}
        if raw == choice["value"] or str(raw).strip().lower() in {str(name).lower() for name in names}:
            return choice["value"]
        if str(raw).strip() == str(choice["value"]):
            return choice["value"]
    raise PageError("option.choice", option["name"])


def _plain(command: str, option: Mapping[str, Any], raw: object) -> Any:
    kind = option["type"]
    if option.get("choices"):
        raw = _choice(option, raw)
    value: Any = (
        _number(option, raw)
        if kind in (OptionType.INTEGER, OptionType.NUMBER)
        else _boolean(option, raw)
        if kind == OptionType.BOOLEAN
        else str(raw)
    )
    low, high = option.get("min_length") or 0, option.get("max_length") or _STRING_LENGTH
    if kind == OptionType.STRING and not low <= len(value) <= high:
        raise PageError("option.length", option["name"], low=low, high=high, length=len(value))
    try:
        return simcord_interactions.validate_option_value(command, dict(option), value)
    except OptionError as error:
        low, high = option.get("min_value", "-∞"), option.get("max_value", "∞")
        raise PageError("option.range", option["name"], low=low, high=high) from error


def build_options(
    resolver: Resolver,
    command: str,
    leaf: Mapping[str, Any],
    given: Mapping[str, object],
    files: Mapping[str, Upload],
    channel_id: int,
    *,
    focused: str | None = None,
) -> list[dict[str, Any]]:
    """The wire form of a leaf command's options; with `focused`, of an unfinished one: what does not fit is left out.

    `given` maps option names to typed text, ids, numbers or booleans; an attachment option names a part of `files`.
    Raises PageError for the first option that is unknown, missing or does not fit.
    """
    declared = {option["name"]: option for option in leaf.get("options") or ()}
    for name in given:
        if name not in declared:
            raise PageError("option.unknown", name)
    built: list[dict[str, Any]] = []
    for name, option in declared.items():
        if name == focused:
            built.append({"name": name, "type": option["type"], "value": str(given.get(name, "")), "focused": True})
            continue
        try:
            if name not in given:
                if option.get("required"):
                    raise PageError("option.required", name)
                continue
            value = _value(resolver, command, option, given[name], files, channel_id, unfinished=focused is not None)
        except PageError:
            if focused is None:
                raise
            continue
        if value is not None:
            built.append({"name": name, "type": option["type"], "value": value})
    return built


def _value(
    resolver: Resolver,
    command: str,
    option: Mapping[str, Any],
    raw: object,
    files: Mapping[str, Upload],
    channel_id: int,
    *,
    unfinished: bool,
) -> Any:
    kind, name = option["type"], option["name"]
    if kind in _ENTITIES:
        found = resolver.entity(kind, raw)
        allowed = option.get("channel_types")
        if found is None or (allowed and resolver.state.channels[int(found)].type not in allowed):
            raise PageError(f"option.{OptionType(kind).name.lower()}", name)
        return found
    if kind == OptionType.ATTACHMENT:
        if unfinished:
            return None
        upload = files.get(str(raw))
        if upload is None:
            raise PageError("option.attachment", name)
        return resolver.attachment(upload, channel_id)
    return _plain(command, option, raw)


# ----------------------------------------------------------- what the page lists


def _text(item: Mapping[str, Any], key: str, locale: str) -> str:
    return cast("dict[str, str]", item.get(f"{key}_localizations") or {}).get(locale) or item[key]


def _option_row(option: Mapping[str, Any], locale: str) -> dict[str, Any]:
    choices = [
        {"name": _text(choice, "name", locale), "value": choice["value"]} for choice in option.get("choices") or ()
    ]
    return {
        "name": option["name"],
        "label": _text(option, "name", locale),
        "description": _text(option, "description", locale),
        "type": option["type"],
        "required": bool(option.get("required")),
        "autocomplete": bool(option.get("autocomplete")),
        "choices": choices,
    }


def localised_commands(
    state: LocalDiscord, user_id: int, channel_id: int, locale: str, kind: int = 1
) -> list[dict[str, Any]]:
    """The leaf commands a person may use in a channel, in their language; guild commands shadow global ones."""
    channel = state.get_channel(channel_id)
    rows: dict[str, dict[str, Any]] = {}
    roots = state.visible_commands(user_id=user_id, channel_id=channel_id, type=kind)
    for root in sorted(roots, key=lambda command: "guild_id" in command):
        if root.get("nsfw") and channel.guild_id is not None and not state.is_nsfw(channel):
            continue
        for path, leaf in simcord_interactions.command_leaves(root):
            labels, node = [_text(root, "name", locale)], root
            for name in path[1:]:
                node = next(option for option in node["options"] if option["name"] == name)
                labels.append(_text(node, "name", locale))
            rows[" ".join(path)] = {
                "name": " ".join(path),
                "label": " ".join(labels),
                "description": _text(leaf, "description", locale) if kind == 1 else "",
                "options": [_option_row(option, locale) for option in leaf.get("options") or ()],
            }
    return sorted(rows.values(), key=lambda row: row["label"])
