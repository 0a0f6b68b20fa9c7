"""/usage: who used the machine, when and how long, as charts with alt text and as CSV."""

from __future__ import annotations

import asyncio
import io
import logging
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import discord

from bot.domain.mentions import spoken
from bot.domain.tables import csv_bytes
from bot.domain.typed_ids import server_id
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.usage import UsageReport, read_usage
from bot.studio.model_admin.telling import texts_of
from bot.studio.operations.charts import Line, Stack, bar_chart, line_chart, ranked_chart
from bot.studio.operations.queue_card import duration
from bot.studio.stewards import Stewards
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb

__all__ = ["PERIODS", "USAGE_VERBS", "Chart", "UsageReports", "draw_charts", "tables"]

log = logging.getLogger(__name__)

USAGE_VERBS = (Verb.USAGE,)
PERIODS = (7, 30, 90, 365)
"""Days."""
DAY_S = 86_400.0
RANKED = 10
NAMED_SHOWN = 5
NAMES_WITHIN_S = 2.0
ALT_CHARS = 1000
COLOUR = 0x5865F2


@dataclass(frozen=True, slots=True)
class Chart:
    filename: str
    png: bytes
    alt: str


class UsageReports:
    def __init__(self, *, client: discord.Client, database_path: Path, stewards: Stewards) -> None:
        self._client = client
        self._path = database_path
        self._stewards = stewards

    async def command(self, interaction: Interaction, days: int, *, everything: bool, server: str | None) -> None:
        """Of this server; for operators of all (in a direct message anyway), or of the one with the id `server`.

        Raises UserFacingError (`operators_only`, `operator_alone`, `server_id_unreadable`).
        """
        steward = self._stewards.commanding(interaction)
        guild_id = None if everything else interaction.guild_id
        if server is not None:
            guild_id = server_id(server)
        if guild_id != interaction.guild_id and not steward.operator:
            raise UserFacingError("operator_alone")
        await interaction.response.defer(ephemeral=True)
        await self._answer(interaction, guild_id, days)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Another period. Raises UserFacingError."""
        steward = self._stewards.pressing(interaction)
        guild_id = server_id(address.id)
        if not steward.operator and guild_id != interaction.guild_id:
            raise UserFacingError("operator_alone")
        if address.n not in PERIODS:
            raise UserFacingError("button_unknown")
        await interaction.response.defer()
        await self._answer(interaction, guild_id or None, address.n)

    async def _answer(self, interaction: Interaction, guild_id: int | None, days: int) -> None:
        texts = texts_of(interaction)
        until = time.time()
        # Whole days, today's included.
        since = (until // DAY_S - days + 1) * DAY_S
        report = await asyncio.to_thread(read_usage, self._path, since, until, guild_id)
        names = await self._names([user.user_id for user in report.users[:RANKED]], texts)
        servers = (
            None
            if guild_id is not None
            else {use.guild_id: self._server(use.guild_id, texts) for use in report.servers}
        )
        charts = await asyncio.to_thread(draw_charts, report, names, texts, servers)
        files = await asyncio.to_thread(tables, report, by_server=guild_id is None)
        attached = [discord.File(io.BytesIO(chart.png), chart.filename) for chart in charts]
        attached += [discord.File(io.BytesIO(data), name) for name, data in files.items()]
        view = _card(report, charts, list(files), guild_id, days, texts)
        await interaction.edit_original_response(view=view, attachments=attached)

    def _server(self, guild_id: int, texts: Texts) -> str:
        if guild_id == 0:
            return texts("usage.direct")
        guild = self._client.get_guild(guild_id)
        return guild.name if guild is not None else texts("usage.some_server", end=str(guild_id)[-4:])

    async def _names(self, user_ids: Sequence[int], texts: Texts) -> Mapping[int, str]:
        """As far as they are known, or Discord tells them soon."""

        async def name(user_id: int) -> str:
            user = self._client.get_user(user_id)
            if user is None:
                try:
                    async with asyncio.timeout(NAMES_WITHIN_S):
                        user = await self._client.fetch_user(user_id)
                except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
                    log.debug("user %s has no name: %s", user_id, error)
            said = user.display_name if user is not None else ""
            # A name in letters that the chart has none of would be a row of question marks.
            readable = sum(sign.isascii() or (sign.isalpha() and ord(sign) < 0x180) for sign in said)
            return said if readable * 2 > len(said) else texts("usage.somebody", end=str(user_id)[-4:])

        return dict(zip(user_ids, await asyncio.gather(*map(name, user_ids)), strict=True))


def draw_charts(
    report: UsageReport, names: Mapping[int, str], texts: Texts, servers: Mapping[int, str] | None = None
) -> list[Chart]:
    """With `servers`, names by id, one more by server. Blocks for some tenths of a second."""
    nothing = texts("usage.nothing")
    places = [time.strftime("%m-%d", time.gmtime(day.day * DAY_S)) for day in report.days]

    def length(seconds: float) -> str:
        return duration(seconds, texts)

    def count(value: float) -> str:
        return f"{value:g}"

    pictures = texts("usage.chart_pictures")
    waits, gpu = texts("usage.chart_wait"), texts("usage.chart_gpu")
    users, models, failures = texts("usage.chart_users"), texts("usage.chart_models"), texts("usage.chart_failures")
    of_users = [(names.get(use.user_id, str(use.user_id)), use.gpu_s) for use in report.users[:RANKED] if use.gpu_s > 0]
    of_models = [(use.model, use.gpu_s) for use in report.models[:RANKED] if use.gpu_s > 0]
    of_failures = [(_failure(use.kind, texts), float(use.jobs)) for use in report.failures[:RANKED]]
    busiest = max(report.days, key=lambda day: day.pictures)
    alt_days = texts(
        "usage.alt_pictures",
        n=report.pictures,
        day=time.strftime("%Y-%m-%d", time.gmtime(busiest.day * DAY_S)),
        most=busiest.pictures,
    )
    if report.wait_p50_s is None:
        alt_wait = f"{waits}: {nothing}"
    else:
        p50, p90, p99 = (length(value or 0.0) for value in (report.wait_p50_s, report.wait_p90_s, report.wait_p99_s))
        alt_wait = texts("usage.alt_wait", p50=p50, p90=p90, p99=p99)
    made = [
        (
            "pictures.png",
            bar_chart(pictures, places, [Stack(pictures, [day.pictures for day in report.days])], count, nothing),
            alt_days,
        ),
        (
            "waits.png",
            line_chart(
                waits,
                places,
                [
                    Line(texts("usage.p50"), [day.wait_p50_s for day in report.days]),
                    Line(texts("usage.p90"), [day.wait_p90_s for day in report.days]),
                    Line(texts("usage.p99"), [day.wait_p99_s for day in report.days]),
                ],
                length,
                nothing,
            ),
            alt_wait,
        ),
        (
            "gpu.png",
            bar_chart(gpu, places, [Stack(gpu, [day.gpu_s for day in report.days])], length, nothing),
            texts("usage.alt_gpu", time=length(report.gpu_s)),
        ),
        ("users.png", ranked_chart(users, of_users, length, nothing), _listed(users, of_users, length, nothing)),
        ("models.png", ranked_chart(models, of_models, length, nothing), _listed(models, of_models, length, nothing)),
        (
            "failures.png",
            ranked_chart(failures, of_failures, count, texts("usage.no_failures")),
            _listed(failures, of_failures, count, texts("usage.no_failures")),
        ),
    ]
    if servers is not None:
        title = texts("usage.chart_servers")
        rows = [(servers[use.guild_id], use.gpu_s) for use in report.servers[:RANKED] if use.gpu_s > 0]
        made.append(("servers.png", ranked_chart(title, rows, length, nothing), _listed(title, rows, length, nothing)))
    return [Chart(name, png, alt[:ALT_CHARS]) for name, png, alt in made]


def tables(report: UsageReport, *, by_server: bool = False) -> dict[str, bytes]:
    """By file name; with `by_server` one table more, and all of them in one zip: a message holds ten files."""
    days = [
        (
            time.strftime("%Y-%m-%d", time.gmtime(day.day * DAY_S)), day.jobs, day.pictures, day.failed, day.cancelled,
            round(day.gpu_s, 2), _rounded(day.wait_p50_s), _rounded(day.wait_p90_s), _rounded(day.wait_p99_s),
        )
        for day in report.days
    ]  # fmt: skip
    head = ("day", "jobs", "pictures", "failed", "cancelled", "gpu_s", "wait_p50_s", "wait_p90_s", "wait_p99_s")
    found = {
        "usage-days.csv": csv_bytes(head, days),
        "usage-users.csv": csv_bytes(
            ("user_id", "jobs", "pictures", "failed", "gpu_s"),
            [(use.user_id, use.jobs, use.pictures, use.failed, round(use.gpu_s, 2)) for use in report.users],
        ),
        "usage-models.csv": csv_bytes(
            ("model", "jobs", "gpu_s"), [(use.model, use.jobs, round(use.gpu_s, 2)) for use in report.models]
        ),
        "usage-failures.csv": csv_bytes(("kind", "jobs"), [(use.kind, use.jobs) for use in report.failures]),
    }
    if not by_server:
        return found
    servers = [(use.guild_id, use.jobs, round(use.gpu_s, 2)) for use in report.servers]
    found["usage-servers.csv"] = csv_bytes(("server_id", "jobs", "gpu_s"), servers)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return {"usage.zip": out.getvalue()}


def _card(
    report: UsageReport, charts: Sequence[Chart], files: Sequence[str], guild_id: int | None, days: int, texts: Texts
) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=COLOUR)
    title = texts("usage.title_all" if guild_id is None else "usage.title", n=days)
    facts = texts("usage.total", pictures=report.pictures, jobs=report.jobs, failed=report.failed)
    lines = [title, facts, texts("usage.gpu_total", time=duration(report.gpu_s, texts))]
    if report.wait_p50_s is not None and report.wait_p90_s is not None:
        wait = texts("usage.wait", p50=duration(report.wait_p50_s, texts), p90=duration(report.wait_p90_s, texts))
        lines.append(wait)
    lines += [
        f"-# <@{use.user_id}> · {duration(use.gpu_s, texts)} · {texts('usage.pictures', n=use.pictures)}"
        for use in report.users[:NAMED_SHOWN]
    ]
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    for chart in charts:  # each alone: of several in one gallery Discord shows squares cut out of their middle
        item = discord.MediaGalleryItem(f"attachment://{chart.filename}", description=chart.alt)
        box.add_item(discord.ui.MediaGallery(item))
    for name in files:
        box.add_item(discord.ui.File(f"attachment://{name}"))
    row = [
        button(
            Verb.USAGE, str(guild_id or 0), texts("usage.days", n=period), n=period,
            style=discord.ButtonStyle.primary if period == days else discord.ButtonStyle.secondary,
        )
        for period in PERIODS
    ]  # fmt: skip
    box.add_item(discord.ui.ActionRow(*map(in_layout, row)))
    view.add_item(box)
    return view


def _failure(kind: str, texts: Texts) -> str:
    key = f"usage.failure_{kind}"
    return texts(key) if texts.has(key) else spoken(kind)


def _listed(title: str, rows: Sequence[tuple[str, float]], shown: Callable[[float], str], nothing: str) -> str:
    if not rows:
        return f"{title}: {nothing}"
    return f"{title}: " + ", ".join(f"{name} {shown(value)}" for name, value in rows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
