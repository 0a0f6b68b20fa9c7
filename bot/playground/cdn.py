"""Attachments: files below the data folder, handed out under signed addresses that expire, as Discord's do.

Inside the world an attachment has SimCord's canonical address, which names no host; only what leaves the process
carries the real one. So a message survives a change of port, and a bot may send an address it was given back in.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import mimetypes
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from simcord.backend.cdn import CDN_BASE, CdnStore

__all__ = ["DiskCdn", "Upload", "safe_filename"]

_URL_LIFE_S = 24 * 3600
_ORPHAN_AGE_S = 24 * 3600
"""A file that no message refers to (an upload in a command's option) is kept this long."""
_URL_KEYS = frozenset({"url", "proxy_url", "icon_url", "proxy_icon_url"})


def safe_filename(name: str) -> str:
    """Letters, digits, dot, dash, underscore and brackets, at most 100; Discord turns blanks into underscores too."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1])
    name = re.sub(r"[^\w.()-]+", "_", name).lstrip(".")
    stem, dot, suffix = name.rpartition(".")
    return (f"{stem[: 99 - len(suffix)]}.{suffix}" if dot and len(suffix) < 20 else name[:100]) or "file"


@dataclass
class Upload:
    """One received file, already on disk. SimCord's routes read `fp` and hand what they get to `store_attachment`."""

    filename: str
    path: Path
    size_bytes: int
    width_px: int | None = None
    height_px: int | None = None
    description: str | None = None

    @property
    def fp(self) -> Upload:
        return self

    def read(self) -> Upload:
        return self


def _picture_size(data: bytes) -> tuple[int, int] | tuple[None, None]:
    """Width and height, read from the header alone; nothing is decoded."""
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
            warnings.simplefilter("ignore")
            return picture.size
    except Exception:  # whatever Pillow makes of foreign bytes: it is no picture then
        return None, None


class DiskCdn(CdnStore):
    """SimCord's store of binary assets, on disk.

    `folder` holds `<attachment id>` files and `incoming/` for uploads that belong to nothing yet; `secret` signs.
    """

    def __init__(self, folder: Path, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._folder = folder
        self._secret = secret
        self._clock = clock
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self.base = ""
        """Scheme, host and port for the bot, known once the socket is bound."""

    def receive(self, filename: str, data: bytes) -> Upload:
        """Writes an upload; call it off the event loop."""
        path = self._incoming / secrets.token_hex(16)
        path.write_bytes(data)
        kind = mimetypes.guess_type(filename)[0] or ""
        width, height = _picture_size(data) if kind.startswith("image/") else (None, None)
        return Upload(safe_filename(filename), path, len(data), width, height)

    def discard(self, uploads: Iterable[Upload]) -> None:
        """Removes uploads that were refused; those taken over by `store_attachment` are gone already."""
        for upload in uploads:
            upload.path.unlink(missing_ok=True)

    def store_attachment(
        self, attachment_id: int, channel_id: int, filename: str, data: Any, description: str | None
    ) -> dict[str, Any]:
        """A rename within one folder, so it may run on the event loop."""
        upload = cast("Upload", data)
        upload.path.replace(self.file_of(attachment_id))
        url = f"{CDN_BASE}/attachments/{channel_id}/{attachment_id}/{quote(filename)}"
        found: dict[str, Any] = {
            "id": str(attachment_id),
            "filename": filename,
            "size": upload.size_bytes,
            "url": url,
            "proxy_url": url,
            "content_type": mimetypes.guess_type(filename)[0] or "application/octet-stream",
        }
        if description is not None:
            found["description"] = description
        if upload.width_px is not None:
            found |= {"width": upload.width_px, "height": upload.height_px}
        return found

    def file_of(self, attachment_id: int) -> Path:
        return self._folder / str(attachment_id)

    def remove(self, attachment_ids: Iterable[int]) -> None:
        """Call it off the event loop."""
        for attachment_id in attachment_ids:
            self.file_of(attachment_id).unlink(missing_ok=True)

    def sweep(self, referenced: frozenset[int]) -> None:
        """Removes leftovers older than a day; call it off the event loop."""
        horizon = self._clock() - _ORPHAN_AGE_S
        for path in [*self._folder.iterdir(), *self._incoming.iterdir()]:
            unused = path.parent == self._incoming or (path.name.isdecimal() and int(path.name) not in referenced)
            if unused and path.is_file() and path.stat().st_mtime < horizon:
                path.unlink(missing_ok=True)

    # ------------------------------------------------------------- addresses

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}?{expires}".encode(), hashlib.sha256).hexdigest()

    def _signed(self, canonical: str, base: str) -> str:
        path = canonical.removeprefix(CDN_BASE)
        # A whole number of lives, so that the address, and with it the browser's cache entry, changes once a day.
        expires = f"{(int(self._clock()) // _URL_LIFE_S + 2) * _URL_LIFE_S:x}"
        return f"{base}/cdn{path}?ex={expires}&hm={self._signature(path, expires)}"

    def allows(self, raw_path: str, expires: str, signature: str) -> bool:
        """Whether a request for `raw_path` (below /cdn, still percent-encoded) carries a living signature."""
        if not hmac.compare_digest(self._signature(raw_path, expires).encode(), signature.encode()):
            return False
        return int(expires, 16) > self._clock()

    def outbound(self, value: Any, base: str | None = None) -> Any:
        """A copy of a payload with addresses the receiver can fetch; `base` is "" for the page (same origin)."""
        base = self.base if base is None else base
        if isinstance(value, dict):
            table = cast("dict[str, Any]", value)
            return {
                key: self._signed(item, base)
                if key in _URL_KEYS and isinstance(item, str) and item.startswith(f"{CDN_BASE}/attachments/")
                else self.outbound(item, base)
                for key, item in table.items()
            }
        if isinstance(value, list | tuple):
            return [self.outbound(item, base) for item in cast("list[Any]", value)]
        return value

    def inbound(self, value: Any) -> Any:
        """The reverse, for payloads that repeat an address which was handed out."""
        if isinstance(value, dict):
            table = cast("dict[str, Any]", value)
            return {
                key: CDN_BASE + urlsplit(item).path.removeprefix("/cdn")
                if key in _URL_KEYS and isinstance(item, str) and item.startswith(f"{self.base}/cdn/attachments/")
                else self.inbound(item)
                for key, item in table.items()
            }
        if isinstance(value, list):
            return [self.inbound(item) for item in cast("list[Any]", value)]
        return value

    def locate(self, raw_path: str) -> tuple[Path, str] | None:
        """File and name behind `/attachments/<channel>/<id>/<name>`, or None."""
        parts = raw_path.strip("/").split("/")
        if len(parts) != 4 or parts[0] != "attachments" or not parts[2].isdecimal():
            return None
        return self.file_of(int(parts[2])), unquote(parts[3])
