"""What the buttons under a picture make of its recorded request. Every result is complete and seeded, as any request.

A job's request draws `count` pictures; `picture_spec` is the one that draws just one of them. A picture that was
enlarged holds in `width` and `height` the size it was enlarged from, and its source in `hires`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from bot.domain.imagine import Built, ImagineOptions, build_imagine, draw_seed
from bot.domain.limits import DEFAULT_LIMITS, Limits
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import (
    SEED_MAX,
    SIZE_MAX_PX,
    Hires,
    RenderedSource,
    Source,
    Txt2Img,
    Variation,
)

__all__ = [
    "UPSCALE", "VARIATION_STRENGTHS", "Strength", "edit", "first_pass", "parameters_of", "picture_size", "picture_spec",
    "rendered_source", "reroll", "upscale", "vary",
]  # fmt: skip

Strength = Literal["subtle", "strong"]
VARIATION_STRENGTHS: dict[Strength, float] = {"subtle": 0.12, "strong": 0.35}
"""Variation strengths in A1111's sense: the pose stays with the first, the layout with the second."""
VARIATIONS = 4
UPSCALE = Hires(scale=2.0, upscaler="Lanczos", denoising_strength=0.35)
"""Enough denoising to draw detail at the new size, too little to move things; a checkpoint may know better."""


def picture_spec(spec: Txt2Img, index: int) -> Txt2Img:
    """The request that draws picture `index` (from 0) of `spec`'s job alone: the same seeds, one picture.

    Without variations the seed counts up; with them the seed stays and the last variation's seed counts up
    (behaviours §6). Raises ValueError for an index the job does not have.
    """
    if not 0 <= index < spec.count:
        raise ValueError(f"picture {index} of a job of {spec.count}")
    if not spec.variations:
        return spec.model_copy(update={"count": 1, "seed": _moved(spec.seed, index)})
    *path, last = spec.variations
    moved = last.model_copy(update={"seed": _moved(last.seed, index)})
    return spec.model_copy(update={"count": 1, "variations": (*path, moved)})


def _moved(seed: int, by: int) -> int:
    return min(seed + by, SEED_MAX)


def picture_size(spec: Txt2Img) -> tuple[int, int]:
    """Width and height in pixels of the pictures that `spec` draws; a second pass is cut off to multiples of 8."""
    scale = spec.hires.scale if spec.hires else 1
    return int(spec.width * scale) // 8 * 8, int(spec.height * scale) // 8 * 8


def rendered_source(spec: Txt2Img, index: int) -> RenderedSource:
    """The source for `upscale` where the stored picture is gone: it is drawn again on the way."""
    return RenderedSource(spec=picture_spec(spec, index))


def first_pass(spec: Txt2Img) -> Txt2Img:
    """The request without enlargement, back to the picture that was drawn from noise as far as `spec` knows it.

    A source that is drawn again is followed to its first pass; of a stored one only its size is known, so for a picture
    that was enlarged twice pass the request of the job it came from.
    """
    while spec.hires and isinstance(spec.hires.source, RenderedSource):
        spec = spec.hires.source.spec
    return spec.model_copy(update={"hires": None})


def upscale(
    spec: Txt2Img,
    index: int,
    source: Source,
    limits: Limits = DEFAULT_LIMITS,
    facts: Sequence[ModelFact] = (),
) -> Txt2Img:
    """A second pass at twice the size over picture `index`, which `source` brings.

    `facts` may name the checkpoint's own denoising strength. Works on enlarged pictures, too, until a limit is met, so
    sources nest at most as often as a side can double. Raises UserFacingError (`upscale_too_large`).
    """
    hires = UPSCALE
    for fact in facts:
        if (fact.kind, fact.name) == ("checkpoint", spec.checkpoint) and "upscale_denoising" in (fact.defaults or {}):
            hires = UPSCALE.model_copy(update={"denoising_strength": (fact.defaults or {})["upscale_denoising"]})
    picture = picture_spec(spec, index)
    width, height = picture_size(picture)
    enlarged = picture.model_copy(update={"width": width, "height": height, "hires": hires})
    target = picture_size(enlarged)
    if (
        max(width, height) > SIZE_MAX_PX
        or max(target) > limits.max_upscaled_side_px
        or target[0] * target[1] > limits.max_upscaled_pixels
    ):
        raise UserFacingError("upscale_too_large", width=target[0], height=target[1])
    return enlarged.model_copy(update={"hires": hires.model_copy(update={"source": source})})


def vary(spec: Txt2Img, index: int, strength: Strength, rng: Random, limits: Limits = DEFAULT_LIMITS) -> Txt2Img:
    """Four pictures a step away from picture `index`: its seed and path stay, one more variation is added.

    Raises UserFacingError (`variation_depth`) where the path is as long as the worker takes.
    """
    picture = first_pass(picture_spec(spec, index))
    if len(picture.variations) >= limits.max_variation_path:
        raise UserFacingError("variation_depth", limit=limits.max_variation_path)
    step = Variation(seed=draw_seed(rng), strength=VARIATION_STRENGTHS[strength])
    return picture.model_copy(update={"count": VARIATIONS, "variations": (*picture.variations, step)})


def reroll(spec: Txt2Img, rng: Random) -> Txt2Img:
    """The same request with a new seed, as if asked anew: no variations, no enlargement of a picture that exists."""
    fresh = first_pass(spec) if spec.hires and spec.hires.source else spec
    return fresh.model_copy(update={"seed": draw_seed(rng), "variations": ()})


def parameters_of(spec: Txt2Img) -> Parameters:
    """What a form shows of a recorded request, and what an edit starts from."""
    return Parameters(
        checkpoint=spec.checkpoint,
        width=spec.width,
        height=spec.height,
        steps=spec.steps,
        cfg_scale=spec.cfg_scale,
        sampler=spec.sampler,
        schedule=spec.schedule,
        clip_skip=spec.clip_skip,
        seed=spec.seed,
        count=spec.count,
    )


def edit(
    spec: Txt2Img,
    *,
    prompt: str,
    negative_prompt: str,
    changes: Parameters,
    facts: Sequence[ModelFact],
    limits: Limits,
    rng: Random,
) -> Built:
    """The recorded request with new texts and `changes`, through the same checks as a new one (inline flags included).

    The seed stays unless changed (-1 draws one), so that an edit shows what the new words do; variations stay as long
    as the seed does. Enlargement is dropped. Raises UserFacingError as `build_imagine`.
    """
    base = first_pass(spec)
    wishes = changes.over(parameters_of(base))
    built = build_imagine(
        ImagineOptions(prompt=prompt, negative=negative_prompt, **vars(wishes)), facts=facts, limits=limits, rng=rng
    )
    if built.spec.seed == base.seed and base.variations:
        return Built(built.spec.model_copy(update={"variations": base.variations}), built.notes)
    return built
