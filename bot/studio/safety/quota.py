"""/quota: what somebody has left here, and when it comes back."""

from __future__ import annotations

import math
import time

import discord

from bot.domain.model_rules import Where
from bot.domain.safety.limits import DAY_S, Limit, Spent
from bot.i18n import Texts
from bot.storage.bans import Bans
from bot.studio.safety.amounts import LimitCheck, when

__all__ = ["quota_card"]

BAR = 12


async def quota_card(
    where: Where, check: LimitCheck, bans: Bans, max_queued: int, texts: Texts
) -> discord.ui.LayoutView:
    standing = await check.standing(where)
    lines: list[str] = []
    if await bans.of(where.user_id, where.guild_id) is not None:
        lines.append(texts("quota.banned"))
    for limits, spent in standing:
        part = _lines(limits, spent, texts)
        if part and len(standing) > 1:
            lines.append(texts("quota.here" if limits is standing[-1][0] else "quota.everywhere"))
        lines += part
    if not any(Limit.JOBS in limits for limits, _ in standing):
        lines.append(texts("quota.jobs_plain", n=max_queued))
    if not standing:
        lines.insert(0, texts("quota.none"))
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
    box.add_item(discord.ui.TextDisplay("\n".join([texts("quota.title"), *lines, texts("quota.refund")])))
    view.add_item(box)
    return view


def _lines(limits: dict[Limit, int], spent: Spent, texts: Texts) -> list[str]:
    lines: list[str] = []
    if Limit.PICTURES in limits:
        allowed = limits[Limit.PICTURES]
        lines.append(texts("quota.pictures", **_left(spent.pictures, allowed), bar=_bar(spent.pictures, allowed)))
    if Limit.GPU_S in limits:
        used, allowed = math.ceil(spent.gpu_s / 60), max(1, round(limits[Limit.GPU_S] / 60))
        lines.append(texts("quota.gpu_s", **_left(used, allowed), bar=_bar(used, allowed)))
    if spent.uses and (Limit.PICTURES in limits or Limit.GPU_S in limits):
        # The oldest request of the day is the first to be given back.
        lines.append(texts("quota.back", when=when(spent.uses[0][0] + DAY_S)))
    if Limit.JOBS in limits:
        lines.append(texts("quota.jobs", used=spent.waiting, n=limits[Limit.JOBS]))
    cooldown = limits.get(Limit.COOLDOWN_S, 0)
    if cooldown:
        ready = (spent.last_at or 0.0) + cooldown
        key = "quota.cooldown_waiting" if ready > time.time() else "quota.cooldown"
        lines.append(texts(key, n=cooldown, when=when(ready)))
    plain = (Limit.COUNT, Limit.SIDE_PX, Limit.STEPS)
    return lines + [texts(f"quota.{limit}", n=limits[limit]) for limit in plain if limit in limits]


def _left(used: int, allowed: int) -> dict[str, int]:
    return {"left": max(0, allowed - used), "allowed": allowed}


def _bar(used: int, allowed: int) -> str:
    full = BAR if not allowed else min(BAR, round(used / allowed * BAR))
    return "▰" * full + "▱" * (BAR - full)
