"""Points discord.py at a playground instead of discord.com. The bot imports this, so it stays light."""

from __future__ import annotations

from dataclasses import dataclass

import discord.asset
import discord.gateway
import discord.http
import yarl

__all__ = ["Endpoints", "point_discord_at"]


@dataclass(frozen=True)
class Endpoints:
    """What the playground prints, as one line of JSON, when it is ready.

    `page` is for a person, the key in it is a secret; `api` ends without a slash; `gateway` is a ws:// address.
    """

    page: str
    api: str
    gateway: str
    token: str

    @property
    def cdn(self) -> str:
        return self.api.removesuffix("/api/v10") + "/cdn"


def point_discord_at(endpoints: Endpoints) -> None:
    """Redirects REST, gateway and avatars of every client in this process; attachment URLs come absolute anyway."""
    discord.http.Route.BASE = endpoints.api
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(endpoints.gateway)
    discord.asset.Asset.BASE = endpoints.cdn  # pyright: ignore[reportAttributeAccessIssue] - inferred as a literal
