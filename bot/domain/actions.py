"""What the buttons under a picture make of its recorded request. Every result is complete and seeded, as any request.

A job's request draws `count` pictures; `picture_spec` is the one that draws just one of them. A picture that was
enlarged holds in `width` and `height` the size it was enlarged from, and its source in `hires`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Literal, TypeVar

from bot.domain.control.keeping import NEEDED, known_pictures, led_by, own_pictures, with_the_same_units
from bot.domain.flags import read_flags
from bot.domain.image_prompts import read_strength, with_the_same_pictures
from bot.domain.imagine import Built, ImagineOptions, build_imagine, draw_seed
from bot.domain.layouts.keeping import with_the_same_regions
from bot.domain.limits import DEFAULT_LIMITS, Limits
from bot.domain.parameters import Parameters
from bot.domain.pasted import is_infotext
from bot.domain.pictures import GivenPicture
from bot.domain.recorded import parameters_of
from bot.domain.second_pass import upscale_denoising
from bot.domain.sizes import hires_target
from bot.domain.templates import as_asked
from bot.errors import UserFacingError
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import (
    SIZE_MAX_PX,
    Drawing,
    Hires,
    Img2Img,
    JobSpec,
    RenderedSource,
    Source,
    StoredSource,
    Txt2Img,
    Variation,
)

__all__ = [
    "UPSCALE", "VARIATION_STRENGTHS", "Strength", "edit", "first_pass", "picture_size", "picture_spec",
    "rendered_source", "reroll", "upscale", "vary",
]  # fmt: skip

_IN_EVERY_TEXT = ("checkpoint", "steps", "cfg_scale", "sampler", "schedule", "clip_skip", "width", "height", "seed")
TILE_PX = 512
"""The smallest tile: with less in sight every one would get a motif of its own."""
Strength = Literal["subtle", "strong"]
Spec = TypeVar("Spec", Txt2Img, Img2Img, JobSpec)
VARIATION_STRENGTHS: dict[Strength, float] = {"subtle": 0.12, "strong": 0.35}
"""Variation strengths in A1111's sense: the pose stays with the first, the layout with the second."""
VARIATIONS = 4
_GIVEN = "input:"
"""Begins the address of a picture that somebody gave."""
UPSCALE = Hires(scale=2.0, upscaler="Lanczos", denoising_strength=0.35)
"""Enough denoising to draw detail at the new size, too little to move things; a checkpoint may know better."""


def picture_size(spec: JobSpec) -> tuple[int, int]:
    """Width and height in pixels of the pictures that `spec` draws; a second pass is cut off to multiples of 8."""
    if isinstance(spec, Img2Img) or spec.hires is None:
        return spec.width, spec.height
    hires = spec.hires
    return hires_target((spec.width, spec.height), hires.scale, (hires.resize_width, hires.resize_height))


def rendered_source(spec: Txt2Img, index: int) -> RenderedSource:
    """The source for `upscale` where the stored picture is gone: it is drawn again on the way."""
    return RenderedSource(spec=picture_spec(spec, index))


def first_pass(spec: Spec) -> Spec:
    """The request without the enlargement of a picture that exists; a second pass that was asked for is part of it.

    A source that is drawn again is followed to its request; of a stored one only its size is known, so for a picture
    that was enlarged twice pass the request of the job it came from. A picture that somebody gave to be enlarged is
    what the request is about, so it stays.
    """
    while isinstance(spec, Txt2Img) and spec.hires and isinstance(spec.hires.source, RenderedSource):
        spec = spec.hires.source.spec
    if isinstance(spec, Txt2Img) and spec.hires and spec.hires.source and _given(spec) is None:
        return spec.model_copy(update={"hires": None})
    return spec


def _given(spec: JobSpec) -> Source | None:
    """The picture that somebody gave and that a second pass goes over."""
    source = spec.hires.source if isinstance(spec, Txt2Img) and spec.hires is not None else None
    return source if isinstance(source, StoredSource) and source.image.ref.startswith(_GIVEN) else None


def upscale(
    spec: JobSpec,
    index: int,
    source: Source,
    limits: Limits = DEFAULT_LIMITS,
    facts: Sequence[ModelFact] = (),
    *,
    size: tuple[int, int] | None = None,
) -> Txt2Img:
    """A second pass at twice the size over picture `index`, which `source` brings. `size` is that picture's own, in
    pixels; None: as `spec` draws it.

    Everything that `spec` says stays (tiling, faces, VAE, refiner …), and so do the sampler, checkpoint and texts of a
    second pass of its own. `facts` may name the checkpoint's own denoising strength. Works on enlarged pictures, too,
    until a limit is met, so sources nest at most as often as a side can double. What would be too large to be drawn at
    once is drawn in tiles.
    Raises UserFacingError (`upscale_too_large`).
    """
    picture = picture_spec(spec, index)
    width, height = picture_size(picture) if size is None else (size[0] // 8 * 8, size[1] // 8 * 8)
    target = hires_target((width, height), UPSCALE.scale)
    if (
        max(width, height) > SIZE_MAX_PX
        or max(target) > limits.max_upscaled_side_px
        or target[0] * target[1] > limits.max_tiled_pixels
    ):
        raise UserFacingError("upscale_too_large", width=target[0], height=target[1])
    own: dict[str, Any] = {name: getattr(picture, name) for name in Drawing.model_fields}
    own["control"] = own_pictures(picture)
    hires = _enlargement(picture, facts, source)
    if target[0] * target[1] > limits.max_upscaled_pixels:
        hires = hires.model_copy(update={"tile_px": _native_px(picture.checkpoint, facts)})
    drawing: dict[str, Any] = own | {"width": width, "height": height, "hires": hires}
    return Txt2Img(**drawing)


def _native_px(checkpoint: str, facts: Sequence[ModelFact]) -> int:
    named = (fact.native_px for fact in facts if (fact.kind, fact.name) == ("checkpoint", checkpoint))
    return max(next((px for px in named if px), TILE_PX), TILE_PX)


def _enlargement(picture: JobSpec, facts: Sequence[ModelFact], source: Source) -> Hires:
    hires = UPSCALE
    if isinstance(picture, Txt2Img) and picture.hires:
        kept = ("sampler", "schedule", "checkpoint", "prompt", "negative_prompt")
        hires = hires.model_copy(update={name: getattr(picture.hires, name) for name in kept})
    for fact in facts:
        if (fact.kind, fact.name) == ("checkpoint", picture.checkpoint):
            strength = upscale_denoising(fact)
            hires = hires if strength is None else hires.model_copy(update={"denoising_strength": strength})
    return hires.model_copy(update={"source": source})


def vary(spec: Spec, index: int, strength: Strength, rng: Random, limits: Limits = DEFAULT_LIMITS) -> Spec:
    """Four pictures a step away from picture `index`: its seed and path stay, one more variation is added.

    Raises UserFacingError (`variation_depth`) where the path is as long as the worker takes.
    """
    picture = first_pass(picture_spec(spec, index))
    if len(picture.variations) >= limits.max_variation_path:
        raise UserFacingError("variation_depth", limit=limits.max_variation_path)
    step = Variation(seed=draw_seed(rng), strength=VARIATION_STRENGTHS[strength])
    return picture.model_copy(update={"count": VARIATIONS, "variations": (*picture.variations, step)})


def reroll(spec: Spec, rng: Random) -> Spec:
    """The same request with a new seed, as if asked anew: no variations, no enlargement of a picture that exists. A
    dynamic prompt is drawn anew, too; of combinations each stays what it is."""
    first = first_pass(spec)
    if first.template is not None and not first.template.combinatorial:
        first = as_asked(first)
    return first.model_copy(update={"seed": draw_seed(rng), "variations": ()})


def edit(
    spec: JobSpec,
    *,
    prompt: str,
    negative_prompt: str,
    changes: Parameters,
    facts: Sequence[ModelFact],
    limits: Limits,
    rng: Random,
    dropped: Sequence[str] = (),
    picture: GivenPicture | None = None,
) -> Built:
    """The recorded request with new texts and `changes`, through the same checks as a new one (inline flags included).

    The seed stays unless changed (-1 draws one), so that an edit shows what the new words do; variations stay as long
    as the seed does. An enlargement is dropped; a second pass that was asked for stays. `dropped` are fields of
    `Parameters` that fall back to their defaults. `picture` is what an `Img2Img` starts from. An infotext pasted as the
    prompt stands above the record, and below those of the `changes` that differ from it.
    Raises UserFacingError as `build_imagine`.
    """
    base = first_pass(spec)
    recorded = parameters_of(base).without(*dropped)
    prompt, strength = read_strength(prompt) if base.image_prompts is not None else (prompt, None)
    if is_infotext(prompt):
        # Another picture's text: of this one remains only what every text says, in case this text does not.
        options = ImagineOptions(
            prompt,
            "" if negative_prompt == base.negative_prompt else negative_prompt,
            wishes=changes.but_for(recorded),
            picture=picture,
            base=recorded.only(*_IN_EVERY_TEXT),
        )
        return _with_known_pictures(build_imagine(options, facts=facts, limits=limits, rng=rng), base)
    if changes.seed is not None and changes.seed != base.seed:
        recorded = recorded.without("variation_seed", "variation_strength")
    options = ImagineOptions(prompt, negative_prompt, wishes=changes.over(recorded), picture=picture)
    built = build_imagine(options, facts=facts, limits=limits, rng=rng)
    if (given := _given(base)) is not None and isinstance(built.spec, Txt2Img) and built.spec.hires is not None:
        over = built.spec.hires.model_copy(update={"source": given})
        built = replace(built, spec=built.spec.model_copy(update={"hires": over}))
    if base.image_prompts is not None:
        built = with_the_same_pictures(built, base.image_prompts, strength, facts)
    if base.control:
        led, told = with_the_same_units(built.spec, base, facts)
        built = replace(built, spec=led, notes=(*built.notes, *told))
    if base.regions is not None:
        laid, told = with_the_same_regions(built.spec, base.regions)
        built = replace(built, spec=laid, notes=(*built.notes, *told))
    built = replace(built, spec=_with_the_same_details(built.spec, base, prompt, changes, dropped))
    if built.spec.seed == base.seed and len(base.variations) > 1 and not built.spec.variations:
        return replace(built, spec=built.spec.model_copy(update={"variations": base.variations}))
    return built


def _with_the_same_details(
    spec: JobSpec, base: JobSpec, prompt: str, changes: Parameters, dropped: Sequence[str]
) -> JobSpec:
    """What wishes cannot say of them stays, unless others are asked for, or none; and a picture of which nothing but
    its details was drawn stays one."""
    if isinstance(base, Img2Img) and base.details_only and isinstance(spec, Img2Img):
        spec = spec.model_copy(update={"details_only": True})
    said = changes.detail_fix is not None or read_flags(prompt).parameters.detail_fix is not None
    if said or "detail_fix" in dropped or not base.details:
        return spec
    return spec.model_copy(update={"details": base.details})


def _with_known_pictures(built: Built, record: JobSpec) -> Built:
    """A text that names the units of the record is that picture's own, or was made of it."""
    led = known_pictures(built.pending, record)
    if led is None:
        return built
    notes = tuple(note for note in built.notes if note.key != NEEDED)
    return Built(led_by(built.spec, led), notes)
