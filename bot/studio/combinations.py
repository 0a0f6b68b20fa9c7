"""Every combination of a dynamic prompt: what it costs is shown first, and nothing is drawn before a button says so."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import discord

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, UserId
from bot.domain.job import Action, work_units
from bot.domain.limits import Limits
from bot.domain.mentions import neutral
from bot.domain.templates import as_asked, combined
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.combinations import CombinationWishes
from bot.storage.drafts import Draft, Drafts
from bot.storage.facts import Timings
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.studio.dynamic import Dynamic, in_time
from bot.studio.intake import Intake
from bot.studio.notes import joined
from bot.studio.spans import span
from bot.studio.where import where_of
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from gpu_worker.protocol import specs
from gpu_worker.protocol.specs import JobSpec

__all__ = ["COMBINE_VERBS", "Combinations"]

log = logging.getLogger(__name__)

COMBINE_VERBS = (Verb.COMBINE,)
EVERY, RANDOM = 1, 2
SHOWN = 8
SHOWN_CHARS = 150
NOTES_CHARS = 1000
BLUE = 0x5865F2


class Combinations:
    def __init__(
        self,
        *,
        dynamic: Dynamic,
        intake: Intake,
        jobs: Jobs,
        drafts: Drafts,
        wishes: CombinationWishes,
        inputs: InputPictures,
        timings: Timings,
        limits: Limits,
    ) -> None:
        self._dynamic = dynamic
        self._intake = intake
        self._jobs = jobs
        self._drafts = drafts
        self._wishes = wishes
        self._inputs = inputs
        self._timings = timings
        self._limits = limits

    async def offer(
        self,
        interaction: Interaction,
        spec: JobSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        notes: Sequence[str] = (),
        private: bool = False,
    ) -> None:
        """Answers with how many there are and what they cost. `private` as in `Intake.begin`.

        Raises UserFacingError as `Dynamic.combinations`.
        """
        where = where_of(interaction)
        texts = await in_time(interaction, self._dynamic.combinations(spec, where), hidden=True)
        async with self._inputs.holding(given_pictures(spec)):
            draft = await self._drafts.add(UserId(interaction.user.id), action, spec, source_image_id)
        await self._wishes.promise(draft.id, len(texts), private=private)
        view = self._card(draft, texts, texts_for(str(interaction.locale)), notes)
        if interaction.response.is_done():
            await interaction.edit_original_response(view=view)
        else:
            await interaction.response.send_message(view=view, ephemeral=True)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `draft_unknown`, `combinations_drawn`, and whatever refuses a job."""
        draft = await self._drafts.get(JobId(address.id))
        if draft is None or draft.user_id != interaction.user.id:
            raise UserFacingError("draft_unknown")
        if address.n == RANDOM:
            spec = as_asked(draft.spec).model_copy(update={"template": None})
            await self._intake.begin(
                interaction,
                spec,
                draft.action,
                source_image_id=draft.source_image_id,
                private=await self._private(draft),
            )
            return
        promised = await self._wishes.take(draft.id)
        if promised is None:
            raise UserFacingError("combinations_drawn")
        begun = 0
        try:
            begun = await self._begin(interaction, draft, promised)
        finally:
            if not begun:
                await self._wishes.give_back(draft.id)

    async def _begin(self, interaction: Interaction, draft: Draft, promised: int) -> int:
        """How many jobs were begun."""
        where = where_of(interaction)
        user_id = UserId(interaction.user.id)
        private = await self._private(draft)
        hidden = bool(private) or await self._intake.is_private(interaction)
        found = await in_time(interaction, self._dynamic.combinations(draft.spec, where), hidden=hidden)
        if len(found) != promised:
            raise UserFacingError("combinations_changed", n=len(found), promised=promised)
        spec = await self._dynamic.second_pass(draft.spec, where)
        requests = combined(spec, found, self._limits.max_count)
        free = self._limits.max_queued_per_user - await self._jobs.count_waiting_of(user_id)
        if len(requests) > free:
            raise UserFacingError("combinations_room", needed=len(requests), free=max(free, 0))
        first = await self._intake.begin(
            interaction, requests[0], draft.action, source_image_id=draft.source_image_id, private=private
        )
        if first is None:
            return 1  # this very press was answered before
        assert interaction.channel_id is not None, "the first job has a channel"
        begun = 1
        for spec in requests[1:]:
            try:
                await self._intake.begin_by_reaction(
                    user_id=user_id,
                    channel_id=ChannelId(interaction.channel_id),
                    guild_id=GuildId(interaction.guild_id) if interaction.guild_id is not None else None,
                    where=where,
                    message_id=None,
                    locale=str(interaction.locale),
                    spec=spec,
                    action=draft.action,
                    source_image_id=draft.source_image_id,
                    private=hidden,
                )
            except UserFacingError as error:
                log.info("%s of %s jobs of combinations were begun: %s", begun, len(requests), error)
                texts = texts_for(str(interaction.locale))
                await say(interaction, texts("combine.partly", begun=begun, jobs=len(requests)))
                break
            begun += 1
        return begun

    async def _private(self, draft: Draft) -> bool | None:
        """None: as everything of this user."""
        return True if await self._wishes.is_private(draft.id) else None

    def _card(
        self, draft: Draft, found: Sequence[specs.Texts], texts: Texts, notes: Sequence[str]
    ) -> discord.ui.LayoutView:
        view = discord.ui.LayoutView(timeout=None)
        # Finished from the start, so discord.py does not keep one per panel: its buttons are found by their addresses.
        view.stop()
        jobs = -(-len(found) // self._limits.max_count)
        lines = [f"### {texts('combine.title', n=len(found))}", self._cost(draft.spec, len(found), jobs, texts)]
        lines += [f"-# {number}. {neutral(one.prompt, SHOWN_CHARS)}" for number, one in enumerate(found[:SHOWN], 1)]
        if len(found) > SHOWN:
            lines.append("-# …")
        if notes:
            lines.append(joined(notes, NOTES_CHARS, "-# "))
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
        every = button(
            Verb.COMBINE,
            draft.id,
            texts("combine.every", n=len(found)),
            n=EVERY,
            style=discord.ButtonStyle.primary,
            emoji="🎨",
        )
        some = button(Verb.COMBINE, draft.id, texts("combine.random", n=draft.spec.count), n=RANDOM, emoji="🎲")
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(in_layout(every), in_layout(some))
        box.add_item(row)
        view.add_item(box)
        return view

    def _cost(self, spec: JobSpec, pictures: int, jobs: int, texts: Texts) -> str:
        units = work_units(spec.model_copy(update={"count": 1})) * pictures
        seconds = self._timings.estimate_s(spec.checkpoint, units)
        if seconds is None:
            return texts("combine.cost_unknown", jobs=jobs)
        return texts("combine.cost", jobs=jobs, time=span(seconds, texts))
