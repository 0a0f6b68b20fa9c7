"""The content rules and a server's words, applied to everything that steers a new job's pictures."""

from __future__ import annotations

import asyncio
import re

from bot.domain.content import is_sexual, judge
from bot.domain.content.fold import fold
from bot.domain.job import Action
from bot.domain.model_rules import EVERYWHERE
from bot.domain.safety.texts import Steering, steering_of
from bot.domain.safety.words import first_hit
from bot.errors import ContentRefusedError
from bot.storage.appeals import Appeals
from bot.storage.safety_events import SafetyEvent
from bot.storage.server_rules import ServerRuleBook
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.origins import Origins
from bot.studio.safety.places import Places
from bot.studio.safety.request import JobRequest

__all__ = ["ContentCheck", "steers_from_adults", "undresses"]

_ADULTS = re.compile(
    r"(?<!\S)(?:adults?|grown ?ups?|grown (?:man|men|woman|women)|mature(?: (?:female|male|woman|man))?|of age"
    r"|middle aged|(?:over|above|older than) (?:18|eighteen)|18 ?plus"
    r"|adultos?|adultas?|mayor(?:es)? de edad|erwachsene[rn]?)(?!\S)"
)
_CLOTHES = re.compile(
    r"(?<!\S)(?:clothes|clothing|clothed|dressed|garments?|covered up|outfits?|ropas?|vestid[oa]s?|prendas|kleidung"
    r"|bekleidet|vetements?|habille[es]*)(?!\S)"
)
_WORD = re.compile(r"[^\W_]+")


def steers_from_adults(away: str) -> bool:
    """Beside anything adult, whoever avoids adults asks for the rest."""
    return _ADULTS.search(_plain(away)) is not None


def undresses(away: str) -> bool:
    """On somebody's own picture, to avoid clothes is to ask for none."""
    return _CLOTHES.search(_plain(away)) is not None


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(fold(text)))


class ContentCheck:
    def __init__(
        self, *, places: Places, origins: Origins, rules: ServerRuleBook, appeals: Appeals, audit: SafetyLog
    ) -> None:
        self._places = places
        self._origins = origins
        self._rules = rules
        self._appeals = appeals
        self._audit = audit

    async def require(self, request: JobRequest) -> None:
        """Raises ContentRefusedError: `content_minors`, `content_upload`, `content_adult`, `content_words`. Which word
        it was is not told, so that the answer is no guide around the rule; a server's own words may be asked about."""
        steering = steering_of(request.task)
        uploaded = await self._origins.from_upload(request.task, request.user_id)
        words = (*self._rules.of(EVERYWHERE).words, *self._rules.of(request.where.guild_id).words)
        # A prompt full of syntax takes the rules up to a tenth of a second: not on the loop.
        for found in await asyncio.to_thread(_judged, steering, words, uploaded=uploaded):
            if found in ("minors", "upload"):
                await self._never(request, found)
            if found == "words" or not self._places.adult_allowed(request.where):
                await self._refuse(request, found, "\n".join(steering.whole))

    async def _never(self, request: JobRequest, about: str) -> None:
        """What no appeal is for. The text is not kept."""
        guild_id = request.where.guild_id or EVERYWHERE
        await self._audit.record(SafetyEvent(f"refused_{about}", guild_id, request.user_id))
        raise ContentRefusedError(f"content_{about}")

    async def _refuse(self, request: JobRequest, about: str, text: str) -> None:
        guild_id = request.where.guild_id or EVERYWHERE
        if await self._appeals.passed(request.user_id, guild_id, about, text):
            return
        refusal = ContentRefusedError(f"content_{about}")
        await self._audit.record(SafetyEvent(f"refused_{about}", guild_id, request.user_id))
        if request.action is not Action.TEST and self._audit.reaches(guild_id):
            appeal = await self._appeals.refused(
                guild_id=guild_id,
                channel_id=request.where.channel_id,
                user_id=request.user_id,
                locale=request.locale,
                about=about,
                text=text,
            )
            refusal.appeal_id = appeal.id
        raise refusal


def _judged(steering: Steering, words: tuple[str, ...], *, uploaded: bool) -> list[str]:
    """What it would have to be refused for: `minors` or `upload`, or else `adult` and `words`."""
    texts = list(dict.fromkeys((*steering.parts, *steering.whole)))
    categories = {judge(text).category for text in texts}
    # A checkpoint's name steers, too; but what its maker calls it does not ask for adult content.
    named = [" , ".join((whole, *steering.names)) for whole in steering.whole] if steering.names else []
    if "minors" in categories or any(judge(text, adult_allowed=True).category == "minors" for text in named):
        return ["minors"]
    if "adult" in categories and any(map(steers_from_adults, steering.away)):
        return ["minors"]
    if uploaded and (any(map(is_sexual, steering.whole)) or any(map(undresses, steering.away))):
        return ["upload"]
    found = ["adult"] if "adult" in categories else []
    return found + (["words"] if first_hit(words, *texts) is not None else [])
