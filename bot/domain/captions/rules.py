"""What may stand in a caption: a LoRA learns to draw it. CPU-bound, off the loop."""

from __future__ import annotations

from bot.domain.content import is_sexual, judge
from bot.domain.safety.texts import steering_of
from bot.domain.safety.words import first_hit
from gpu_worker.language.training.tag_editor import read_tags, write_tags
from gpu_worker.protocol.specs import Train

__all__ = ["allowed_part", "teachable", "untaught"]


def teachable(text: str) -> bool:
    """Whether the door of trainings lets it pass beside pictures that somebody gave, as those of data sets are
    (bot/studio/safety/content.py, `upload`): what it will refuse is better refused while it is written."""
    return judge(text).allowed and not is_sexual(text)


def untaught(task: Train, *, minors: bool = False) -> list[str]:
    """Hashes of the pictures whose captions the door of trainings refuses, with `minors` those that it refuses for
    that, in their order; none where it is what stands beside all captions (name, class tokens, prefix, suffix) that
    says it."""

    def allowed(text: str) -> bool:
        return judge(text).category != "minors" if minors else teachable(text)

    beside = steering_of(task).shared
    if not allowed(" , ".join(beside)):
        return []
    found: dict[str, None] = {}
    for _, image in task.images():
        if image.caption and not allowed(" , ".join((image.caption, *beside))):
            found[image.image.sha256] = None
    return list(found)


def allowed_part(caption: str, words: tuple[str, ...] = ()) -> str:
    """What is left of a tagger's caption without the tags that are refused; nothing, where all the rest together says
    what none says alone. `words` are a server's own."""

    def allowed(text: str) -> bool:
        return teachable(text) and (not words or first_hit(words, text) is None)

    text = write_tags(filter(allowed, read_tags(caption)))
    return text if allowed(text) else ""
