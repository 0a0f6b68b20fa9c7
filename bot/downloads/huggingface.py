"""Hugging Face: files of repositories. For a large file its redirect names SHA-256 and size in headers."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import unquote

from yarl import URL

from bot.downloads.sources import Source
from bot.downloads.web import Web
from bot.errors import UserFacingError

__all__ = ["resolve"]

_FILE = re.compile(r"((?:/(?:datasets|spaces))?/[^/]+(?:/[^/]+)?)/(?:resolve|blob|raw)/([^/]+)/(.+)")
_SHA256 = re.compile(r"(?:W/)?\"?([0-9a-f]{64})\"?", re.IGNORECASE)


async def resolve(url: URL, web: Web) -> Source:
    """Raises UserFacingError: `download_huggingface_page`, and those of the web."""
    found = _FILE.fullmatch(url.raw_path)
    if found is None:
        raise UserFacingError("download_huggingface_page")
    repository, revision, path = found.groups()
    address = url.with_path(f"{repository}/resolve/{revision}/{path}", encoded=True).with_query(None)
    sha256: str | None = None
    size_bytes: int | None = None
    async with web.open(str(address), method="HEAD", may_leave=False) as answer:
        for hop in answer.hops:
            if match := _SHA256.fullmatch(hop.headers.get("X-Linked-Etag", "").strip()):
                sha256 = match[1].lower()
            with contextlib.suppress(ValueError):
                size_bytes = max(int(hop.headers.get("X-Linked-Size", "")), 0)
    return Source(
        urls=(str(address),),
        filename=unquote(path.rpartition("/")[2]),
        size_bytes=size_bytes,
        sha256=sha256,
        page=str(url.with_path(f"{repository}/blob/{revision}/{path}", encoded=True).with_query(None)),
    )
