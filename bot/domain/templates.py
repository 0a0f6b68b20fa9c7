"""Dynamic prompts: what is a template, what in it stays A1111's, and how a request goes from template to texts.

A request as it is asked holds the template where a prompt stands. The one door of new jobs has its texts drawn, one a
picture, and records them with the template; a request made from one of its pictures has that picture's text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from gpu_worker.protocol.specs import SEED_MAX, Img2Img, JobSpec, Template, Texts, Txt2Img

__all__ = [
    "as_asked", "combined", "guarded", "is_template", "picture_seeds", "text_tags", "to_be_drawn", "unguarded",
    "wildcards_in", "with_texts",
]  # fmt: skip

Spec = TypeVar("Spec", Txt2Img, Img2Img, JobSpec)

_NETWORK = re.compile(r"<\w+:[^<>{}|]*>")
"""A tag of one name: `#`, `//` and `__` in a file's name mean nothing there. With braces or `|` it is a template."""
_DRAWN_NETWORK = re.compile(r"<\w+:[^<>]*[{}|][^<>]*>")
_VARIANT = re.compile(r"\{[^{}]*\}")
_WILDCARD = re.compile(r"__(?=[^\s_])([^\n]*?[^\s_(]|[^\n]*?\([^)\n]*\))__")
_SIGNS = "#/_$%*"
_PLACES = {ord(sign): chr(0xE000 + number) for number, sign in enumerate(_SIGNS)}
_BACK = {ord(place): chr(sign) for sign, place in _PLACES.items()}


def is_template(text: str) -> bool:
    """Whether there is anything to draw: a pair of braces, or a wildcard. A lone brace or `#` is a plain text's."""
    found = guarded(text)
    return _VARIANT.search(found) is not None or _WILDCARD.search(found) is not None


def guarded(text: str) -> str:
    """With the template's signs inside network tags replaced, so that tags come through as they were typed."""
    return _NETWORK.sub(lambda tag: tag[0].translate(_PLACES), text)


def unguarded(text: str) -> str:
    return text.translate(_BACK)


def wildcards_in(text: str) -> list[str]:
    """The names (or patterns) of all wildcards, in order, without sampler marks and parameters."""
    names = (found[1].lstrip("~!@").split("(")[0].strip() for found in _WILDCARD.finditer(guarded(text)))
    return list(dict.fromkeys(name for name in names if name))


def text_tags(text: str) -> str:
    """The text without network tags that are templates themselves (`<lora:{a|b}:1>`): what they name is not drawn yet,
    so it cannot be looked up."""
    return _DRAWN_NETWORK.sub("", text)


def to_be_drawn(spec: JobSpec) -> bool:
    """Whether it still holds a template, or asks for combinations that were not drawn."""
    if spec.texts:
        return False
    if spec.template is not None:
        return spec.template.combinatorial
    return is_template(spec.prompt) or is_template(spec.negative_prompt)


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
