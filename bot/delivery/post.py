"""The ways to a user, tried in order: token edit, edit by bot token, new message in the channel, direct message.

Every way is idempotent: edits by nature, sends by an enforced nonce (the job id), so a result is never posted twice.
"""

from __future__ import annotations

import datetime
import enum
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import discord

from bot.domain.ids import MessageId
from bot.domain.job import Job
from bot.ui.codec import Verb, encode

__all__ = ["Card", "Posted", "Poster", "TooLargeError", "Way"]

log = logging.getLogger(__name__)

LOOK_BACK = 300
"""Messages that are looked through for a result that may be posted already."""
TOKEN_OVER, TOO_MANY_EDITS = 50027, 30046
"""The second is of messages older than an hour: a new message is still possible."""
TOKEN_MARGIN_S = 20.0
"""A request that starts now must still arrive before the token's end."""


class TooLargeError(Exception):
    """Discord refused the size (413 or 40005): the next smaller form has to be tried."""


class Way(enum.StrEnum):
    TOKEN = "token"  # noqa: S105 - a way's name
    EDIT = "edit"
    CHANNEL = "channel"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Card:
    """A view and its files. Files are made anew for each try because discord.py reads and closes them."""

    view: discord.ui.LayoutView
    files: Callable[[], Sequence[discord.File]] = list
    direct_view: discord.ui.LayoutView | None = None
    """Instead of `view` where it goes by direct message because the channel is closed."""
    in_channel_only: bool = False
    """Never by direct message: adult content stays where it is allowed."""


@dataclass(frozen=True, slots=True)
class Posted:
    way: Way
    message_id: MessageId


class Poster:
    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def post(
        self, job: Job, card: Card, *, only_edit: bool = False, nonce: str | None = None, look_first: bool = False
    ) -> Posted | None:
        """Brings the card to its user; None where every way is closed.

        `only_edit` is for progress: it is not worth a new message. A `nonce` other than the job id is for a card that
        is no result yet: Discord answers a repeated one with the first message, unchanged. `look_first` is for a
        result that an earlier life may have posted, longer ago than Discord remembers a nonce. Raises TooLargeError,
        and discord.HTTPException (5xx), aiohttp.ClientError or OSError for trouble that may pass: try again later.
        """
        for way, attempt in self._ways(job, card, nonce or job.id, only_edit=only_edit, look_first=look_first):
            try:
                message_id = await attempt()
                return Posted(way, message_id)
            except (discord.NotFound, discord.Forbidden) as error:
                # 10008 message deleted, 10015/50027 token over, 50001/50013 no access any more: the next way.
                log.info("job %s: way %s is closed (%s)", job.id, way, error.code)
            except discord.HTTPException as error:
                if error.status == 413 or error.code == 40005:
                    raise TooLargeError from error
                if error.code not in (TOKEN_OVER, TOO_MANY_EDITS):
                    raise
                log.info("job %s: way %s is closed (%s)", job.id, way, error.code)
        return None

    def _ways(
        self, job: Job, card: Card, nonce: str, *, only_edit: bool, look_first: bool
    ) -> list[tuple[Way, Callable[[], Awaitable[MessageId]]]]:
        ways: list[tuple[Way, Callable[[], Awaitable[MessageId]]]] = []
        if self.token_lives(job):
            ways.append((Way.TOKEN, lambda: self._edit_by_token(job, card)))
        # An ephemeral card is out of reach without its token, and its channel is for what everybody may see.
        if job.message_id is not None and not job.private:
            ways.append((Way.EDIT, lambda: self._edit(job, card)))
        if not only_edit:
            if not job.private:
                ways.append((Way.CHANNEL, lambda: self._send(job, card, nonce, look_first=look_first)))
            if not card.in_channel_only:
                ways.append((Way.DIRECT, lambda: self._send_direct(job, card, nonce)))
        return ways

    def only_by_token(self, job: Job) -> bool:
        """Whether its card cannot be edited by the bot's own token: because only its user sees it, or because the bot
        is not in that server but came with the user."""
        return job.private or (job.guild_id is not None and self._client.get_guild(job.guild_id) is None)

    @staticmethod
    def token_lives(job: Job) -> bool:
        return job.grant is not None and job.grant.expires_at - TOKEN_MARGIN_S > time.time()

    async def _edit_by_token(self, job: Job, card: Card) -> MessageId:
        assert job.grant is not None
        assert self._client.application_id is not None
        webhook = discord.Webhook.partial(self._client.application_id, job.grant.token, client=self._client)
        # "@original" is no snowflake, but the endpoint takes it, and a job whose answer was cut off knows no other id.
        original: int = job.message_id or "@original"  # type: ignore[assignment]
        message = await webhook.edit_message(original, view=card.view, attachments=list(card.files()))
        return MessageId(message.id)

    async def _edit(self, job: Job, card: Card) -> MessageId:
        assert job.message_id is not None
        channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
        message = channel.get_partial_message(job.message_id)
        edited = await message.edit(view=card.view, attachments=list(card.files()))
        return MessageId(edited.id)

    async def _send(self, job: Job, card: Card, nonce: str, *, look_first: bool) -> MessageId:
        channel = self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)
        if look_first and (posted := await self._already_posted(job, channel)) is not None:
            return posted
        reference = None
        if job.reply_to_id is not None:
            reference = discord.MessageReference(
                message_id=job.reply_to_id, channel_id=job.channel_id, guild_id=job.guild_id, fail_if_not_exists=False
            )
        files = list(card.files())
        if reference is None:
            message = await channel.send(view=card.view, files=files, nonce=nonce)
        else:
            message = await channel.send(view=card.view, files=files, nonce=nonce, reference=reference)
        return MessageId(message.id)

    async def _already_posted(self, job: Job, channel: discord.PartialMessageable) -> MessageId | None:
        """A message of ours whose buttons address this job's result."""
        since = datetime.datetime.fromtimestamp(job.created_at, datetime.UTC)
        # The card of a training that runs has no such button.
        address = encode(Verb.REROLL, job.id) if job.training is None else encode(Verb.TRAINING, job.id, 5)
        async for message in channel.history(limit=LOOK_BACK, after=since):
            ours = self._client.user is not None and message.author.id == self._client.user.id
            if ours and any(address in str(component.to_dict()) for component in message.components):
                return MessageId(message.id)
        return None

    async def _send_direct(self, job: Job, card: Card, nonce: str) -> MessageId:
        user = await self._client.fetch_user(job.user_id)
        message = await user.send(view=card.direct_view or card.view, files=list(card.files()), nonce=nonce)
        return MessageId(message.id)
