"""What each saved epoch draws: lines as sd-scripts has them (behaviours §24.5), as one request."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.training.datasets import Folder, Picture
from bot.domain.training.wishes import SAMPLES_MAX, TrainingWish
from bot.errors import UserFacingError
from gpu_worker.language.names import resolve_sampler
from gpu_worker.language.training.samples import SampleLine, read_sample_lines
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Texts, Txt2Img

__all__ = ["SAMPLE_SEED", "build_samples", "default_samples", "with_epoch"]

SAMPLE_SEED = 1000
"""Where no line says one: epochs are compared by what they draw from the same noise."""
_CAPTION_CHARS = 300
_NETWORK = re.compile(r"<[^<>]*>|[<>]")
_SHARED = {"width": "--w", "height": "--h", "sample_steps": "--s", "scale": "--l", "sample_sampler": "--ss"}
"""Of a line; all lines are drawn at once, so they have these in common."""


def default_samples(wish: TrainingWish, folders: Sequence[Folder], pictures: Sequence[Picture]) -> tuple[str, ...]:
    """The trigger word alone, and as a picture of the data set is described; without one, what describes pictures."""
    reg = {folder.id for folder in folders if folder.is_reg}
    tokens = {folder.id: folder.class_tokens for folder in folders}
    told = [
        (tokens.get(picture.folder_id, "") if picture.caption is None else picture.caption)
        for picture in pictures
        if picture.folder_id not in reg
    ]
    # In a caption a tag of a LoRA is text; a prompt would load it, or be refused.
    plain = (" ".join(_NETWORK.sub(" ", text).split()) for text in told)
    captions = [caption for caption in (text[:_CAPTION_CHARS].strip(" ,") for text in plain) if caption]
    trigger = wish.trigger.strip()
    lines: list[str] = [trigger] if trigger else []
    for caption in captions:
        led = caption if not trigger or trigger.casefold() in caption.casefold() else f"{trigger}, {caption}"
        if led not in lines:
            lines.append(led)
        if len(lines) == 2:
            break
    return tuple(line.replace(" --", " ") for line in lines[:SAMPLES_MAX])


def build_samples(
    lines: Sequence[str], checkpoint: str, vae: str, clip_skip: int | None, facts: Sequence[ModelFact], limits: Limits
) -> Txt2Img:
    """All lines side by side, without the LoRA. Raises UserFacingError: `train_samples_differ`, `train_samples_seed`,
    those of `build_imagine`."""
    read = read_sample_lines("\n".join(lines))
    first = read[0]
    for key in _SHARED:
        said = {getattr(line, key) for line in read} - {None}
        if len(said) > 1:
            raise UserFacingError("train_samples_differ", option=_SHARED[key])
    seed = first.seed if first.seed is not None else SAMPLE_SEED
    for place, line in enumerate(read):
        if not line.prompt.strip():
            raise UserFacingError("prompt_empty")
        if line.seed is not None and line.seed != seed + place:
            raise UserFacingError("train_samples_seed", seed=seed + place, n=place + 1)
    wishes = Parameters(
        checkpoint=checkpoint, vae=vae, count=1, seed=seed, clip_skip=clip_skip, width=_first(read, "width"),
        height=_first(read, "height"), steps=_first(read, "sample_steps"), cfg_scale=_first(read, "scale"),
        sampler=_sampler(_first(read, "sample_sampler")),
    )  # fmt: skip
    built = [
        build_imagine(
            ImagineOptions(line.prompt, line.negative_prompt, None, wishes),
            facts=facts,
            limits=limits,
            rng=random.Random(seed),
        ).spec
        for line in read
    ]
    spec = built[0]
    assert isinstance(spec, Txt2Img), "a request without a picture"
    texts = tuple(Texts(prompt=one.prompt, negative_prompt=one.negative_prompt) for one in built)
    return spec.model_copy(update={"count": len(texts), "texts": texts if len(texts) > 1 else (), "hires": None})


def with_epoch(spec: Txt2Img, name: str) -> Txt2Img:
    """The same, drawn with that saved file."""
    tag = f"<lora:{name}:1>"
    texts = tuple(own.model_copy(update={"prompt": f"{own.prompt} {tag}"}) for own in spec.texts)
    return spec.model_copy(update={"prompt": f"{spec.prompt} {tag}", "texts": texts})


def _first(lines: Sequence[SampleLine], key: str) -> Any:
    return next((value for line in lines if (value := getattr(line, key)) is not None), None)


def _sampler(name: str | None) -> str | None:
    """sd-scripts' names lack the `k_` that others have in front."""
    if name is None or resolve_sampler(name) is not None:
        return name
    return f"k_{name}" if resolve_sampler(f"k_{name}") is not None else name
