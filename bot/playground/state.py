"""The world in memory: SimCord's backend with real time, secret tokens, bounded growth and a list of what changed.

Every method here wraps SimCord's own; what it adds is `changes`, which the transport writes to disk before it answers,
and `watchers`, which the page follows (it also sees ephemeral messages, which the gateway never carries).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from simcord._clock import Clock
from simcord.backend import Backend
from simcord.backend.models import Channel, Interaction, Message

from bot.playground.embeds import resolve_embeds
from bot.playground.records import Record

__all__ = ["INTERACTION_LIFE_S", "Change", "LocalDiscord"]

INTERACTION_LIFE_S = 15 * 60
_MODAL_LIFE_S = 3600
"""A person may leave a form open longer than the token lives that opened it."""
_NONCE_LIFE_S = 5 * 60
"""Discord says "the past few minutes"."""
_MESSAGES_PER_CHANNEL = 2000

_MESSAGE = TypeAdapter(Message)
_INTERACTION = TypeAdapter(Interaction)


class _Nothing(list[Any]):
    """A log that keeps nothing: SimCord records all traffic for its assertions, a long-lived process must not."""

    def append(self, item: Any) -> None:
        return


@dataclass(frozen=True)
class Change:
    """What the page is told: `kind` is message, delete, reaction (a message again), typing, channels or commands."""

    kind: str
    channel_id: int | None = None
    message: Message | None = None
    message_id: int | None = None


@dataclass
class _Dirty:
    messages: dict[int, Message | None] = field(default_factory=dict[int, Message | None])
    interactions: dict[int, Interaction | None] = field(default_factory=dict[int, Interaction | None])
    nonces: dict[int, tuple[int, str] | None] = field(default_factory=dict[int, tuple[int, str] | None])
    commands: set[int | None] = field(default_factory=set[int | None])
    world: bool = False
    released: set[int] = field(default_factory=set[int])


class LocalDiscord(Backend):
    """SimCord's backend, made to last.

    `nsfw` holds the ids of age-restricted channels; `locales` each person's language.
    """

    def __init__(self, clock: Clock) -> None:
        self._last_id = 0
        self.dirty = _Dirty()
        self.watchers: list[Callable[[Change], None]] = []
        self.nsfw: set[int] = set()
        self.locales: dict[int, str] = {}
        self._nonces: dict[tuple[int, str], int] = {}
        super().__init__(clock=clock)
        self.transcript = _Nothing()
        self.http_requests = _Nothing()

    # ------------------------------------------------------------ identifiers

    def _allocate_at(self, milliseconds: int) -> int:
        """Ever rising, so neither a clock set back nor a burst within one millisecond can repeat an id."""
        self._last_id = max(self._last_id + 1, milliseconds << 22)
        return self._last_id

    def seen_id(self, value: int) -> None:
        """An id that came back from disk."""
        self._last_id = max(self._last_id, value)

    # --------------------------------------------------------------- messages

    def _tell(self, kind: str, message: Message) -> None:
        for watcher in self.watchers:
            watcher(Change(kind, message.channel_id, message, message.id))

    def _changed(self, message: Message) -> None:
        self.dirty.messages[message.id] = message
        self._tell("message", message)

    def _gone(self, message: Message) -> None:
        self.dirty.messages[message.id] = None
        self.dirty.released.update(_attachment_ids(message))
        for key, message_id in list(self._nonces.items()):
            if message_id == message.id:
                self._forget_nonce(key)
        self._tell("delete", message)

    def commit_message(self, message: Message, *, broadcast: bool = True) -> Message:
        resolve_embeds(message.embeds, message.attachments)
        found = super().commit_message(message, broadcast=broadcast)
        self._changed(found)
        kept = self.messages[found.channel_id]
        for old in sorted(kept)[: max(0, len(kept) - _MESSAGES_PER_CHANNEL)]:
            self._gone(kept.pop(old))
        return found

    def edit_message(self, channel_id: int, message_id: int, fields: dict[str, Any]) -> Message:
        old = self.get_message(channel_id, message_id)
        before = _attachment_ids(old)
        resolve_embeds(fields.get("embeds"), fields.get("attachments", old.attachments) or ())
        message = super().edit_message(channel_id, message_id, fields)
        self.dirty.released.update(before - _attachment_ids(message))
        if message.interaction_metadata is not None:
            self.touch_interaction(self.interactions.get(int(message.interaction_metadata["id"])))
        self._changed(message)
        return message

    def delete_message(self, channel_id: int, message_id: int) -> None:
        message = self.get_message(channel_id, message_id)
        super().delete_message(channel_id, message_id)
        self._gone(message)

    def bulk_delete_messages(self, channel_id: int, message_ids: Iterable[int]) -> list[int]:
        wanted = list(message_ids)
        before = dict(self.messages.get(channel_id, {}))
        deleted = super().bulk_delete_messages(channel_id, wanted)
        for message_id in deleted:
            self._gone(before[message_id])
        return deleted

    def set_pinned(self, channel_id: int, message_id: int, pinned: bool, *, actor_id: int | None = None) -> None:
        super().set_pinned(channel_id, message_id, pinned, actor_id=actor_id)
        self._changed(self.get_message(channel_id, message_id))

    def set_reaction(self, channel_id: int, message_id: int, emoji: str, user_id: int, reacted: bool) -> None:
        super().set_reaction(channel_id, message_id, emoji, user_id, reacted)
        self._changed(self.get_message(channel_id, message_id))

    def clear_reactions(self, channel_id: int, message_id: int) -> None:
        super().clear_reactions(channel_id, message_id)
        self._changed(self.get_message(channel_id, message_id))

    def clear_reaction(self, channel_id: int, message_id: int, emoji: str) -> None:
        super().clear_reaction(channel_id, message_id, emoji)
        self._changed(self.get_message(channel_id, message_id))

    # ----------------------------------------------------------------- nonces

    def remember_nonce(self, channel_id: int, nonce: str, message_id: int) -> None:
        self._nonces[channel_id, nonce] = message_id
        self.dirty.nonces[message_id] = (channel_id, nonce)

    def message_of_nonce(self, channel_id: int, nonce: str) -> Message | None:
        """The message sent with this nonce in the past few minutes, if it is still there."""
        horizon = self.clock.now() - timedelta(seconds=_NONCE_LIFE_S)
        for key, message_id in list(self._nonces.items()):
            if id_time_s(message_id) < horizon.timestamp():
                self._forget_nonce(key)
        message_id = self._nonces.get((channel_id, nonce))
        return None if message_id is None else self.messages[channel_id].get(message_id)

    def _forget_nonce(self, key: tuple[int, str]) -> None:
        self.dirty.nonces[self._nonces.pop(key)] = None

    # ----------------------------------------------- commands and interactions

    def register_commands(self, guild_id: int | None, payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = [{key: item for key, item in payload.items() if key != "nsfw"} for payload in payloads]
        found = super().register_commands(guild_id, known)
        for payload, command in zip(payloads, found, strict=True):
            command["nsfw"] = bool(payload.get("nsfw", False))
            command["version"] = command["id"]
        self.dirty.commands.add(guild_id)
        for watcher in self.watchers:
            watcher(Change("commands"))
        return found

    def new_interaction(self, type: int, channel_id: int, user_id: int, guild_id: int | None) -> Interaction:  # noqa: A002
        self._forget_old_interactions()
        record = super().new_interaction(type, channel_id, user_id, guild_id)
        # SimCord's tokens can be guessed from the id; whoever holds a token needs nothing else.
        del self.interaction_tokens[record.token]
        record.token = f"{record.id}.{secrets.token_urlsafe(40)}"
        self.interaction_tokens[record.token] = record.id
        self.dirty.interactions[record.id] = record
        return record

    def touch_interaction(self, record: Interaction | None) -> None:
        if record is not None:
            self.dirty.interactions[record.id] = record

    def _forget_old_interactions(self) -> None:
        now_s = self.clock.now().timestamp()
        for record in list(self.interactions.values()):
            open_modal = record.modal is not None and not record.modal_consumed
            if id_time_s(record.id) < now_s - (_MODAL_LIFE_S if open_modal else INTERACTION_LIFE_S):
                del self.interactions[record.id]
                self.interaction_tokens.pop(record.token, None)
                self.dirty.interactions[record.id] = None

    # --------------------------------------------------------- the world at large

    def get_dm_channel(self, user_id: int) -> Channel:
        new = user_id not in self.dm_channels
        channel = super().get_dm_channel(user_id)
        self.dirty.world |= new
        return channel

    def emit(self, event: str, payload: Any) -> None:
        if event.startswith(("GUILD_", "CHANNEL_", "THREAD_", "USER_")):
            self.dirty.world = True
            if event.startswith(("CHANNEL_", "THREAD_")):
                for watcher in self.watchers:
                    watcher(Change("channels"))
        elif event == "TYPING_START":
            for watcher in self.watchers:
                watcher(Change("typing", int(payload["channel_id"])))
        super().emit(event, self.with_nsfw(payload))

    def with_nsfw(self, value: Any) -> Any:
        """A copy in which every channel carries its age restriction; SimCord's channels know none."""
        if isinstance(value, dict):
            table: dict[str, Any] = {str(key): self.with_nsfw(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            if "permission_overwrites" in table:
                table["nsfw"] = int(table["id"]) in self.nsfw
            return table
        if isinstance(value, list):
            return [self.with_nsfw(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return value

    def is_nsfw(self, channel: Channel) -> bool:
        """Age restriction belongs to the parent channel; a thread looks it up."""
        return channel.permission_channel_id() in self.nsfw

    # ------------------------------------------------------------- durability

    def take_changes(self) -> tuple[list[Record], set[int]]:
        """Everything to write since the last call, and the attachments that nothing refers to any more."""
        dirty, self.dirty = self.dirty, _Dirty()
        records = [
            *(Record("message", key, _json(_MESSAGE, item)) for key, item in dirty.messages.items()),
            *(Record("interaction", key, _json(_INTERACTION, item)) for key, item in dirty.interactions.items()),
            *(
                Record("nonce", key, None if item is None else _NONCE.dump_json(item).decode())
                for key, item in dirty.nonces.items()
            ),
            *(
                Record(
                    "commands", scope or 0, _COMMANDS.dump_json(list(self.commands.get(scope, {}).values())).decode()
                )
                for scope in dirty.commands
            ),
        ]
        if dirty.world:
            records.append(Record("world", 0, None))  # replaced by the caller, who knows the whole world
        return records, dirty.released

    def restore(self, kind: str, key: int, body: str) -> None:
        """Puts one record back; messages need their channels restored first."""
        self.seen_id(key)
        if kind == "message":
            message = _MESSAGE.validate_json(body)
            if message.channel_id in self.messages:
                self.messages[message.channel_id][key] = message
                self.channels[message.channel_id].last_message_id = key
        elif kind == "interaction":
            record = _INTERACTION.validate_json(body)
            self.interactions[key] = record
            self.interaction_tokens[record.token] = key
        elif kind == "nonce":
            channel_id, nonce = _NONCE.validate_json(body)
            self._nonces[channel_id, nonce] = key
        elif kind == "commands":
            self.commands[key or None] = {
                (command["name"], command["type"]): command for command in _COMMANDS.validate_json(body)
            }

    def forget_stale_ephemerals(self) -> None:
        """Ephemeral messages vanish when a client restarts; here they stay while their token could still edit them."""
        horizon_s = self.clock.now().timestamp() - INTERACTION_LIFE_S
        for kept in self.messages.values():
            for message in [item for item in kept.values() if item.is_ephemeral and id_time_s(item.id) < horizon_s]:
                self._gone(kept.pop(message.id))

    def referenced_attachments(self) -> frozenset[int]:
        return frozenset(
            found for kept in self.messages.values() for message in kept.values() for found in _attachment_ids(message)
        )


_NONCE = TypeAdapter(tuple[int, str])
_COMMANDS = TypeAdapter(list[dict[str, Any]])


def id_time_s(snowflake: int) -> float:
    """Unix time at which an id was made."""
    return ((snowflake >> 22) + 1420070400000) / 1000


def _json(adapter: TypeAdapter[Any], item: Any) -> str | None:
    return None if item is None else adapter.dump_json(item).decode()


def _attachment_ids(message: Message) -> set[int]:
    return {int(attachment["id"]) for attachment in message.attachments}
