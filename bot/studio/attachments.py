"""Pictures that come with a command: fetched from Discord alone, looked at, and kept before anything is promised."""

from __future__ import annotations

import asyncio
import contextlib
import io
import warnings
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import discord

from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.pictures import GivenPicture
from bot.errors import UserFacingError
from bot.storage.images import MissingPictureError
from bot.storage.inputs import InputPictures
from bot.studio.hidden import acknowledged
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import ImageRef

__all__ = ["Attachments", "RemoteFile", "from_discord"]

FETCH_TIMEOUT_S = 60.0
CHUNK_BYTES = 256 * 1024
_MEDIA_ORIGIN = ("https", "media.discordapp.net")
_MIMES = {
    "PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif",
}  # fmt: skip
"""MPO is a JPEG with more pictures behind it, as phones make them; the first one counts. Pillow opens it as JPEG."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class RemoteFile(Protocol):
    """A file at Discord: an attachment, or what a message shows. `size` is in bytes, 0 where nobody said."""

    @property
    def url(self) -> str: ...
    @property
    def filename(self) -> str: ...
    @property
    def size(self) -> int: ...


class Attachments:
    def __init__(self, inputs: InputPictures, limits: Limits) -> None:
        self._inputs = inputs
        self._limits = limits

    def check(self, attachment: RemoteFile) -> None:
        """What its own entry tells, before anything is fetched. Raises UserFacingError: `picture_large`,
        `picture_foreign`."""
        if attachment.size > self._limits.max_picture_bytes:
            raise UserFacingError("picture_large", limit_mb=self._limits.max_picture_bytes >> 20)
        self._require_discord(attachment)

    @staticmethod
    def _require_discord(attachment: RemoteFile) -> None:
        # An address comes from outside: nothing but Discord's hosts is asked, or else this machine's network would be.
        if not from_discord(attachment.url):
            raise UserFacingError("picture_foreign")

    async def fetch(self, attachment: RemoteFile) -> bytes:
        """A picture's bytes, not looked at yet. Raises UserFacingError: those of `check`, `picture_gone`."""
        self.check(attachment)
        return await self._fetch(attachment.url)

    async def save(self, attachment: discord.Attachment, path: Path) -> None:
        """Any file, however large, piece by piece. Raises UserFacingError: `picture_foreign`, `attachment_gone`;
        OSError."""
        self._require_discord(attachment)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=FETCH_TIMEOUT_S, sock_read=FETCH_TIMEOUT_S)
        received = 0
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.get(attachment.url, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise UserFacingError("attachment_gone")
                with await asyncio.to_thread(path.open, "wb") as file:
                    async for part in response.content.iter_chunked(CHUNK_BYTES):
                        received += len(part)
                        if received > attachment.size:
                            raise UserFacingError("attachment_gone")
                        await asyncio.to_thread(file.write, part)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UserFacingError("attachment_gone") from error
        if received != attachment.size:
            raise UserFacingError("attachment_gone")

    @contextlib.asynccontextmanager
    async def given(
        self,
        interaction: Interaction,
        image: discord.Attachment | None,
        mask: discord.Attachment | None,
        *,
        hidden: bool,
    ) -> AsyncGenerator[GivenPicture | None]:
        """The kept picture of a command, or None where it has none. Fetching may take longer than an answer may, so the
        command is acknowledged first (`hidden`: what follows is for the user alone); whatever the body raises takes
        that back. Raises UserFacingError: `mask_without_picture`, those of `taken`."""
        if image is None:
            if mask is not None:
                raise UserFacingError("mask_without_picture")
            yield None
            return
        for one in (image, mask):
            if one is not None:
                self.check(one)
        async with acknowledged(interaction, hidden=hidden), self.taken(image, mask) as picture:
            yield picture

    @contextlib.asynccontextmanager
    async def taken(self, image: RemoteFile, mask: RemoteFile | None) -> AsyncGenerator[GivenPicture]:
        """Kept durably, and thrown away again where the body raises and no job or draft needs it.

        Raises UserFacingError: those of `check`, `picture_unreadable`, `picture_pixels`, `picture_gone`, `mask_size`;
        StorageFullError.
        """
        async with contextlib.AsyncExitStack() as kept:
            ref, size = await self._one(image, kept)
            mask_ref = None
            if mask is not None:
                mask_ref, mask_size = await self._one(mask, kept)
                if mask_size != size:
                    raise UserFacingError(
                        "mask_size", width=size[0], height=size[1], mask_width=mask_size[0], mask_height=mask_size[1]
                    )
            yield GivenPicture(ref, *size, mask_ref)

    @contextlib.asynccontextmanager
    async def taken_mask(self, mask: RemoteFile, image: ImageRef) -> AsyncGenerator[ImageRef]:
        """As `taken`, for a kept picture. Raises UserFacingError: those of `taken`, `tweak_source_gone`."""
        try:
            found = await asyncio.to_thread(_look_at, await self._inputs.read(image))
        except MissingPictureError as error:
            raise UserFacingError("tweak_source_gone") from error
        async with contextlib.AsyncExitStack() as kept:
            ref, mask_size = await self._one(mask, kept)
            size = found[1] if found is not None else mask_size
            if mask_size != size:
                raise UserFacingError(
                    "mask_size", width=size[0], height=size[1], mask_width=mask_size[0], mask_height=mask_size[1]
                )
            yield ref

    async def _one(self, attachment: RemoteFile, kept: contextlib.AsyncExitStack) -> tuple[ImageRef, tuple[int, int]]:
        self.check(attachment)
        data = await self._fetch(attachment.url)
        found = await asyncio.to_thread(_look_at, data)
        if found is None:
            raise UserFacingError("picture_unreadable", name=spoken(attachment.filename))
        mime, size = found
        if size[0] * size[1] > self._limits.max_picture_pixels:
            raise UserFacingError(
                "picture_pixels", width=size[0], height=size[1], limit_mp=self._limits.max_picture_pixels // 10**6
            )
        return await kept.enter_async_context(self._inputs.keeping(data, mime)), size

    async def _fetch(self, url: str) -> bytes:
        limit = self._limits.max_picture_bytes
        parts: list[bytes] = []
        total = 0
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S), trust_env=True) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise UserFacingError("picture_gone")
                async for part in response.content.iter_chunked(CHUNK_BYTES):
                    total += len(part)
                    if total > limit:
                        raise UserFacingError("picture_large", limit_mb=limit >> 20)
                    parts.append(part)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UserFacingError("picture_gone") from error
        return b"".join(parts)


def from_discord(url: str) -> bool:
    """Whether an address is one of Discord's own files."""
    try:
        return _origin(url) in (_origin(discord.asset.Asset.BASE), _MEDIA_ORIGIN)
    except ValueError:  # what is no address at all
        return False


def _origin(url: str) -> tuple[str, str]:
    found = urlsplit(url)
    return found.scheme, found.netloc


def _look_at(data: bytes) -> tuple[str, tuple[int, int]] | None:
    """Type and upright size, from the header; None for what is no picture. The worker decodes it."""
    from PIL import ExifTags, Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                width, height = picture.size
                turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
                return _MIMES[str(picture.format)], (height, width) if turned else (width, height)
    except Exception:  # whatever Pillow makes of foreign bytes: it is no picture then
        return None
