"""What may stand in a caption that a tagger wrote: a LoRA learns to draw it. CPU-bound, off the loop."""

from __future__ import annotations

from bot.domain.content import is_sexual, judge
from bot.domain.safety.words import first_hit
from gpu_worker.language.training.tag_editor import read_tags, write_tags

__all__ = ["allowed_part"]


def allowed_part(caption: str, words: tuple[str, ...] = ()) -> str:
    """What is left without the tags that are refused, as for everything that is made of somebody's own pictures;
    nothing, where all the rest together says what none says alone. `words` are a server's own."""
    text = write_tags(tag for tag in read_tags(caption) if _allowed(tag, words))
    return text if _allowed(text, words) else ""


def _allowed(text: str, words: tuple[str, ...]) -> bool:
    return judge(text).allowed and not is_sexual(text) and (not words or first_hit(words, text) is None)
