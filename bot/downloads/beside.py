"""A small file that belongs beside a model, such as a tagger's list of tags: fetched first, put there last."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bot.downloads.web import Web
from bot.errors import UserFacingError

__all__ = ["fetch_beside", "put_beside"]

BYTES_MAX = 32 << 20
_NAME = ".beside"
"""Hidden, so that nobody takes it for the model that is fetched."""


async def fetch_beside(web: Web, url: str, sha256: str, folder: Path) -> Path:
    """In `folder`, whole and of that hash. Raises UserFacingError (`download_hash` and those of the web), OSError."""
    data = await web.read(url, BYTES_MAX)
    if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != sha256:
        raise UserFacingError("download_hash", host=urlsplit(url).hostname or "")
    part = folder / f"{_NAME}{PurePosixPath(urlsplit(url).path).suffix.lower()}"
    await asyncio.to_thread(part.write_bytes, data)
    return part


def put_beside(part: Path, model: Path) -> None:
    """Under the model's own name, over whatever is there: a table of another model would not fit. Blocks. Raises
    OSError."""
    target = model.with_suffix(part.suffix)
    beside = target.with_name(f".{target.name}.part")
    try:
        beside.write_bytes(part.read_bytes())
        beside.replace(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    part.unlink(missing_ok=True)
