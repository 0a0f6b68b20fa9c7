"""The builder of /tags: what somebody searches, and the prompt they put together from what they find."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.tag_texts import inserted

__all__ = ["BOARD_KINDS", "PROMPT_CHARS_MAX", "SEARCH_CHARS_MAX", "BoardKind", "TagBoard", "added"]

BoardKind = Literal[
    "all", "general", "artist", "copyright", "character", "meta", "species", "lore", "other", "wildcard", "lora",
    "embedding",
]  # fmt: skip
BOARD_KINDS: tuple[BoardKind, ...] = (
    "all", "general", "artist", "copyright", "character", "meta", "species", "lore", "other", "wildcard", "lora",
    "embedding",
)  # fmt: skip
PROMPT_CHARS_MAX = 4000
"""Of a form's field."""
SEARCH_CHARS_MAX = 100
UNDONE_MAX = 10


class TagBoard(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(default="", max_length=PROMPT_CHARS_MAX)
    search: str = Field(default="", max_length=SEARCH_CHARS_MAX)
    kind: BoardKind = "all"
    page: int = Field(default=0, ge=0)
    before: tuple[str, ...] = ()
    """Earlier prompts, the newest last."""

    def with_prompt(self, prompt: str) -> TagBoard:
        """A prompt longer than a form holds stays as it was."""
        if prompt == self.prompt or len(prompt) > PROMPT_CHARS_MAX:
            return self
        return self.model_copy(update={"prompt": prompt, "before": (*self.before, self.prompt)[-UNDONE_MAX:]})

    def undone(self) -> TagBoard:
        if not self.before:
            return self
        return self.model_copy(update={"prompt": self.before[-1], "before": self.before[:-1]})


def added(prompt: str, name: str, kind: str, weight: float = 1) -> str:
    """The prompt with one thing more at its end. `kind` as `inserted` takes it."""
    text = prompt.rstrip().rstrip(",").rstrip()
    gap = "" if not text else " " if kind == "lora" else ", "
    start = f"{text}{gap}"
    return inserted(start, len(start), len(start), name, kind, weight=weight)[0].rstrip().rstrip(",")
