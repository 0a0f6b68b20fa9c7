"""The LoRA tags of a prompt as a list that somebody changes: which are in it, with which weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpu_worker.language.networks import LORA_KINDS

__all__ = ["LoraTag", "loras_of", "with_loras", "with_weights", "without_loras"]

_TAG = re.compile(r"<(\w+):([^>:]+)(?::([^>]*))?>")
_BLANKS = re.compile(r"[ \t]{2,}")


@dataclass(frozen=True, slots=True)
class LoraTag:
    """`weights` is what stands behind the name: `0.8`, or `0.8:0.5` for text encoder and UNet; `1` where it is bare."""

    name: str
    weights: str = "1"

    @property
    def text(self) -> str:
        return f"<lora:{self.name}:{self.weights}>"


def loras_of(prompt: str) -> tuple[LoraTag, ...]:
    """Each name once, in the order of the tags; of a name in two tags the last one's weights count, as in A1111."""
    found: dict[str, LoraTag] = {}
    for match in _TAG.finditer(prompt):
        if match[1].lower() in LORA_KINDS:
            found[match[2]] = LoraTag(match[2], (match[3] or "1").strip() or "1")
    return tuple(found.values())


def without_loras(prompt: str) -> str:
    """Other tags stay."""
    bare = _TAG.sub(lambda match: "" if match[1].lower() in LORA_KINDS else match[0], prompt)
    return _BLANKS.sub(" ", bare).strip()


def with_loras(prompt: str, names: Iterable[str]) -> str:
    """The prompt with exactly these: tags of others go, those that stay keep their place and weights, new ones stand
    at the end with weight 1, of several parts of an AND at that of the first."""
    wanted = list(dict.fromkeys(names))
    there = {tag.name for tag in loras_of(prompt)}
    kept = _TAG.sub(lambda match: "" if match[1].lower() in LORA_KINDS and match[2] not in wanted else match[0], prompt)
    new = [LoraTag(name).text for name in wanted if name not in there]
    if not new and kept == prompt:
        return prompt
    first, word, rest = _BLANKS.sub(" ", kept).strip().partition(" AND ")
    return " ".join([first.strip(), *new]).strip() + word + rest


def with_weights(prompt: str, weights: Mapping[str, str]) -> str:
    """The prompt with other weights behind these names; an empty one takes the LoRA out."""
    gone = [name for name, text in weights.items() if not text.strip()]
    left = [tag.name for tag in loras_of(prompt) if tag.name not in gone]
    prompt = with_loras(prompt, left) if gone else prompt

    def changed(match: re.Match[str]) -> str:
        text = weights.get(match[2], "").strip().replace(",", ".")
        known = match[1].lower() in LORA_KINDS and text
        return f"<{match[1]}:{match[2]}:{text}>" if known else match[0]

    return _TAG.sub(changed, prompt)
