"""/queue and /cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.delivery.machine import MachineState
from bot.delivery.made import headline
from bot.domain.ids import JobId, UserId
from bot.domain.job import Action, Job, JobStatus
from bot.domain.mentions import neutral
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.studio import Studio
from bot.studio.history.viewing import moderates
from bot.studio.pressed import is_moderator
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Verb
from bot.ui.commands import keyed, localised_options
from bot.ui.door import say

if TYPE_CHECKING:
    from bot.app import PincelBot

SHOWN = 8
PROMPT_CHARS = 60


class Queue(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.queue.name"), description=keyed("command.queue.description"))
    async def queue(self, interaction: Interaction) -> None:
        """Only the asker sees it: their own jobs with a cancel button each, and how long the line is."""
        texts = texts_for(str(interaction.locale))
        mine = await self._studio.jobs.waiting_of(UserId(interaction.user.id))
        standings = await self._studio.dispatcher.standings()
        running = sum(1 for standing in standings.values() if standing.position == 0)
        head = [texts("queue.title"), texts("queue.total", n=len(standings) - running, running=running)]
        state = self._studio.machine.state
        if state is not MachineState.READY:
            head.append(texts(f"queue.machine_{state.value}"))
        view = discord.ui.LayoutView(timeout=None)
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
        box.add_item(discord.ui.TextDisplay("\n".join(head)))
        if not mine:
            box.add_item(discord.ui.TextDisplay(texts("queue.none_of_yours")))
        for job in mine[:SHOWN]:
            standing = standings.get(job.id)
            line = _line(job, standing.position if standing else 1, texts, paused=bool(standing and standing.paused))
            if job.script is not None:
                progress = await self._studio.scripts.progress(job.id)
                done = texts("script.queue", drawn=progress.drawn, n=progress.total)
                line = f"{done} · {neutral(_short(job, texts))}"
            section: discord.ui.Section[discord.ui.LayoutView] = discord.ui.Section(
                line,
                accessory=in_layout(button(Verb.CANCEL, job.id, texts("button.cancel"))),
            )
            box.add_item(section)
        if len(mine) > SHOWN:
            box.add_item(discord.ui.TextDisplay(texts("queue.more", n=len(mine) - SHOWN)))
        view.add_item(box)
        await interaction.response.send_message(view=view, ephemeral=True)

    @app_commands.command(name=keyed("command.cancel.name"), description=keyed("command.cancel.description"))
    @localised_options("cancel", "job")
    async def cancel(self, interaction: Interaction, job: str | None = None) -> None:
        texts = texts_for(str(interaction.locale))
        found = await self._named(interaction, job)
        here = found.channel_id == interaction.channel_id and is_moderator(interaction)
        status = await self._studio.pressed.cancel(
            found, UserId(interaction.user.id), moderator=here or moderates(interaction, found.channel_id)
        )
        hidden = found.private and found.user_id != interaction.user.id
        prompt = texts("panel.private") if hidden else neutral(_short(found, texts))
        match status:
            case JobStatus.CANCELLED:
                await say(interaction, texts("queue.cancelled", prompt=prompt))
            case JobStatus.ASSIGNED:
                await say(interaction, texts("queue.cancelling", prompt=prompt))
            case _:
                await say(interaction, texts("reply.too_late_to_cancel"))

    async def _named(self, interaction: Interaction, job_id: str | None) -> Job:
        if job_id is not None:
            found = await self._studio.jobs.get(JobId(job_id.strip()))
            if found is None:
                raise UserFacingError("job_unknown")
            return found
        mine = await self._studio.jobs.waiting_of(UserId(interaction.user.id))
        drawn = [job for job in mine if job.action not in (Action.TRAIN, Action.SAMPLE)]
        if mine and not drawn:  # which may have taken days: nobody ends one without naming it
            raise UserFacingError("cancel_training")
        if not mine:
            raise UserFacingError("nothing_to_cancel")
        return drawn[-1]

    @cancel.autocomplete("job")
    async def _jobs(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        typed = current.casefold()
        texts = texts_for(str(interaction.locale))
        jobs = await self._studio.jobs.waiting_of(UserId(interaction.user.id))
        if interaction.guild_id is not None:
            others = await self._studio.jobs.waiting_in(interaction.guild_id)
            # What somebody draws for their own eyes, or where this person moderates nothing, is not read here.
            jobs += [
                job
                for job in others
                if job.user_id != interaction.user.id and not job.private and moderates(interaction, job.channel_id)
            ]
        return [
            app_commands.Choice(name=f"{_short(job, texts)} · {job.id[:6]}"[:100], value=job.id)
            for job in jobs
            if typed in headline(job, texts).casefold() or job.id.startswith(typed)
        ][:25]


def _line(job: Job, position: int, texts: Texts, *, paused: bool = False) -> str:
    if job.training is not None:
        state = "paused" if job.held_at is not None else "waits" if position else "runs"
        return f"{texts(f'queue.training_{state}')} · {neutral(_short(job, texts))}"
    state = texts("queue.position", position=position) if position else texts("queue.running")
    if paused:
        state += " · " + texts("queue.paused")
    return f"{state} · {neutral(_short(job, texts))}"


def _short(job: Job, texts: Texts) -> str:
    text = " ".join(headline(job, texts).split())
    return text if len(text) <= PROMPT_CHARS else text[: PROMPT_CHARS - 1] + "…"


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Queue(bot.studio))
