"""What the commands about models ask of the network: one guarded client for what hosts say, and for the files."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bot.catalogue import Entry
from bot.downloads.beside import fetch_beside
from bot.downloads.fetch import FetchLimits, FetchProgress, fetch
from bot.downloads.links import parse_links, resolve
from bot.downloads.manager import DownloadRules
from bot.downloads.sources import Source
from bot.downloads.web import Tokens, Web, WebRules
from bot.settings import Settings

__all__ = ["Network", "open_network"]


class Network:
    def __init__(self, web: Web, limits: FetchLimits) -> None:
        self._web = web
        self._limits = limits

    async def resolve(self, address: str) -> Source:
        """What its host says of a file or a page. Raises UserFacingError."""
        (link,) = parse_links(address)
        return await resolve(link, self._web)

    async def fetch(self, entry: Entry, folder: Path, on_progress: Callable[[FetchProgress], None]) -> Path:
        """The file of an installable entry, whole and of its hash. Raises UserFacingError, OSError."""
        assert entry.sha256 is not None
        suffix = next((end for url in entry.urls if (end := PurePosixPath(urlsplit(url).path).suffix)), ".safetensors")
        source = Source(
            urls=entry.urls, filename=(entry.name or entry.key) + suffix, size_bytes=entry.size_bytes,
            sha256=entry.sha256, kind=entry.kind,
        )  # fmt: skip
        return await fetch(source, folder, self._limits, on_progress, web=self._web)

    async def fetch_beside(self, entry: Entry, folder: Path) -> Path:
        """The small file of an entry that has one. Raises UserFacingError, OSError."""
        assert entry.beside_sha256 is not None
        return await fetch_beside(self._web, entry.beside_url, entry.beside_sha256, folder)


@contextlib.asynccontextmanager
async def open_network(settings: Settings) -> AsyncGenerator[Network]:
    """With the operator's tokens and limits."""
    tokens = Tokens(settings.civitai_token, settings.huggingface_token)
    async with Web(WebRules(allow_http=settings.download_http), tokens) as web:
        yield Network(web, DownloadRules.of(settings).limits)
