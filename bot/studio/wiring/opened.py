"""What the composition root opened before there was a studio."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.broker.keys import Keys
from bot.dispatch.leases import Leases
from bot.dispatch.transport import BotTransport
from bot.downloads.web import WebRules
from bot.settings import Settings
from bot.storage.database import Database
from bot.studio.monitoring.meters import Meters

__all__ = ["StudioParts"]


@dataclass(frozen=True, slots=True)
class StudioParts:
    settings: Settings
    database: Database
    transport: BotTransport
    leases: Leases = field(default_factory=Leases)
    web: WebRules | None = None
    """Where downloads may go; None: as the settings say."""
    meters: Meters | None = None
    """What is counted for PINCEL_METRICS; None: nothing is."""
    keys: Keys | None = None
    """Of machines, at the broker; None: there is none."""
