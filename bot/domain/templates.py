"""Dynamic prompts: how a request goes from template to texts, and back.

A request as it is asked holds the template where a prompt stands. The one door of new jobs has its texts drawn, one a
picture, and records them with the template; a request made from one of its pictures has that picture's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bot.domain.template_syntax import is_template
from gpu_worker.protocol.specs import SEED_MAX, Img2Img, JobSpec, Template, Texts, Txt2Img

__all__ = ["as_asked", "combined", "picture_seeds", "second_to_be_drawn", "to_be_drawn", "with_texts"]

Spec = TypeVar("Spec", Txt2Img, Img2Img, JobSpec)


def to_be_drawn(spec: JobSpec) -> bool:
    """Whether it still holds a template, or asks for combinations that were not drawn."""
    if spec.texts:
        return False
    if spec.template is not None:
        return spec.template.combinatorial
    return is_template(spec.prompt) or is_template(spec.negative_prompt) or second_to_be_drawn(spec)


def second_to_be_drawn(spec: JobSpec) -> bool:
    """Whether a second pass has prompts of its own that are templates."""
    hires = spec.hires if isinstance(spec, Txt2Img) else None
    return hires is not None and (is_template(hires.prompt or "") or is_template(hires.negative_prompt or ""))


def picture_seeds(spec: JobSpec) -> list[int]:
    """With variations the seed of all pictures is the same, and so is what is drawn from it, as in A1111."""
    if spec.variations:
        return [spec.seed] * spec.count
    return [min(spec.seed + index, SEED_MAX) for index in range(spec.count)]


def with_texts(spec: Spec, texts: Sequence[Texts]) -> Spec:
    """`texts` are as many as the request has pictures."""
    template = spec.template or Template(prompt=spec.prompt, negative_prompt=spec.negative_prompt)
    return spec.model_copy(
        update={
            "prompt": texts[0].prompt,
            "negative_prompt": texts[0].negative_prompt,
            "texts": tuple(texts),
            "template": template,
        }
    )


def combined(spec: Spec, texts: Sequence[Texts], at_once: int) -> list[Spec]:
    """Requests of at most `at_once` pictures that draw all `texts`; seeds count up over all of them."""
    found: list[Spec] = []
    for start in range(0, len(texts), at_once):
        part = texts[start : start + at_once]
        update: dict[str, object] = {"count": len(part)}
        if spec.variations:
            *path, last = spec.variations
            update["variations"] = (*path, last.model_copy(update={"seed": min(last.seed + start, SEED_MAX)}))
        else:
            update["seed"] = min(spec.seed + start, SEED_MAX)
        found.append(with_texts(spec.model_copy(update=update), part))
    return found


def as_asked(spec: Spec) -> Spec:
    """The template again instead of what was drawn from it; any other request as it is."""
    if spec.template is None or not spec.texts:
        return spec
    update = {
        "prompt": spec.template.prompt,
        "negative_prompt": spec.template.negative_prompt,
        "texts": (),
        "template": None,
    }
    return spec.model_copy(update=update)
