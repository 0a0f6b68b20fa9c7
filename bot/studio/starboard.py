"""The star board: what enough people of a server like is shown once more in a channel of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
import discord

from bot.delivery.cards import filename
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, climb_down
from bot.domain.ids import ImageId, JobId, MessageId, UserId
from bot.domain.job import Image, Job
from bot.domain.model_rules import Where
from bot.i18n import texts_for
from bot.storage.favourites import Favourites
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.starboards import Board, Starboards, StarPost
from bot.studio.operations.sight import PromptSight
from bot.studio.star_card import star_card

__all__ = ["Showing", "Starboard", "age_restricted"]

log = logging.getLogger(__name__)

SHOWN_MAX = 10
SWEPT_MAX = 50
RETRY_S = 60.0


class Showing(Protocol):
    """How pictures may be shown in a place: `plain`, `spoiler`, `blur` or `block`."""

    async def __call__(self, images: Collection[Image], where: Where) -> Mapping[ImageId, str]: ...


class Starboard:
    def __init__(
        self,
        *,
        client: discord.Client,
        boards: Starboards,
        favourites: Favourites,
        jobs: Jobs,
        images: Images,
        showing: Showing,
        locale_of: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        """`locale_of` knows the language that a server is spoken to in."""
        self._client = client
        self._boards = boards
        self._jobs = jobs
        self._images = images
        self._showing = showing
        self._sight = PromptSight(client)
        self._locale_of = locale_of
        self._starred: set[ImageId] = set()
        self._deleted: set[JobId] = set()
        self._owed = False
        """Whether a claimed post has not been sent."""
        self._wake = asyncio.Event()
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        favourites.subscribe(self._changed)
        images.subscribe_deleted(self._gone)

    def _changed(self, images: Sequence[ImageId]) -> None:
        self._starred.update(images)
        self._busy()

    def _gone(self, images: Sequence[Image]) -> None:
        self._deleted.update(image.job_id for image in images)
        self._busy()

    def _busy(self) -> None:
        self._looked.clear()
        self._wake.set()

    async def looked(self) -> None:
        """Until everything that was starred or deleted so far has been looked at."""
        await self._looked.wait()

    async def start(self) -> None:
        """Goes on with what a bot that died was about to post or to take down."""
        self._task = asyncio.create_task(self._work(), name="starboard")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def remove(self, jobs: Collection[JobId]) -> int:
        """Takes the posts of these cards down; returns how many messages went."""
        count = 0
        for job_id in jobs:
            post = await self._boards.post_of(job_id)
            if post is not None:
                count += await self._take_down(post)
        return count

    async def sweep(self) -> int:
        """Takes down the newest posts whose cards somebody deleted by hand, of which Discord tells us nothing; returns
        how many."""
        count = 0
        for post in await self._boards.newest(SWEPT_MAX):
            job = await self._jobs.get(post.job_id)
            if job is None or job.message_id is None:
                continue
            channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
            try:
                await channel.fetch_message(job.message_id)
            except discord.NotFound:
                count += await self._take_down(post)
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                log.info("whether a card is still there is not known: %s", error)
        return count

    # --- work ---------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        # What may stand where depends on channels that are not known before.
        await self._client.wait_until_ready()
        await self._quietly(self._recover())
        while True:
            if not self._wake.is_set():
                self._looked.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RETRY_S if self._owed else None)
            self._wake.clear()
            if self._owed:
                self._owed = False
                await self._quietly(self._recover())
            starred, self._starred = self._starred, set()
            deleted, self._deleted = self._deleted, set()
            for job_id in deleted:
                await self._quietly(self._follow(job_id))
            if starred:
                for job_id in await self._boards.jobs_of(starred):
                    await self._quietly(self._consider(job_id))

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("the star board goes on with the next")

    async def _recover(self) -> None:
        for post in await self._boards.orphans():
            await self._quietly(self._take_down_orphan(post))
        for post in await self._boards.unposted():
            job = await self._jobs.get(post.job_id)
            board = await self._boards.get(post.guild_id)
            if job is None or board is None:
                await self._boards.drop(post.job_id)
            else:
                await self._quietly(self._post(job, board))

    async def _take_down_orphan(self, post: StarPost) -> None:
        await self._take_down(post)

    async def _consider(self, job_id: JobId) -> None:
        """Posts a card that has just become liked enough, once, whoever else looks at the same moment."""
        job = await self._jobs.get(job_id)
        if job is None or job.guild_id is None or job.private or job.message_id is None:
            return
        board = await self._boards.get(job.guild_id)
        if board is None or board.channel_id == job.channel_id:
            return
        fans = await self._boards.fans(job_id)
        if _people(fans) < board.threshold:
            return
        if not await self._pictures(job, board):
            return
        if await self._boards.claim(job_id, board):
            await self._post(job, board)

    async def _pictures(self, job: Job, board: Board) -> list[tuple[Image, bool]]:
        """Those that somebody likes and the board's channel may show, each with whether it is veiled there."""
        fans = await self._boards.fans(job.id)
        images = [image for image in await self._images.of_job(job.id) if image.id in fans][:SHOWN_MAX]
        target = self._client.get_channel(board.channel_id)
        if not self._sight.shows(job.channel_id, board.guild_id, board.channel_id):
            return []
        where = Where(job.guild_id, board.channel_id, frozenset(), job.user_id, getattr(target, "parent_id", None))
        shown = await self._showing(images, where)
        # A blurred picture is nothing to show off, and a blocked one is nothing at all.
        return [
            (image, shown.get(image.id) == "spoiler")
            for image in images
            if shown.get(image.id, "plain") in ("plain", "spoiler")
        ]

    async def _post(self, job: Job, board: Board) -> None:
        try:
            message_id = await self._sent(job, board)
        except (discord.Forbidden, discord.NotFound) as error:
            log.warning("the star board of server %s cannot be written to: %s", board.guild_id, error)
            message_id = None
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            # The row stays: it is tried again soon, and at the next start. Stars that come meanwhile change nothing.
            self._owed = True
            raise
        if message_id is None:
            await self._boards.drop(job.id)
            return
        await self._boards.posted(job.id, message_id)
        if not await self._boards.fans(job.id):
            await self._follow(job.id)

    async def _sent(self, job: Job, board: Board) -> MessageId | None:
        texts = texts_for(self._locale_of(board.guild_id) or job.locale)
        originals: list[tuple[Image, bool, bytes]] = []
        for image, spoiler in await self._pictures(job, board):
            try:
                originals.append((image, spoiler, await self._images.read(image)))
            except MissingPictureError:
                log.info("picture %s is liked, but its file is gone", image.id)
        if not originals:
            return None
        guild = self._client.get_guild(board.guild_id)
        limit = guild.filesize_limit if guild is not None else DEFAULT_LIMIT_BYTES
        channel = self._client.get_partial_messageable(board.channel_id, guild_id=board.guild_id)
        while True:
            _, uploads = await asyncio.to_thread(
                climb_down, [data for *_, data in originals], [image.infotext for image, *_ in originals], limit
            )
            if not uploads:
                return None
            names = [filename(job, image.index, up.suffix) for (image, *_), up in zip(originals, uploads, strict=True)]
            shown = [(name, image, spoiler) for name, (image, spoiler, _) in zip(names, originals, strict=True)]
            files = [discord.File(io.BytesIO(up.data), name) for up, name in zip(uploads, names, strict=True)]
            stars = _people(await self._boards.fans(job.id))
            view = star_card(job, shown, stars, texts)
            try:
                message = await channel.send(view=view, files=files, nonce=f"s{job.id}")
            except discord.HTTPException as error:
                if error.status != 413 and error.code != 40005:
                    raise
                limit = int(max(len(up.data) for up in uploads) * 0.8)
            else:
                return MessageId(message.id)

    async def _follow(self, job_id: JobId) -> None:
        """Pictures of a card were deleted: its post goes with the last of them."""
        post = await self._boards.post_of(job_id)
        if post is None:
            return None
        if any(not image.deleted for image in await self._images.of_job(job_id)):
            fans = await self._boards.fans(job_id)
            if fans:
                return await self._again(post)
        await self._take_down(post)
        return None

    async def _again(self, post: StarPost) -> None:
        """Some of its pictures are deleted, others stay: posted anew with those."""
        await self._take_down(post)
        job, board = await self._jobs.get(post.job_id), await self._boards.get(post.guild_id)
        if job is not None and board is not None and await self._boards.claim(post.job_id, board):
            await self._post(job, board)

    async def _take_down(self, post: StarPost) -> bool:
        gone = False
        if post.message_id is not None:
            channel = self._client.get_partial_messageable(post.channel_id, guild_id=post.guild_id)
            try:
                await channel.get_partial_message(post.message_id).delete()
                gone = True
            except discord.HTTPException as error:
                if error.status >= 500:
                    raise
                log.info("a star board post could not be deleted: %s", error)
        await self._boards.drop(post.job_id)
        return gone


def _people(fans: Mapping[ImageId, set[UserId]]) -> int:
    return len({user_id for some in fans.values() for user_id in some})


def age_restricted(channel: object) -> bool:
    """Discord keeps the flag on the channel that a thread is in."""
    if isinstance(channel, discord.Thread):
        channel = channel.parent
    return bool(getattr(channel, "nsfw", False))
