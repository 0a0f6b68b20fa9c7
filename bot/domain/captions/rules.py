"""What may stand in a caption that a tagger wrote: a LoRA learns to draw it. CPU-bound, off the loop."""

from __future__ import annotations

from bot.domain.content import judge
from bot.domain.safety.words import first_hit
from gpu_worker.language.training.tag_editor import read_tags, write_tags

__all__ = ["allowed_part"]


def allowed_part(caption: str, words: tuple[str, ...] = (), *, adult_allowed: bool = False) -> str:
    """What is left without the tags that are refused; nothing, where all the rest together says what none says alone.
    `words` are a server's own."""

    def allowed(text: str) -> bool:
        return judge(text, adult_allowed=adult_allowed).allowed and (not words or first_hit(words, text) is None)

    text = write_tags(filter(allowed, read_tags(caption)))
    return text if allowed(text) else ""
