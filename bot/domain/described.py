"""What a tagger saw, as a prompt: spaces for underscores, brackets escaped, and nothing that the rules refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.content import judge
from bot.domain.mentions import spoken
from bot.domain.models import DISABLED, closest, names_of
from bot.domain.sizes import ASPECTS
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.results import Description, Tag

__all__ = ["Seen", "aspect_of", "find_tagger", "seen", "tag_text"]

_FACES_MOST_CHARS = 3
"""`^_^`, `o_o`, `>_<`: such a tag is a face, whose underscore is part of it."""
PROMPT_CHARS = 3000


@dataclass(frozen=True, slots=True)
class Seen:
    """`prompt` is empty where nothing is left; `refused` where that is because of the rules."""

    prompt: str
    characters: tuple[str, ...]
    refused: bool = False


def seen(found: Description) -> Seen:
    """Tags that may not stand in a prompt are left out; where all together say what none says alone, nothing is told.
    Takes up to a tenth of a second: off the loop."""
    characters = _allowed(found.character)
    general = _allowed(found.general)
    prompt = _joined([*characters, *general])
    left_out = len(found.character) + len(found.general) > len(characters) + len(general)
    if prompt and not judge(prompt).allowed:
        return Seen("", (), refused=True)
    names = tuple(spoken(name.replace("\\", "")) for name in characters)
    return Seen(prompt, names, refused=left_out and not prompt)


def find_tagger(wanted: str | None, facts: Sequence[ModelFact]) -> str:
    """None takes the first. Raises UserFacingError: `tagger_none`, `tagger_unknown`, `tagger_unusable`,
    `model_disabled`."""
    usable = names_of("tagger", facts)
    if wanted is None:
        if not usable:
            raise UserFacingError("tagger_none")
        return usable[0]
    for fact in facts:
        if fact.kind == "tagger" and fact.name.casefold() == wanted.strip().casefold():
            if fact.problem == DISABLED:
                raise UserFacingError("model_disabled", name=spoken(fact.name))
            if fact.problem is not None:
                raise UserFacingError("tagger_unusable", name=spoken(fact.name))
            return fact.name
    if not usable:
        raise UserFacingError("tagger_none")
    near = ", ".join(map(spoken, closest(wanted, usable)))
    raise UserFacingError("tagger_unknown", name=spoken(wanted), closest=near)


def aspect_of(width: int, height: int) -> str | None:
    """The usual aspect that is nearest; None where the size is not known."""
    if not width or not height:
        return None
    sides = {aspect: tuple(map(int, aspect.split(":"))) for aspect in ASPECTS}
    return min(ASPECTS, key=lambda aspect: abs(math.log(width / height * sides[aspect][1] / sides[aspect][0])))


def tag_text(name: str) -> str:
    """A tag as it stands in a prompt."""
    plain = name if len(name) <= _FACES_MOST_CHARS else name.replace("_", " ")
    return plain.replace("\\", "\\\\").replace("(", r"\(").replace(")", r"\)").strip()


def _allowed(tags: Sequence[Tag]) -> list[str]:
    return [text for tag in tags if (text := tag_text(tag.name)) and judge(text).allowed]


def _joined(tags: Sequence[str]) -> str:
    """The surest, as many as a prompt should hold."""
    kept: list[str] = []
    room = PROMPT_CHARS
    for tag in tags:
        room -= len(tag) + 2
        if room < 0:
            break
        kept.append(tag)
    return ", ".join(kept)
