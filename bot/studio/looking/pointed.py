"""Which picture somebody means: one in a message, an attachment, or one of ours by its id or its message's link."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import discord

from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Image, Job
from bot.domain.pictures import GivenPicture
from bot.errors import UserFacingError
from bot.storage.finds import FoundPicture
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.studio.attachments import Attachments, RemoteFile, from_discord
from bot.ui.client import Interaction
from bot.ui.commands import CHOICES_LIMIT

__all__ = ["Pointed", "found_attachment", "pictures_shown"]

PICTURES_MAX = 10
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
_LINK = re.compile(
    r"https://(?:\w+\.)?discord(?:app)?\.com/channels/(?:\d+|@me)/\d+/(\d{1,18}|[1-8]\d{18})(?!\d)(?:\s*#\s*(\d{1,2}))?"
)
_OF_JOB = re.compile(r"([a-z0-9]{16})-(\d{1,2})(?:\.\w+)?")
_ID = re.compile(r"[a-z0-9]{16}")


def found_attachment(attachment: discord.Attachment) -> FoundPicture:
    return FoundPicture(url=attachment.url, filename=attachment.filename, size=attachment.size)


def pictures_shown(message: discord.Message) -> tuple[FoundPicture, ...]:
    """Everything in a message, or in what it forwards, that is called like a picture, each once. Other programs' cards
    show theirs in embeds and components, where they are no attachments. Pictures from elsewhere in the net count only
    where there is nothing else: they are not fetched, which is then said."""
    found: dict[str, FoundPicture] = {}
    elsewhere: dict[str, FoundPicture] = {}
    for part in (message, *message.message_snapshots):
        for one in part.attachments:
            if (one.content_type or "").startswith("image/") or _is_picture(one.filename):
                found.setdefault(_key(one.url), found_attachment(one))
        for url in (*_media(part.components), *_embedded(part.embeds)):
            name = unquote(PurePosixPath(_key(url)).name)
            if _is_picture(name):
                place = found if from_discord(url) else elsewhere
                place.setdefault(_key(url), FoundPicture(url=url, filename=name))
    return tuple((found or elsewhere).values())[:PICTURES_MAX]


class Pointed:
    def __init__(
        self,
        *,
        client: discord.Client,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        attachments: Attachments,
    ) -> None:
        self._inputs = inputs
        self._client = client
        self._jobs = jobs
        self._images = images
        self._attachments = attachments

    async def in_message(self, message: discord.Message) -> tuple[FoundPicture, ...]:
        """Of a card of ours its recorded pictures, else whatever is shown. Raises UserFacingError
        (`no_picture_here`)."""
        job = await self._jobs.by_message(message.id)
        found = await self._of_job(job) if job is not None else ()
        found = found or pictures_shown(message)
        if not found:
            raise UserFacingError("no_picture_here")
        return found

    async def named(self, interaction: Interaction, text: str) -> FoundPicture:
        """By a picture's id, the name of its file, or the link of its message (`… #2` for the second picture in it).
        Others' pictures only where this person can see their message. Raises UserFacingError
        (`picture_name_unknown`)."""
        text = text.strip()
        if link := _LINK.search(text):
            job = await self._jobs.by_message(int(link[1]))
            images = await self._images.of_job(job.id) if job is not None else []
            wanted = int(link[2] or 1) - 1
            image = next((image for image in images if image.index == wanted), None)
        elif place := _OF_JOB.fullmatch(text):
            job = await self._jobs.get(JobId(place[1]))
            images = await self._images.of_job(job.id) if job is not None else []
            image = next((image for image in images if image.index == int(place[2]) - 1), None)
        else:
            image = await self._images.get(ImageId(text)) if _ID.fullmatch(text) else None
            job = await self._jobs.get(image.job_id) if image is not None else None
        if image is None or job is None or image.deleted or not self.may_see(interaction, job):
            raise UserFacingError("picture_name_unknown")
        return FoundPicture(image_id=image.id)

    async def ours(self, found: FoundPicture) -> tuple[Image, Job] | None:
        """None for a picture that is not ours. Raises UserFacingError (`picture_unknown`) for one of ours that is
        gone."""
        if found.image_id is None:
            return None
        image = await self._images.get(found.image_id)
        job = await self._jobs.get(image.job_id) if image is not None else None
        if image is None or job is None or image.deleted:
            raise UserFacingError("picture_unknown")
        return image, job

    async def one(
        self, interaction: Interaction, attachment: discord.Attachment | None, name: str | None
    ) -> FoundPicture:
        """What a command's two options say. Raises UserFacingError: `picture_needed`, those of `named`."""
        if attachment is not None:
            return found_attachment(attachment)
        if name is None:
            raise UserFacingError("picture_needed")
        return await self.named(interaction, name)

    @contextlib.asynccontextmanager
    async def taken(self, found: FoundPicture, mask: RemoteFile) -> AsyncGenerator[GivenPicture]:
        """To be drawn over under a mask of its size; kept as `Attachments.taken` keeps. Raises as that, and as
        `read`."""
        ours = await self.ours(found)
        if ours is None:
            async with self._attachments.taken(found, mask) as given:
                yield given
            return
        data = await self.read(found)
        image = ours[0]
        async with (
            self._inputs.keeping(data, image.mime) as ref,
            self._attachments.taken_mask(mask, ref) as mask_ref,
        ):
            yield GivenPicture(ref, image.width, image.height, mask_ref)

    async def recent(self, interaction: Interaction, typed: str) -> list[tuple[str, str]]:
        """Id and a line about each of this person's newest pictures whose prompt holds what was typed; at most 25."""
        rows = await self._images.recent_of(UserId(interaction.user.id), typed.strip(), CHOICES_LIMIT)
        return [(image.id, _line(image, prompt)) for image, prompt in rows]

    async def read(self, found: FoundPicture) -> bytes:
        """Raises UserFacingError: `picture_unknown`, `original_gone`, those of `Attachments.fetch`."""
        ours = await self.ours(found)
        if ours is None:
            return await self._attachments.fetch(found)
        try:
            return await self._images.read(ours[0])
        except MissingPictureError as error:
            raise UserFacingError("original_gone") from error

    async def _of_job(self, job: Job) -> tuple[FoundPicture, ...]:
        images = [image for image in await self._images.of_job(job.id) if not image.deleted]
        return tuple(FoundPicture(image_id=image.id) for image in images[:PICTURES_MAX])

    def may_see(self, interaction: Interaction, job: Job) -> bool:
        """Whoever asked for it, and whoever can read the place where it was posted."""
        if job.user_id == interaction.user.id:
            return True
        if job.private:
            return False
        if job.channel_id == interaction.channel_id:
            return True
        if job.guild_id is None or job.guild_id != interaction.guild_id:
            return False
        channel = self._client.get_channel(job.channel_id)
        member = interaction.user
        if not isinstance(member, discord.Member) or not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
            return False
        if isinstance(channel, discord.Thread) and channel.is_private():
            return False
        allowed = channel.permissions_for(member)
        return allowed.view_channel and allowed.read_message_history


def _is_picture(name: str) -> bool:
    return PurePosixPath(name.lower()).suffix in _SUFFIXES


def _key(url: str) -> str:
    """The same file has several addresses, which differ behind the question mark and in the host. Empty for what is no
    address."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _embedded(embeds: Sequence[discord.Embed]) -> Iterator[str]:
    for embed in embeds:
        for media in (embed.image, embed.thumbnail):
            if media.url:
                yield media.url


def _media(components: Any) -> Iterator[str]:
    """Addresses of what galleries, thumbnails and file components show, nested ones too."""
    for item in components:
        media = getattr(item, "media", None) or getattr(item, "file", None)
        if media is not None and getattr(media, "url", None):
            yield str(media.url)
        for entry in getattr(item, "items", None) or ():
            if getattr(entry, "media", None) is not None:
                yield str(entry.media.url)
        yield from _media(getattr(item, "children", None) or getattr(item, "components", None) or ())
        if (accessory := getattr(item, "accessory", None)) is not None:
            yield from _media([accessory])


def _line(image: Image, prompt: str) -> str:
    return f"{' '.join(prompt.split())[:70]} · {image.index + 1} · {image.id}"
