"""What becomes of a picture that a classifier has looked at."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bot.domain.safety.rules import Shown
from gpu_worker.protocol.safety import Looked

__all__ = ["NUDE", "NUDE_STRICT", "Circumstances", "Fate", "Reason", "fate_of", "is_nude"]

NUDE = 0.5
"""From this certainty on a picture counts as nude."""
NUDE_STRICT = 0.2
"""The same where a minor is named or somebody's own picture was edited: a doubt is enough."""


class Reason(enum.StrEnum):
    """Why a picture is neither kept nor posted."""

    MINOR = "minor"
    UPLOAD = "upload"
    ADULT = "adult"
    UNSEEN = "unseen"
    """There is a classifier, and it could not look."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a job, apart from its pictures."""

    names_minor: bool
    from_upload: bool
    """Drawn from a picture that somebody gave, or from one that was."""
    adult_place: bool
    """Age-restricted, and an admin allowed adult content there."""
    expected: bool
    """A classifier is installed, so that a picture without a word of it was not looked at."""
    adult_shown: Shown = Shown.SPOILER
    elsewhere_shown: Shown = Shown.BLOCK
    adult_text: bool = False
    """It was asked for as adult content, which is taken only while something looks at the pictures."""


@dataclass(frozen=True, slots=True)
class Fate:
    shown: Shown
    reason: Reason | None = None
    """Of a picture that is blocked."""


def is_nude(looked: Looked | None, *, strict: bool) -> bool:
    """A picture that could not be looked at counts as nude."""
    if looked is None:
        return False
    return looked.failed or looked.nude >= (NUDE_STRICT if strict else NUDE)


def fate_of(looked: Looked | None, job: Circumstances) -> Fate:
    """Where nothing looks at pictures at all, they are shown: the rules about texts are all there is, and adult content
    is off. Where something does, a picture that it did not see is not shown to anybody."""
    if looked is None:
        return Fate(Shown.BLOCK, Reason.UNSEEN) if job.expected or job.adult_text else Fate(Shown.PLAIN)
    if job.names_minor and is_nude(looked, strict=True):
        return Fate(Shown.BLOCK, Reason.MINOR)
    if job.from_upload and is_nude(looked, strict=True):
        return Fate(Shown.BLOCK, Reason.UPLOAD)
    if looked.failed:
        return Fate(Shown.BLOCK, Reason.UNSEEN)
    if not is_nude(looked, strict=False):
        return Fate(Shown.PLAIN)
    if job.adult_place:
        return Fate(job.adult_shown, Reason.ADULT if job.adult_shown is Shown.BLOCK else None)
    # Nothing that one tap uncovers may stand where everybody is let in.
    shown = Shown.BLUR if job.elsewhere_shown is Shown.BLUR else Shown.BLOCK
    return Fate(shown, Reason.ADULT if shown is Shown.BLOCK else None)
