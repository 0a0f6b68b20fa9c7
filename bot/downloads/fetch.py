"""Fetches one file, whole or not at all, whatever its servers do; usable without a bot.

async with Web(WebRules(), Tokens()) as web:
    source = await resolve(parse_links(text)[0], web)
    path = await fetch(source, folder, FetchLimits(), print, web=web)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot.downloads.sources import Source
from bot.downloads.web import Web

__all__ = ["GB", "FetchLimits", "FetchProgress", "fetch"]

GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FetchLimits:
    size_bytes: int = 30 * GB
    time_s: float = 12 * 3600.0
    """Of fetching alone; it goes on counting after an interruption."""
    stall_s: float = 60.0
    """A server that sends nothing for so long is left."""
    spare_bytes: int = 1 * GB
    """What stays free on the disk."""
    tries: int = 10
    """In a row, without a new byte."""


@dataclass(frozen=True, slots=True)
class FetchProgress:
    received_bytes: int
    total_bytes: int | None
    rate_bytes_s: float
    """Smoothed."""
    eta_s: float | None
    filename: str | None


async def fetch(
    source: Source,
    folder: Path,
    limits: FetchLimits,
    on_progress: Callable[[FetchProgress], None] = lambda _: None,
    *,
    web: Web,
) -> Path:
    """Into `folder`, which is this file's alone: after any interruption the same call goes on from what is there.

    Returns the whole file, of the source's hash where it names one, under a name that every file system takes. Raises
    UserFacingError, OSError.
    """
    raise NotImplementedError
