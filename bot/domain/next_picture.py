"""What somebody chose with "use in next picture": remembered until a picture is asked for, then used up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.mentions import spoken
from bot.domain.models import names_of, suits
from bot.domain.notes import Note, named
from bot.domain.parameters import Parameters
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = ["USABLE_KINDS", "NextPicture", "Taken", "chosen", "taken"]

USABLE_KINDS: tuple[ModelKind, ...] = ("checkpoint", "vae", "lora", "embedding", "upscaler")
LORAS_MAX = 8
WORDS_MAX_CHARS = 500


class NextPicture(BaseModel):
    """Names as the worker knows them; `words` are trigger words and embeddings that go into the prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str | None = None
    vae: str | None = None
    upscaler: str | None = None
    loras: tuple[str, ...] = Field(default=(), max_length=LORAS_MAX)
    words: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return self == NextPicture()


def chosen(now: NextPicture, kind: ModelKind, name: str, words: Sequence[str] = ()) -> NextPicture:
    """With one more model; of checkpoints, VAEs and upscalers the newest replaces the other, and LoRAs add up (the
    oldest goes where they are too many). Raises ValueError for a kind that no request names."""
    if kind not in USABLE_KINDS:
        raise ValueError(kind)
    more = (*now.words, *words, *((name,) if kind == "embedding" else ()))
    kept: list[str] = []
    for word in dict.fromkeys(more):
        if sum(map(len, kept)) + len(word) <= WORDS_MAX_CHARS:
            kept.append(word)
    update: dict[str, object] = {"words": tuple(kept)}
    if kind == "lora":
        update["loras"] = tuple(dict.fromkeys((*now.loras, name)))[-LORAS_MAX:]
    elif kind != "embedding":
        update[kind] = name
    return now.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a request gets of it: `base` lies below what the person gave."""

    base: Parameters
    loras: tuple[str, ...]
    words: str
    notes: tuple[Note, ...]


def taken(wish: NextPicture, typed: Parameters, checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> Taken:
    """`checkpoint` is the one that will draw. What is gone, disabled, or made for another family is left out, with a
    note that names it: a choice of yesterday must not stand in the way of a picture."""
    fits: list[str] = []
    left: list[str] = []
    there = {(fact.kind, fact.name): fact for fact in facts if fact.problem is None}

    def use(kind: ModelKind, name: str | None) -> str | None:
        if name is None:
            return None
        fact = there.get((kind, name))
        same = fact is not None and (checkpoint is None or kind == "checkpoint" or suits(fact, checkpoint))
        (fits if same else left).append(name)
        return name if same else None

    loras = tuple(name for name in wish.loras if use("lora", name))
    base = Parameters(
        checkpoint=use("checkpoint", wish.checkpoint) if typed.checkpoint is None else None,
        vae=use("vae", wish.vae) if typed.vae is None else None,
        hires_upscaler=use("upscaler", wish.upscaler) if typed.hires_upscaler is None else None,
    )
    embeddings = {*names_of("embedding", facts)}
    unusable = {fact.name for fact in facts if fact.kind == "embedding" and fact.problem}
    words = [word for word in wish.words if word not in unusable]
    left += [word for word in wish.words if word in unusable]
    fits += [word for word in words if word in embeddings]
    notes: list[Note] = []
    if fits:
        notes.append(Note("next_used", {"names": named([*map(spoken, fits)])}))
    if left:
        notes.append(Note("next_left_out", {"names": named([*map(spoken, left)])}))
    return Taken(base, loras, ", ".join(words), tuple(notes))
