"""The one server of a playground: its people, roles and channels, made once and kept with stable ids."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import discord
from pydantic import BaseModel, ConfigDict, TypeAdapter
from simcord._clock import Clock
from simcord.backend.models import Channel, Guild, Overwrite, User
from simcord.enums import OverwriteType

from bot.playground.records import Record, Records
from bot.playground.state import LocalDiscord

__all__ = ["PEOPLE", "World", "open_world"]

PEOPLE = ("Admin", "Member", "Moderator")
_LOCALES = {"Admin": "es-ES", "Member": "en-US", "Moderator": "en-US"}
_MODERATOR = discord.Permissions(manage_messages=True, manage_threads=True, moderate_members=True, kick_members=True)


class _Saved(BaseModel):
    """The world's record; users, guilds and channels are SimCord's dataclasses, which pydantic reads as they are."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    application_id: int
    bot_id: int
    guild_id: int
    token: str
    cdn_secret: str
    people: dict[str, int]
    locales: dict[int, str]
    nsfw: list[int]
    dm_channels: dict[int, int]
    users: list[User]
    guilds: list[Guild]
    channels: list[Channel]


_ADAPTER = TypeAdapter(_Saved)


@dataclass
class World:
    """The state with the few ids that outlive it: the bot's token, who is who, what signs the attachments."""

    discord: LocalDiscord
    guild_id: int
    token: str
    cdn_secret: bytes
    people: dict[str, int]

    def record(self) -> Record:
        state = self.discord
        saved = _Saved.model_construct(
            application_id=state.application_id,
            bot_id=state.bot_user.id,
            guild_id=self.guild_id,
            token=self.token,
            cdn_secret=self.cdn_secret.hex(),
            people=self.people,
            locales=state.locales,
            nsfw=sorted(state.nsfw),
            dm_channels=state.dm_channels,
            users=list(state.users.values()),
            guilds=list(state.guilds.values()),
            channels=list(state.channels.values()),
        )
        return Record("world", 0, _ADAPTER.dump_json(saved).decode())

    def take_changes(self) -> tuple[list[Record], set[int]]:
        records, released = self.discord.take_changes()
        return [self.record() if record.kind == "world" else record for record in records], released


def _create(clock: Clock, bot_name: str) -> World:
    state = LocalDiscord(clock)
    state.bot_user.name = bot_name
    people = {name: state.make_user(name.lower(), global_name=name).id for name in PEOPLE}
    guild = state.create_guild("Pincel playground", owner_id=people["Admin"])
    bot_role = next(role for role in guild.roles.values() if role.managed)
    bot_role.color = 0xE0A43C
    moderator = state.create_role(guild.id, "Moderator", permissions=_MODERATOR.value, color=0x3BA55D, hoist=True)
    state.add_member(guild.id, people["Member"])
    state.add_member(guild.id, people["Moderator"], roles=[moderator.id])
    general = state.create_channel(guild.id, "general", topic="Say hello, or type /imagine")
    studio = state.create_channel(guild.id, "studio", topic="Pictures in the making")
    state.create_thread(studio.id, "Colour tests", people["Admin"], broadcast=False)
    after_dark = state.create_channel(guild.id, "after-dark", topic="Age-restricted")
    # Without this a member would be told "Missing Access" nowhere in the playground, and no bot tested against it.
    quiet = state.create_channel(
        guild.id,
        "announcements",
        topic="Only the team writes here; the bot may not",
        overwrites=[
            Overwrite(guild.id, OverwriteType.ROLE, deny=discord.Permissions(send_messages=True).value),
            Overwrite(bot_role.id, OverwriteType.ROLE, deny=discord.Permissions(send_messages=True).value),
        ],
    )
    quiet.position = 9
    guild.system_channel_id = general.id
    state.nsfw = {after_dark.id}
    state.locales = {people[name]: locale for name, locale in _LOCALES.items()}
    for user_id in people.values():
        state.get_dm_channel(user_id)
    # The shape of a real one, so that a bot which looks at the shape sees nothing odd.
    token = f"{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(5)[:6]}.{secrets.token_urlsafe(28)}"
    return World(state, guild.id, token, secrets.token_bytes(32), people)


def _restore(clock: Clock, body: str, records: Records) -> World:
    saved = _ADAPTER.validate_json(body)
    state = LocalDiscord(clock)
    state.users = {user.id: user for user in saved.users}
    state.bot_user = state.users[saved.bot_id]
    state.application_id = saved.application_id
    state.guilds = {guild.id: guild for guild in saved.guilds}
    state.channels = {channel.id: channel for channel in saved.channels}
    state.messages = {channel.id: {} for channel in saved.channels}
    state.dm_channels = saved.dm_channels
    state.nsfw = set(saved.nsfw)
    state.locales = saved.locales
    for kind in ("message", "interaction", "nonce", "commands"):
        for key, text in records.load(kind):
            state.restore(kind, key, text)
    for ids in (state.users, state.channels, state.guilds):
        for found in ids:
            state.seen_id(found)
    state.forget_stale_ephemerals()
    return World(state, saved.guild_id, saved.token, bytes.fromhex(saved.cdn_secret), saved.people)


def open_world(records: Records, clock: Clock, bot_name: str = "Pincel") -> World:
    """The stored world, or a new one, stored at once so that its ids and its token never change again."""
    stored: list[tuple[int, Any]] = list(records.load("world"))
    if stored:
        return _restore(clock, stored[0][1], records)
    world = _create(clock, bot_name)
    world.discord.take_changes()
    records.write_now([world.record()])
    return world
