"""What the bot asks of the process that looks at what remote workers send (gpu_worker.looker), and its answers.

Frames as on a worker's pipe, one answer to each question, in order; the first word is its own (`Ready`). Files go by
their paths: both run on one machine.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import Wire

__all__ = [
    "Answer", "LookAtOwn", "LookAtPart", "LookAtPicture", "LookAtPreview", "Question", "ReadText", "Ready", "Refused",
    "Seen", "SeenOwn", "SeenPreview", "SeenText", "Trouble", "parse_answer", "parse_question",
]  # fmt: skip


class LookAtPicture(Wire):
    """Is that a finished picture as it was asked for? It is written anew to `target`, with these texts and no others,
    and without whatever else stood in the file."""

    t: Literal["picture"] = "picture"
    source: str
    target: str
    mime: str
    width: int = 0
    height: int = 0
    """What it has to have; 0: whatever it has, up to `longest_px`."""
    longest_px: int
    limit_bytes: int
    texts: dict[str, str] = Field(default_factory=dict[str, str])
    """By PNG keyword."""


class LookAtPart(Wire):
    """Is that a part of a picture, as another worker may go on from it? `place` and `start` are the texts it needs."""

    t: Literal["part"] = "part"
    source: str
    target: str
    longest_px: int
    limit_bytes: int


class LookAtPreview(Wire):
    t: Literal["preview"] = "preview"
    data: bytes
    longest_px: int
    guarded: bool = False
    """What the classifier objects to becomes a few coloured cells."""


class LookAtOwn(Wire):
    """What does the classifier say of a picture of the bot's own worker, which has none? It stays as it is."""

    t: Literal["own"] = "own"
    source: str


class ReadText(Wire):
    """How a picture of ours was made, as it says itself."""

    t: Literal["text"] = "text"
    source: str


class Ready(Wire):
    t: Literal["ready"] = "ready"


class Seen(Wire):
    t: Literal["seen"] = "seen"
    width: int
    height: int
    size_bytes: int
    sha256: str
    """Of what was written."""
    looked: Looked | None = None
    """None where there is no classifier, and of parts."""


class SeenOwn(Wire):
    t: Literal["seen_own"] = "seen_own"
    looked: Looked | None = None
    """None where there is no classifier."""


class SeenPreview(Wire):
    t: Literal["seen_preview"] = "seen_preview"
    data: bytes
    """A JPEG."""


class SeenText(Wire):
    t: Literal["seen_text"] = "seen_text"
    width: int
    height: int
    plain: str
    """What A1111 finds in it; empty where that is nothing."""
    foreign: str
    """The same of whatever program."""


class Refused(Wire):
    """What was to be looked at is not what it should be."""

    t: Literal["refused"] = "refused"
    reason: str


class Trouble(Wire):
    """The disk would not have it; to be asked again."""

    t: Literal["trouble"] = "trouble"
    reason: str


Question = Annotated[LookAtPicture | LookAtPart | LookAtPreview | LookAtOwn | ReadText, Field(discriminator="t")]
Answer = Annotated[Ready | Seen | SeenOwn | SeenPreview | SeenText | Refused | Trouble, Field(discriminator="t")]

_QUESTION: TypeAdapter[Question] = TypeAdapter(Question)
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


def parse_question(raw: dict[str, Any]) -> Question:
    """Raises pydantic.ValidationError."""
    return _QUESTION.validate_python(raw)


def parse_answer(raw: dict[str, Any]) -> Answer:
    """Raises pydantic.ValidationError."""
    return _ANSWER.validate_python(raw)
