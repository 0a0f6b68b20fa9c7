"""What may stand in a caption: a LoRA learns to draw it. CPU-bound, off the loop."""

from __future__ import annotations

from bot.domain.content import is_sexual, judge
from bot.domain.safety.words import first_hit
from gpu_worker.language.training.tag_editor import read_tags, write_tags

__all__ = ["allowed_part", "teachable"]


def teachable(text: str) -> bool:
    """Whether the door of trainings lets it pass beside pictures that somebody gave, as those of data sets are
    (bot/studio/safety/content.py, `upload`): what it will refuse is better refused while it is written."""
    return judge(text).allowed and not is_sexual(text)


def allowed_part(caption: str, words: tuple[str, ...] = ()) -> str:
    """What is left of a tagger's caption without the tags that are refused; nothing, where all the rest together says
    what none says alone. `words` are a server's own."""

    def allowed(text: str) -> bool:
        return teachable(text) and (not words or first_hit(words, text) is None)

    text = write_tags(filter(allowed, read_tags(caption)))
    return text if allowed(text) else ""
