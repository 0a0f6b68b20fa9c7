"""Pictures that are read like prompts: which adapter reads them, and how much each of them counts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.domain.imagine import Built
from bot.domain.mentions import spoken
from bot.domain.models import DISABLED, closest, suits
from bot.domain.notes import Note
from bot.domain.values import decimal
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ImagePrompt, ImagePrompts, ImageRef, JobSpec

__all__ = [
    "PICTURES_MAX", "PLAIN_PROMPT", "STRENGTH", "STRENGTH_MAX", "adapters_for", "choose_adapter", "read_shares",
    "read_strength", "with_image_prompts", "with_the_same_pictures",
]  # fmt: skip

PICTURES_MAX = 5
STRENGTH, STRENGTH_MAX = 0.8, 2.0
PLAIN_PROMPT = "best quality, high quality"
"""What IP-Adapter's authors draw with where there are no words."""
_FLAG = re.compile(r"(?<!\S)(?:--|[—–―])(?:iw|image-weight)[ =]+(?P<value>[0-9.,]+)(?=\s|$)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]{2,}")


def adapters_for(checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> list[str]:
    """Usable ones that fit; all without a checkpoint."""
    return [
        fact.name
        for fact in facts
        if fact.kind == "controlnet" and fact.variant == "ip_adapter" and fact.problem is None
        if checkpoint is None or _fits(fact, checkpoint)
    ]


def choose_adapter(wanted: str | None, checkpoint: str, facts: Sequence[ModelFact]) -> str:
    """None takes the first that fits. Raises UserFacingError: `image_prompt_none`, `image_prompt_unknown`,
    `image_prompt_base`, `image_prompt_eyes`, `model_disabled`."""
    base = next((fact for fact in facts if fact.kind == "checkpoint" and fact.name == checkpoint), None)
    if not any(f.kind == "annotator" and f.variant == "clip_vision" and f.problem is None for f in facts):
        raise UserFacingError("image_prompt_eyes" if adapters_for(None, facts) else "image_prompt_none")
    fitting = adapters_for(base, facts)
    if wanted is None:
        if not fitting:
            raise UserFacingError("image_prompt_base" if adapters_for(None, facts) else "image_prompt_none")
        return fitting[0]
    for fact in facts:
        if fact.variant == "ip_adapter" and fact.name.casefold() == wanted.strip().casefold():
            if fact.problem == DISABLED:
                raise UserFacingError("model_disabled", name=spoken(fact.name))
            if fact.name not in fitting:
                raise UserFacingError("image_prompt_base")
            return fact.name
    near = closest(wanted, fitting)
    if not near:
        raise UserFacingError("image_prompt_none")
    raise UserFacingError("image_prompt_unknown", name=spoken(wanted), closest=", ".join(map(spoken, near)))


def read_strength(prompt: str) -> tuple[str, float | None]:
    """The prompt without `--iw 0.6`, and what it said; the last one counts. Raises UserFacingError
    (`image_prompt_strength`)."""
    found = [match["value"] for match in _FLAG.finditer(prompt)]
    if not found:
        return prompt, None
    try:
        strength = decimal(found[-1])
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= STRENGTH_MAX:
        raise UserFacingError("image_prompt_strength", wish=found[-1][:20], most=f"{STRENGTH_MAX:g}")
    return _BLANKS.sub(" ", _FLAG.sub("", prompt)).strip(), strength


def read_shares(typed: str, count: int) -> tuple[float, ...]:
    """How much each picture counts, as `2:1` or `2 1 1`, brought to a sum of 1; equal where nothing is typed. Raises
    UserFacingError (`image_prompt_shares`)."""
    if not typed.strip():
        return (1 / count,) * count
    try:
        shares = [decimal(part) for part in re.split(r"[\s:;/]+", typed.strip())]
    except ValueError:
        shares = []
    if len(shares) != count or min(shares) < 0 or not 0 < sum(shares) < float("inf"):
        raise UserFacingError("image_prompt_shares", count=count, example=":".join("21111"[:count]))
    return tuple(share / sum(shares) for share in shares)


def with_image_prompts(
    spec: JobSpec, pictures: Sequence[ImageRef], adapter: str, strength: float, shares: Sequence[float]
) -> JobSpec:
    """`shares` have the sum 1: together the pictures count as much as one alone would."""
    prompts = [
        ImagePrompt(image=image, weight=min(STRENGTH_MAX, strength * share))
        for image, share in zip(pictures, shares, strict=True)
    ]
    return spec.model_copy(update={"image_prompts": ImagePrompts(adapter=adapter, pictures=tuple(prompts))})


def with_the_same_pictures(
    built: Built, prompts: ImagePrompts, strength: float | None, facts: Sequence[ModelFact]
) -> Built:
    """A request that was changed keeps the pictures of the one before, `strength` shared out as theirs was. A
    checkpoint whose base model their adapter does not fit goes without, and says so."""
    by_name = {fact.name: fact for fact in facts if fact.kind == "checkpoint"}
    if prompts.adapter not in adapters_for(by_name.get(built.spec.checkpoint), facts):
        return Built(built.spec, (*built.notes, Note("image_prompts_dropped")))
    if strength is not None:
        whole = sum(each.weight for each in prompts.pictures)
        shares = [each.weight / whole if whole else 1 / len(prompts.pictures) for each in prompts.pictures]
        images = [each.image for each in prompts.pictures]
        return Built(with_image_prompts(built.spec, images, prompts.adapter, strength, shares), built.notes)
    return Built(built.spec.model_copy(update={"image_prompts": prompts}), built.notes)


def _fits(adapter: ModelFact, checkpoint: ModelFact) -> bool:
    other = adapter.family is not None and checkpoint.family is not None and adapter.family != checkpoint.family
    return not other and suits(adapter, checkpoint)
