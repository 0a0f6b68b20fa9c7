"""What a person does, as the INTERACTION_CREATE event Discord would send, and the wait for the bot's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simcord import interactions as simcord_interactions
from simcord.backend import serializers
from simcord.backend.access import message_accessible
from simcord.backend.errors import SetupError
from simcord.backend.models import Interaction, Message
from simcord.components import walk_components
from simcord.enums import SELECT_TYPES, AppCommandType, ComponentType, InteractionType

from bot.playground.cdn import Upload
from bot.playground.modals import entity_values, submitted_components
from bot.playground.options import PageError, Resolver, build_options, localised_commands
from bot.playground.state import LocalDiscord

__all__ = ["Caller", "Desk", "Outcome"]

_ANSWER_WITHIN_S = 3.0


@dataclass(frozen=True)
class Caller:
    """Who acts, where, in which language."""

    user_id: int
    channel_id: int
    locale: str


@dataclass(frozen=True)
class Outcome:
    """How the bot answered within three seconds; `kind` is None where it did not, else SimCord's ResponseKind."""

    interaction_id: int
    kind: str | None = None
    message_id: int | None = None
    modal: Mapping[str, Any] | None = None
    choices: Sequence[Mapping[str, Any]] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {
            "interaction": str(self.interaction_id),
            "kind": self.kind,
            "message": str(self.message_id) if self.message_id else None,
            "modal": self.modal,
            "choices": list(self.choices),
        }


class Desk:
    """Takes a person's actions. Raises PageError for what Discord's client would not let them do."""

    def __init__(self, state: LocalDiscord, limit_bytes: int) -> None:
        self._state = state
        self._limit_bytes = limit_bytes
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def answered(self, record: Interaction) -> None:
        waiter = self._waiting.get(record.id)
        if waiter is not None and record.responded and not waiter.done():
            waiter.set_result(None)

    # ----------------------------------------------------------------- actions

    def _leaf(self, caller: Caller, name: str) -> tuple[dict[str, Any], Mapping[str, Any], list[str]]:
        parts = name.split()
        rows = localised_commands(self._state, caller.user_id, caller.channel_id, caller.locale)
        if name not in {row["name"] for row in rows}:
            raise PageError("command.unknown", name=name)
        guild_id = self._state.get_channel(caller.channel_id).guild_id
        root = self._state.find_command(parts[0], guild_id)
        assert root is not None
        try:
            leaf, nesting = simcord_interactions.walk_to_subcommand(root, parts[1:])
        except SetupError as error:
            raise PageError("command.unknown", name=name) from error
        return root, leaf, nesting

    def _command_data(self, root: dict[str, Any], nesting: list[str], options: list[dict[str, Any]]) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": root["id"],
            "name": root["name"],
            "type": root["type"],
            "options": simcord_interactions.nest_options(root, nesting, options),
        }
        if root.get("guild_id"):
            data["guild_id"] = root["guild_id"]
        return data

    async def slash(
        self, caller: Caller, name: str, given: Mapping[str, object], files: Mapping[str, Upload]
    ) -> Outcome:
        root, leaf, nesting = self._leaf(caller, name)
        resolver = self._resolver(caller)
        self._check_files(files)
        options = build_options(resolver, name, leaf, given, files, caller.channel_id)
        data = self._command_data(root, nesting, options)
        if resolver.resolved:
            data["resolved"] = resolver.resolved
        return await self._send(caller, InteractionType.APPLICATION_COMMAND, data, name=name)

    async def autocomplete(self, caller: Caller, name: str, given: Mapping[str, object], focused: str) -> Outcome:
        root, leaf, nesting = self._leaf(caller, name)
        option = next((item for item in leaf.get("options") or () if item["name"] == focused), None)
        if option is None or not option.get("autocomplete"):
            raise PageError("option.unknown", focused)
        options = build_options(self._resolver(caller), name, leaf, given, {}, caller.channel_id, focused=focused)
        data = self._command_data(root, nesting, options)
        return await self._send(caller, InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE, data)

    async def context(self, caller: Caller, name: str, target_id: int) -> Outcome:
        """A message's context-menu command."""
        rows = localised_commands(self._state, caller.user_id, caller.channel_id, caller.locale, AppCommandType.MESSAGE)
        root = self._state.find_command(
            name, self._state.get_channel(caller.channel_id).guild_id, AppCommandType.MESSAGE
        )
        if root is None or name not in {row["name"] for row in rows}:
            raise PageError("command.unknown", name=name)
        message = self._visible(caller, target_id)
        data: dict[str, Any] = {
            "id": root["id"],
            "name": root["name"],
            "type": AppCommandType.MESSAGE,
            "target_id": str(message.id),
            "resolved": {"messages": {str(message.id): dict(serializers.message_payload(self._state, message))}},
        }
        if root.get("guild_id"):
            data["guild_id"] = root["guild_id"]
        return await self._send(caller, InteractionType.APPLICATION_COMMAND, data)

    async def component(
        self, caller: Caller, message_id: int, custom_id: str, values: Sequence[object] | None = None
    ) -> Outcome:
        """A press of a button, or a choice in a select with `values`."""
        message = self._visible(caller, message_id)
        found = next((c for c in walk_components(message.components) if c.get("custom_id") == custom_id), None)
        if found is None or found.get("disabled"):
            raise PageError("component.gone")
        kind = found["type"]
        data: dict[str, Any] = {"component_type": kind, "custom_id": custom_id, "id": found.get("id", 0)}
        if kind in SELECT_TYPES:
            data |= self._selected(caller, found, values or ())
        elif kind != ComponentType.BUTTON:
            raise PageError("component.gone")
        return await self._send(caller, InteractionType.MESSAGE_COMPONENT, data, message)

    def _selected(self, caller: Caller, select: Mapping[str, Any], values: Sequence[object]) -> dict[str, Any]:
        low = 1 if select.get("min_values") is None else int(select["min_values"])
        high = int(select.get("max_values") or 1)
        if not low <= len(values) <= high or len(set(values)) < len(values):
            raise PageError("option.count", select["custom_id"], low=low, high=high)
        if select["type"] == ComponentType.STRING_SELECT:
            if not set(values) <= {option["value"] for option in select["options"]}:
                raise PageError("option.choice", select["custom_id"])
            return {"values": list(values)}
        resolver = self._resolver(caller)
        chosen = entity_values(select["type"], values, resolver, select["custom_id"])
        return {"values": chosen, "resolved": resolver.resolved}

    async def submit(
        self, caller: Caller, interaction_id: int, values: Mapping[str, object], files: Mapping[str, Upload]
    ) -> Outcome:
        """Sends off the form that interaction `interaction_id` was answered with."""
        opened = self._state.interactions.get(interaction_id)
        if opened is None or opened.modal is None or opened.modal_consumed or opened.user_id != caller.user_id:
            raise PageError("modal.gone")
        self._check_files(files)
        caller = Caller(caller.user_id, opened.channel_id, caller.locale)
        source = None
        if opened.source_message_id is not None:
            source = self._state.messages[opened.channel_id].get(opened.source_message_id)
        resolver = self._resolver(caller)
        components = submitted_components(opened.modal, values, files, resolver, opened.channel_id)
        data: dict[str, Any] = {"custom_id": opened.modal["custom_id"], "components": components}
        if resolver.resolved:
            data["resolved"] = resolver.resolved
        opened.modal_consumed = True
        self._state.touch_interaction(opened)
        return await self._send(caller, InteractionType.MODAL_SUBMIT, data, source)

    # ---------------------------------------------------------------- plumbing

    def _check_files(self, files: Mapping[str, Upload]) -> None:
        for upload in files.values():
            if upload.size_bytes > self._limit_bytes:
                raise PageError("file.large", file=upload.filename, limit_mib=self._limit_bytes / 1024 / 1024)

    def _resolver(self, caller: Caller) -> Resolver:
        return Resolver(self._state, caller.user_id, self._state.get_channel(caller.channel_id).guild_id)

    def _visible(self, caller: Caller, message_id: int) -> Message:
        message = self._state.messages.get(caller.channel_id, {}).get(message_id)
        if message is None or not message_accessible(self._state, caller.channel_id, message, caller.user_id):
            raise PageError("message.gone")
        return message

    async def _send(
        self,
        caller: Caller,
        kind: InteractionType,
        data: dict[str, Any],
        source: Message | None = None,
        name: str | None = None,
    ) -> Outcome:
        channel = self._state.get_channel(caller.channel_id)
        record, payload = simcord_interactions.base_payload(
            self._state,
            type=kind,
            channel_id=channel.id,
            guild_id=channel.guild_id,
            user_id=caller.user_id,
            data=data,
        )
        if name is not None:
            record.command_name = name  # a message's metadata names the subcommand, too
        payload["locale"] = caller.locale
        payload["attachment_size_limit"] = self._limit_bytes
        owner = str(channel.guild_id or 0)
        payload["authorizing_integration_owners"] = {"0": owner}
        if channel.guild_id is not None:
            guild = self._state.get_guild(channel.guild_id)
            payload["guild_locale"] = guild.preferred_locale
            payload["guild"] = {"id": str(guild.id), "locale": guild.preferred_locale, "features": []}
            payload["channel"]["permissions"] = payload["member"]["permissions"]
        if source is not None:
            record.source_message_id = source.id
            payload["message"] = dict(serializers.message_payload(self._state, source))
        waiter = self._waiting[record.id] = asyncio.get_running_loop().create_future()
        try:
            self._state.emit("INTERACTION_CREATE", payload)
            await asyncio.wait_for(waiter, _ANSWER_WITHIN_S)
        except TimeoutError:
            return Outcome(record.id)
        finally:
            del self._waiting[record.id]
        choices = record.autocomplete_choices or ()
        kind_name = record.response_kind.value if record.response_kind is not None else None
        modal = record.modal if kind_name == "modal" else None
        return Outcome(record.id, kind_name, record.message_id, modal, choices)
