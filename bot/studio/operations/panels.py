"""Live panels: messages that show the queue and edit themselves, over restarts, within Discord's limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord

from bot.domain.ids import new_job_id
from bot.domain.job import TokenGrant
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.administration import AdminPanels, LivePanel
from bot.studio.model_admin.telling import texts_of
from bot.studio.operations.queue_card import closed_card, queue_card
from bot.studio.operations.snapshot import QueueLooks
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction

__all__ = ["QueuePanels"]

log = logging.getLogger(__name__)

TICK_S = 1.0
YOUNG_EVERY_S = 4.0
OLD_EVERY_S = 15.0
OLD_S = 3600.0
"""Discord counts edits of messages older than an hour, and refuses them (30046) beyond a number it does not tell."""
TOO_MANY_EDITS = 30046
REFUSED_WAIT_S = 600.0
TROUBLE_WAIT_S = 30.0
TOKEN_LIFE_S = 15 * 60.0
TOKEN_MARGIN_S = 20.0


class _GoneError(Exception):
    """There is no message to edit."""


@dataclass
class _Watched:
    panel: LivePanel
    shown: str = ""
    next_at: float = 0.0
    """On the monotonic clock."""
    asked: bool = False
    """Somebody pressed something: renewed at once, whatever its pace."""


class QueuePanels:
    def __init__(
        self,
        *,
        client: discord.Client,
        panels: AdminPanels,
        looks: QueueLooks,
        stewards: Stewards,
        locale_of: Callable[[int, Interaction], Awaitable[str]],
    ) -> None:
        """`locale_of` is what everybody in a server reads."""
        self._locale_of = locale_of
        self._client = client
        self._panels = panels
        self._looks = looks
        self._stewards = stewards
        self._watched: dict[str, _Watched] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for panel in await self._panels.all():
            self._watched[panel.id] = _Watched(panel)
        self._task = asyncio.create_task(self._run(), name="live-panels")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # --- what is asked ------------------------------------------------------------------------------------------------

    async def open(self, interaction: Interaction, *, everything: bool) -> None:
        """Posts a panel here: of this server, or of all for operators, who see all in a direct message anyway.

        Raises UserFacingError (`admins_only`, `operators_only`, `panel_open_channel`, `panel_permissions`).
        """
        steward = self._stewards.commanding(interaction)
        whole = everything or interaction.guild_id is None
        if whole and not steward.operator:
            raise UserFacingError("operator_alone")
        assert interaction.channel_id is not None, "whatever can be sent or pressed has a channel"
        if interaction.guild_id is not None:
            self._require_room(interaction, whole=whole)
        locale = str(interaction.locale)
        if interaction.guild_id is not None and not whole:
            locale = await self._locale_of(interaction.guild_id, interaction)
        panel = LivePanel(
            id=new_job_id(),
            guild_id=0 if whole else interaction.guild_id or 0,
            user_id=interaction.user.id,
            posted_in=interaction.guild_id or 0,
            channel_id=interaction.channel_id,
            message_id=None,
            locale=locale,
            grant=TokenGrant(interaction.token, interaction.created_at.timestamp() + TOKEN_LIFE_S),
            created_at=time.time(),
        )
        await interaction.response.defer()
        view = queue_card(panel.id, await self._looks.look(panel), texts_for(locale))
        replaced = await self._panels.add(panel)
        try:
            message = await interaction.edit_original_response(view=view)
        except BaseException:
            await self._panels.remove(panel.id)
            raise
        await self._panels.set_message(panel.id, message.id)
        stored = await self._panels.get(panel.id)
        if stored is not None:
            next_at = time.monotonic() + YOUNG_EVERY_S
            self._watched[panel.id] = _Watched(stored, shown=_fingerprint(view), next_at=next_at)
            self._wake.set()
        for old in replaced:
            self._watched.pop(old.id, None)
            await self._say_closed(old, moved=True)

    async def named(self, panel_id: str) -> LivePanel:
        """Raises UserFacingError (`panel_gone`)."""
        panel = await self._panels.get(panel_id)
        if panel is None:
            raise UserFacingError("panel_gone")
        return panel

    def renew(self, panel_id: str | None = None) -> None:
        """At once: one, or all of them."""
        for watched in self._watched.values():
            if panel_id in (None, watched.panel.id):
                watched.asked = True
        self._wake.set()

    async def close(self, panel_id: str) -> None:
        self._watched.pop(panel_id, None)
        await self._panels.remove(panel_id)

    def _require_room(self, interaction: Interaction, *, whole: bool) -> None:
        permissions, texts = interaction.app_permissions, texts_of(interaction)
        thread = isinstance(interaction.channel, discord.Thread)
        needed = ("view_channel", "send_messages_in_threads" if thread else "send_messages")
        lacking = [name for name in needed if not getattr(permissions, name)]
        if lacking:
            raise UserFacingError("panel_permissions", names=", ".join(texts(f"permission.{name}") for name in lacking))
        guild, channel = interaction.guild, interaction.channel
        if whole and guild is not None:
            # What other servers' members ask for is nobody else's business.
            everyone: Any = guild.default_role
            seen = getattr(channel, "permissions_for", None)
            if seen is None or isinstance(channel, discord.Thread) or seen(everyone).view_channel:
                raise UserFacingError("panel_open_channel")

    # --- edits --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S if self._watched else None)
            self._wake.clear()
            await self._client.wait_until_ready()
            for watched in list(self._watched.values()):
                if not watched.asked and time.monotonic() < watched.next_at:
                    continue
                watched.asked = False
                old = time.time() - watched.panel.created_at > OLD_S
                watched.next_at = time.monotonic() + (OLD_EVERY_S if old else YOUNG_EVERY_S)
                try:
                    await self._renew(watched)
                except Exception:
                    watched.next_at = time.monotonic() + TROUBLE_WAIT_S
                    log.exception("the panel %s could not be renewed; it is tried again", watched.panel.id)

    async def _renew(self, watched: _Watched) -> None:
        panel = watched.panel
        view = queue_card(panel.id, await self._looks.look(panel), texts_for(panel.locale))
        shown = _fingerprint(view)
        if shown == watched.shown or panel.id not in self._watched:
            return
        try:
            await self._edit(panel, view)
            watched.shown = shown
        except (discord.NotFound, discord.Forbidden, _GoneError) as error:
            # Deleted, or a channel that is closed to us: nobody sees it any more.
            log.info("the panel %s is gone (%s)", panel.id, error)
            await self.close(panel.id)
        except discord.HTTPException as error:
            refused = error.code == TOO_MANY_EDITS or error.status == 429
            watched.next_at = time.monotonic() + (REFUSED_WAIT_S if refused else TROUBLE_WAIT_S)
            log.info("the panel %s waits: %s", panel.id, error)
        except (aiohttp.ClientError, OSError) as error:
            watched.next_at = time.monotonic() + TROUBLE_WAIT_S
            log.info("the panel %s waits: %s", panel.id, error)

    async def _edit(self, panel: LivePanel, view: discord.ui.LayoutView) -> None:
        if panel.message_id is None:
            raise _GoneError("it was never posted")
        grant = panel.grant
        if grant is not None and grant.expires_at - TOKEN_MARGIN_S > time.time():
            assert self._client.application_id is not None
            webhook = discord.Webhook.partial(self._client.application_id, grant.token, client=self._client)
            try:
                await webhook.edit_message(panel.message_id, view=view)
                return
            except discord.HTTPException as error:
                if error.code == 10008:  # the message itself is gone
                    raise
                log.info("the panel %s: its token is over (%s)", panel.id, error)
        channel = self._client.get_partial_messageable(panel.channel_id, guild_id=panel.posted_in or None)
        await channel.get_partial_message(panel.message_id).edit(view=view)

    async def _say_closed(self, panel: LivePanel, *, moved: bool) -> None:
        try:
            await self._edit(panel, closed_card(texts_for(panel.locale), moved=moved))
        except (discord.HTTPException, aiohttp.ClientError, OSError, _GoneError) as error:
            log.info("the panel %s could not say that it ended: %s", panel.id, error)


def _fingerprint(view: discord.ui.LayoutView) -> str:
    return json.dumps(view.to_components(), sort_keys=True, default=str)
