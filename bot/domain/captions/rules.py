"""What may stand in a caption: a LoRA learns to draw it. CPU-bound, off the loop."""

from __future__ import annotations

from collections.abc import Iterable

from bot.domain.content import judge, require_allowed
from bot.domain.safety.words import first_hit
from bot.errors import ContentRefusedError
from gpu_worker.language.training.tag_editor import read_tags, write_tags

__all__ = ["allowed_part", "require_captions"]


def require_captions(texts: Iterable[str], *, adult_allowed: bool, words: tuple[str, ...] = ()) -> None:
    """Each by itself, as each picture is learnt by itself. `words` are a server's own. Raises ContentRefusedError:
    `content_minors`, `content_adult`, `content_words`."""
    for text in dict.fromkeys(texts):
        require_allowed(text, adult_allowed=adult_allowed)
        if words and first_hit(words, text) is not None:
            raise ContentRefusedError("content_words")


def allowed_part(caption: str, *, adult_allowed: bool, words: tuple[str, ...] = ()) -> str:
    """What is left of a tagger's caption without the tags that are refused; nothing, where all the rest together says
    what none says alone."""
    kept = [tag for tag in read_tags(caption) if judge(tag, adult_allowed=adult_allowed).allowed]
    kept = [tag for tag in kept if not words or first_hit(words, tag) is None]
    text = write_tags(kept)
    if not judge(text, adult_allowed=adult_allowed).allowed or (words and first_hit(words, text) is not None):
        return ""
    return text
