""" "Forget me": everything of a person goes, in steps that a restart goes on with, and they are told what went."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import discord

from bot.delivery.post import TOKEN_MARGIN_S
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import JobId, UserId
from bot.domain.job import TokenGrant
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.forgetting import Forgetting
from bot.storage.forgettings import ForgetWish, ForgetWishes
from bot.storage.history_search import HistorySearch
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.thumbnails import Thumbnails
from bot.studio.history.deleting import delete_message
from bot.studio.history.exporting import Exporting
from bot.studio.intake import TOKEN_LIFE_S
from bot.studio.starboard import Starboard
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import fields_of, form_of, text_field

__all__ = ["ForgetMe"]

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
"""While jobs of theirs are still being stopped."""
GIVE_UP_WAITING_S = 15 * 60.0
"""A job that neither ends nor can be stopped for so long is waited for by the next start."""
OWN_MESSAGES_MAX = 2000
"""Of the direct messages, looked through for those that no job knows."""
RETRY_S = 60.0

Card = discord.ui.LayoutView


class ForgetMe:
    def __init__(
        self,
        *,
        client: discord.Client,
        wishes: ForgetWishes,
        forgetting: Forgetting,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        thumbnails: Thumbnails,
        search: HistorySearch,
        exporting: Exporting,
        starboard: Starboard,
        dispatcher: Dispatcher,
        first: Sequence[Callable[[UserId], Awaitable[object]]] = (),
        also: Sequence[Callable[[UserId], Awaitable[object]]] = (),
    ) -> None:
        """`first` are parts that have files of a person, which are found by rows; `also` are parts that keep something
        of a person in memory. Each may be called again."""
        self._client = client
        self._wishes = wishes
        self._forgetting = forgetting
        self._jobs = jobs
        self._images = images
        self._inputs = inputs
        self._thumbnails = thumbnails
        self._search = search
        self._exporting = exporting
        self._starboard = starboard
        self._dispatcher = dispatcher
        self._first = first
        self._also = also
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._wake.set()
        self._task = asyncio.create_task(self._work(), name="forget-me")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # --- asking -------------------------------------------------------------------------------------------------------

    async def ask(self, interaction: Interaction) -> None:
        """What there is of them, and the button that begins; only they see it."""
        texts = texts_for(str(interaction.locale))
        held = await self._wishes.holdings(UserId(interaction.user.id))
        view, box = _card()
        lines = [
            f"### {texts('forget.title')}",
            texts("forget.pictures", n=held.pictures),
            texts("forget.rest", jobs=held.jobs, styles=held.styles, favourites=held.favourites),
            *([texts("forget.waiting", n=held.waiting)] if held.waiting else []),
            texts("forget.messages"),
            "-# " + texts("forget.stays"),
        ]
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
        go = button(
            Verb.FORGET, str(interaction.user.id), texts("forget.button"), emoji="🧹",
            style=discord.ButtonStyle.danger,
        )  # fmt: skip
        box.add_item(discord.ui.ActionRow(in_layout(go)))
        await interaction.response.send_message(view=view, ephemeral=True)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError (`not_you`)."""
        self._require_self(interaction, address)
        texts = texts_for(str(interaction.locale))
        form = form_of(texts("forget.form.title"), encode(Verb.FORGET_FORM, address.id))
        word = texts("forget.word")
        text_field(
            form, "word", texts("forget.form.word", word=word), texts("forget.form.hint"), "", paragraph=False,
            required=True, max_length=40,
        )  # fmt: skip
        await interaction.response.send_modal(form)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `not_you`, `forget_word`."""
        self._require_self(interaction, address)
        texts = texts_for(str(interaction.locale))
        word = texts("forget.word")
        if fields_of(interaction).get("word", "").strip().casefold() != word.casefold():
            raise UserFacingError("forget_word", word=word)
        grant = TokenGrant(interaction.token, interaction.created_at.timestamp() + TOKEN_LIFE_S)
        await self._wishes.add(UserId(interaction.user.id), str(interaction.locale), grant)
        await interaction.response.edit_message(view=_said(texts("forget.begun")))
        self._wake.set()

    @staticmethod
    def _require_self(interaction: Interaction, address: Address) -> None:
        if address.id != str(interaction.user.id):
            raise UserFacingError("not_you")

    # --- the work -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            again = False
            for wish in await self._wishes.all():
                try:
                    again = not await self._forget(wish) or again
                except Exception:
                    log.exception("forgetting somebody goes on later")
                    again = True
            if again:
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _forget(self, wish: ForgetWish) -> bool:
        """Whether it is done and told. Every step can be gone through again."""
        user_id = wish.user_id
        if not wish.done:
            await self._exporting.forget(user_id)
            if not await self._stopped(user_id):
                return False
            for forget in self._first:
                await forget(user_id)
            while jobs := await self._forgetting.jobs_of(user_id):
                await self._forget_jobs(user_id, jobs)
            await self._forgetting.finish(user_id)
            for forget in self._also:
                await forget(user_id)
            # Whatever was written meanwhile, as a use of a model that was still in memory.
            await self._forgetting.finish(user_id)
            await self._search.purge()
            await self._inputs.sweep()
            await self._own_messages(user_id)
            done = await self._wishes.done(user_id)
            if done is None:
                return True
            wish = done
            log.info("somebody was forgotten: %s pictures, %s messages", wish.pictures, wish.messages)
        await self._tell(wish)
        await self._wishes.told(user_id)
        return True

    async def _stopped(self, user_id: UserId) -> bool:
        """Cancels what waits and runs, until nothing of theirs is drawn or brought."""
        deadline = time.monotonic() + GIVE_UP_WAITING_S
        while True:
            for job in await self._jobs.waiting_of(user_id):
                await self._dispatcher.cancel(job.id, user_id)
            if not await self._wishes.unsettled(user_id):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _forget_jobs(self, user_id: UserId, ids: list[JobId]) -> None:
        """Messages and files first: nothing knows of them once the rows are gone."""
        messages = left = pictures = 0
        messages += await self._starboard.remove(ids)
        for job_id in ids:
            job = await self._jobs.get(job_id)
            if job is not None and job.message_id is not None:
                if await delete_message(self._client, job):
                    messages += 1
                elif not job.private:
                    left += 1
            images = await self._images.of_job(job_id)
            await self._images.delete(images)
            await self._thumbnails.discard([image.id for image in images])
            pictures += len(images)
        await self._forgetting.forget_jobs(ids)
        await self._wishes.counted(user_id, pictures=pictures, messages=messages, messages_left=left)

    async def _own_messages(self, user_id: UserId) -> None:
        """What the bot wrote to them directly: originals, results whose channel was closed, notices."""
        count = 0
        try:
            user = await self._client.fetch_user(user_id)
            channel = user.dm_channel or await user.create_dm()
            async for message in channel.history(limit=OWN_MESSAGES_MAX):
                if self._client.user is not None and message.author.id == self._client.user.id:
                    await message.delete()
                    count += 1
        except discord.HTTPException as error:
            log.info("the direct messages to somebody who is forgotten were not all deleted: %s", error)
        await self._wishes.counted(user_id, pictures=0, messages=count, messages_left=0)

    async def _tell(self, wish: ForgetWish) -> None:
        texts = texts_for(wish.locale)
        view = _said(_report(wish, texts))
        grant = wish.grant
        if grant is not None and grant.expires_at - TOKEN_MARGIN_S > time.time() and self._client.application_id:
            webhook = discord.Webhook.partial(self._client.application_id, grant.token, client=self._client)
            original: int = "@original"  # type: ignore[assignment]
            try:
                await webhook.edit_message(original, view=view)
                return
            except discord.HTTPException as error:
                if error.status >= 500:
                    raise
        try:
            user = await self._client.fetch_user(wish.user_id)
            await user.send(view=view)
        except discord.HTTPException as error:
            if error.status >= 500:
                raise
            log.info("somebody who was forgotten takes no direct messages")


def _report(wish: ForgetWish, texts: Texts) -> str:
    lines = [
        f"### {texts('forget.done')}",
        texts("forget.report", n=wish.pictures),
        texts("forget.report_messages", n=wish.messages),
        *([texts("forget.report_left", n=wish.messages_left)] if wish.messages_left else []),
        "-# " + texts("forget.report_backups"),
    ]
    return "\n".join(lines)


def _said(text: str) -> Card:
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(text))
    return view


def _card() -> tuple[Card, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0xDA373C)
    view.add_item(box)
    return view, box
