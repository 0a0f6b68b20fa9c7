"""Captions for many pictures: a tagger looks at each, and what it is sure of becomes a list of tags."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.files import open_picture
from gpu_worker.engine.tagging.tagger import Taggers
from gpu_worker.language.models import ModelFile
from gpu_worker.language.training.tag_editor import read_tags, write_tags
from gpu_worker.language.training.tagged import KAOMOJI, caption_of_scores
from gpu_worker.protocol.results import Captioned, Captions, Description
from gpu_worker.protocol.specs import Caption, CaptionPicture
from gpu_worker.task import InputLostError, JobHooks

__all__ = ["captioned", "write_captions"]

PART_PICTURES = 16
"""So many captions are handed over at once: a worker that dies has at most these to write again."""


def write_captions(
    spec: Caption, hooks: JobHooks, taggers: Taggers, file: ModelFile, check: Callable[[], None]
) -> Captions:
    """Raises EngineError where the tagger is of no use, and what `check` raises."""
    found: list[Captioned] = []
    for number, start in enumerate(range(0, len(spec.pictures), PART_PICTURES)):
        some = spec.pictures[start : start + PART_PICTURES]
        hooks.progress("tagging", start, len(spec.pictures), None)
        part = _kept(hooks.part(number), some)
        if part is None:
            part = []
            for at, picture in enumerate(some):
                check()
                part.append(_one(picture, spec, hooks, taggers, file, check))
                hooks.progress("tagging", start + at + 1, len(spec.pictures), None)
            if start + PART_PICTURES < len(spec.pictures):
                hooks.keep(number, Captions(pictures=tuple(part)).model_dump_json().encode())
        found += part
    return Captions(pictures=tuple(found))


def captioned(spec: Caption, found: Description) -> tuple[str, tuple[float, ...]]:
    """The caption, and how sure the tagger is of each of its tags."""
    scores = {tag.name: tag.score for tag in (*found.general, *found.character)}
    scores |= dict.fromkeys(spec.additional_tags, 1.0)
    kept = sorted(scores, key=lambda name: scores[name], reverse=True)
    surest = [name for name in kept if name not in spec.exclude_tags][: spec.max_tags]
    words: dict[str, float] = {}
    for name in sorted(surest) if spec.alphabetical else surest:
        word = caption_of_scores(
            {name: scores[name]},
            threshold=0.0,  # looked at with the two of the job already
            replace_underscore=spec.replace_underscore,
            replace_underscore_excludes=KAOMOJI,
            escape_tag=spec.escape,
        )
        for tag in read_tags(word):  # a tag with a comma in it would come apart in the caption
            words.setdefault(tag, round(scores[name], 3))
    return write_tags(words), tuple(words.values())


def _one(
    picture: CaptionPicture,
    spec: Caption,
    hooks: JobHooks,
    taggers: Taggers,
    file: ModelFile,
    check: Callable[[], None],
) -> Captioned:
    try:
        pixels = open_picture(hooks.open_image(picture.image), picture.image)
    except InputLostError:
        return Captioned(id=picture.id, problem="gone")
    except EngineError:
        return Captioned(id=picture.id, problem="unreadable")
    found = taggers.describe(pixels, file, general=spec.threshold, character=spec.character, check=check)
    caption, scores = captioned(spec, found)
    return Captioned(id=picture.id, caption=caption, scores=scores)


def _kept(data: bytes | None, pictures: tuple[CaptionPicture, ...]) -> list[Captioned] | None:
    """What an earlier attempt wrote for just these."""
    if data is None:
        return None
    try:
        kept = Captions.model_validate_json(data).pictures
    except ValidationError:
        return None
    return [*kept] if [one.id for one in kept] == [one.id for one in pictures] else None
