"""Bans, allowed places, and how much somebody may ask for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from bot.domain.actions import picture_size
from bot.domain.job import Action, JobTask, model_of, work_units
from bot.domain.mentions import neutral
from bot.domain.model_rules import EVERYWHERE, Where
from bot.domain.safety.limits import PLAIN, Exceeded, Limit, Spent, Wanted, effective, exceeded
from bot.domain.safety.rules import in_places
from bot.errors import UserFacingError
from bot.storage.appeals import Appeals
from bot.storage.bans import Bans
from bot.storage.server_rules import ServerRuleBook
from bot.storage.spending import Spending
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.request import JobRequest
from gpu_worker.protocol.specs import Drawing, FileTask, JobSpec, Preprocess, Sheet, Ultimate, Upscale

__all__ = ["BanCheck", "LimitCheck", "PlaceCheck", "wanted_of", "when"]

SHOWN_CHANNELS = 8


def when(at: float) -> str:
    """In the reader's own words and time: Discord counts down by itself."""
    return f"<t:{math.ceil(at)}:R>"


class BanCheck:
    def __init__(self, bans: Bans, appeals: Appeals, audit: SafetyLog) -> None:
        self._bans = bans
        self._appeals = appeals
        self._audit = audit

    async def require(self, request: JobRequest) -> None:
        """Raises UserFacingError (`banned`, `banned_until`)."""
        ban = await self._bans.of(request.user_id, request.where.guild_id)
        if ban is None:
            return
        reason = neutral(ban.reason, 300)
        refusal = UserFacingError("banned", reason=reason)
        if ban.until is not None:
            refusal = UserFacingError("banned_until", reason=reason, when=when(ban.until))
        if ban.guild_id != EVERYWHERE and self._audit.reaches(ban.guild_id):
            # One appeal per ban, however often somebody tries: its text names the ban.
            appeal = await self._appeals.of_ban(
                ban.guild_id, ban.user_id, f"{ban.banned_at}: {ban.reason}", request.where.channel_id, request.locale
            )
            refusal.appeal_id = appeal.id if appeal is not None else None
        raise refusal


class PlaceCheck:
    def __init__(self, rules: ServerRuleBook) -> None:
        self._rules = rules

    async def require(self, request: JobRequest) -> None:
        """Raises UserFacingError (`place_channel`, `place_role`)."""
        if request.where.guild_id is None or isinstance(request.task, FileTask) or request.action is Action.TEST:
            return
        rules = self._rules.of(request.where.guild_id)
        if rules.channels and not in_places(rules.channels, request.where):
            channels = sorted(rules.channels)[:SHOWN_CHANNELS]
            raise UserFacingError("place_channel", channels=", ".join(f"<#{channel}>" for channel in channels))
        if rules.roles and not rules.roles & request.where.role_ids:
            roles = sorted(rules.roles)[:SHOWN_CHANNELS]
            raise UserFacingError("place_role", roles=", ".join(f"<@&{role}>" for role in roles))


class LimitCheck:
    def __init__(
        self, rules: ServerRuleBook, spending: Spending, estimate_s: Callable[[str, float], float | None]
    ) -> None:
        self._rules = rules
        self._spending = spending
        self._estimate_s = estimate_s

    async def require(self, request: JobRequest) -> None:
        """Raises UserFacingError (`limit_…`)."""
        if isinstance(request.task, FileTask) or request.action is Action.TEST:
            return
        wanted = request.wanted or wanted_of(request.task, self._estimate_s)
        for limits, spent in await self.standing(request.where):
            found = exceeded(limits, spent, wanted, time.time())
            if found is not None:
                raise _refusal(found)

    async def standing(self, where: Where) -> list[tuple[dict[Limit, int], Spent]]:
        """The limits that hold for somebody there, each with what counts against them: the operator's for everybody,
        over all they ask for anywhere, and the server's, over what they ask for in it."""
        found: list[tuple[dict[Limit, int], Spent]] = []
        everybody = effective(self._rules.of(EVERYWHERE).limits, (PLAIN,))
        if everybody:
            found.append((everybody, await self._spending.of(where.user_id)))
        if where.guild_id is not None:
            here = effective(self._rules.of(where.guild_id).limits, where.role_ids)
            if here:
                found.append((here, await self._spending.of(where.user_id, where.guild_id)))
        return found


def wanted_of(task: JobTask, estimate_s: Callable[[str, float], float | None]) -> Wanted:
    seconds = estimate_s(model_of(task), work_units(task)) or 0.0
    if isinstance(task, Drawing):
        return Wanted(task.count, seconds, _side_px(task), _steps(task))
    if isinstance(task, Sheet):
        side, steps = max(map(_side_px, task.cells)), max(map(_steps, task.cells))
        return Wanted(len(task.cells), seconds, side, steps, count=1)
    if isinstance(task, Upscale):
        return Wanted(1, seconds, max(task.width, task.height), 0)
    if isinstance(task, Ultimate):
        return Wanted(task.results, seconds, max(task.width, task.height), task.drawing.steps)
    if isinstance(task, Preprocess):
        return Wanted(len(task.maps), seconds, max(task.width, task.height) if task.fit else 0, 0)
    return Wanted(0, seconds, 0, 0)


def _side_px(spec: JobSpec) -> int:
    """The longest of the picture, and of what is drawn in it once more."""
    return max(*picture_size(spec), *(max(unit.width, unit.height) for unit in spec.details))


def _steps(spec: JobSpec) -> int:
    return max([spec.steps, *(unit.steps for unit in spec.details)])


def _refusal(found: Exceeded) -> UserFacingError:
    if found.limit in (Limit.PICTURES, Limit.GPU_S):
        key = f"limit_{found.limit}" + ("" if found.at is not None else "_never")
        allowed = max(1, round(found.allowed / 60)) if found.limit is Limit.GPU_S and found.allowed else found.allowed
        return UserFacingError(key, n=allowed, when=when(found.at) if found.at is not None else "")
    if found.limit is Limit.COOLDOWN_S:
        return UserFacingError("limit_cooldown_s", when=when(found.at or 0.0))
    return UserFacingError(f"limit_{found.limit}", n=found.allowed)
