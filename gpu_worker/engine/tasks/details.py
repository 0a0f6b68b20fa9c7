"""Detail fix: what a detector finds in a finished picture is inpainted, larger, and put back (ADetailer's way: "only
masked" of behaviours §9.3, one find after the other, each in what the one before left)."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from typing import Any, cast

from gpu_worker.engine.calls import Call, DetectCall, Phase, Picture
from gpu_worker.engine.images.geometry import resample
from gpu_worker.engine.images.inpaint import prepare
from gpu_worker.engine.images.masks import Mask8, blurred, overlay
from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.engine.tasks.img2img import img2img
from gpu_worker.engine.tasks.plan import DetailPlan, DrawPlan, Pass
from gpu_worker.language.detectors import detail_prompts
from gpu_worker.protocol.specs import SEED_MAX, SIZE_MAX_PX, DetailFix, Drawing, ImageRef, Img2Img, Mask

__all__ = ["detail_spec", "detailed", "texts_of"]

_LEFT_OUT = frozenset({
    "details", "control", "regions", "image_prompts", "refiner", "texts", "template", "face_restore", "count",
    "batch_size",
})  # fmt: skip
"""What a drawing has and its details have not: it says how the whole picture is laid out, or what becomes of it."""
_NO_PICTURE = ImageRef(ref="none", sha256="", mime="image/png", size_bytes=1)


def texts_of(spec: Drawing, unit: DetailFix) -> tuple[tuple[str, str] | None, ...]:
    """Prompt and negative prompt of each find, the last for all that follow; None leaves a find as it is."""
    prompts = detail_prompts(unit.prompt, spec.prompt)
    negatives = [
        spec.negative_prompt if text is None else text
        for text in detail_prompts(unit.negative_prompt, spec.negative_prompt)
    ]
    return tuple(
        None
        if (prompt := prompts[min(at, len(prompts) - 1)]) is None
        else (prompt, negatives[min(at, len(negatives) - 1)])
        for at in range(max(len(prompts), len(negatives)))
    )


def detail_spec(spec: Drawing, unit: DetailFix, prompt: str, negative_prompt: str) -> Img2Img:
    """How a find of the unit is drawn."""
    values: dict[str, Any] = {name: getattr(spec, name) for name in Drawing.model_fields if name not in _LEFT_OUT}
    values |= {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "width": unit.width or spec.width,
        "height": unit.height or spec.height,
        "steps": unit.steps or spec.steps,
        "cfg_scale": unit.cfg_scale if unit.cfg_scale is not None else spec.cfg_scale,
        "sampler": unit.sampler or spec.sampler,
        "schedule": unit.schedule or ("Automatic" if unit.sampler else spec.schedule),
        "denoising_strength": unit.denoising_strength,
    }
    mask = Mask(image=_NO_PICTURE, blur=unit.mask_blur, only_masked=unit.only_masked, padding_px=unit.padding_px)
    return Img2Img(**values, image=_NO_PICTURE, mask=mask)


def detailed(
    pictures: list[Picture],
    plans: Sequence[DetailPlan],
    seeds: Sequence[ImageSeed],
    seen: Mask8 | None = None,
) -> Generator[Call, Any, list[Picture]]:
    """Each picture with its seed; what `seen` hides is not drawn. Where nothing is found a picture stays as it is."""
    done: list[Picture] = []
    for given, seed in zip(pictures, seeds, strict=True):
        picture = given
        for plan in plans:
            picture = yield from _fixed(picture, plan, seed, seen)
        done.append(picture)
    return done


def _fixed(picture: Picture, plan: DetailPlan, seed: ImageSeed, seen: Mask8 | None) -> Generator[Call, Any, Picture]:
    masks: list[Mask8] = yield DetectCall(picture, plan.unit)
    for number, mask in enumerate(masks):
        drawing = plan.passes[min(number, len(plan.passes) - 1)]
        if drawing is None or (seen is not None and not (mask & seen).any()):
            continue
        picture = yield from _drawn(picture, mask, plan, drawing, _nth(seed, number), (number, len(masks)))
    return picture


def _drawn(
    picture: Picture, mask: Mask8, plan: DetailPlan, drawing: Pass, seed: ImageSeed, part: tuple[int, int]
) -> Generator[Call, Any, Picture]:
    height, width, _ = picture.shape
    spec, wish = plan.spec, plan.spec.mask
    assert wish is not None, "made with one"
    if not wish.only_masked:
        # At the picture's own size, or what a drawing may have of it.
        scale = min(1.0, SIZE_MAX_PX / max(width, height))
        size = {"width": max(64, int(width * scale) // 8 * 8), "height": max(64, int(height * scale) // 8 * 8)}
        spec = spec.model_copy(update=size)
        drawing = dataclasses.replace(drawing, guide=dataclasses.replace(drawing.guide, **size))
    canvas = prepare(picture, mask, wish, spec.width, spec.height, "Just resize")
    (made,) = yield from img2img(DrawPlan(spec, (seed,), drawing), spec, canvas, phase=_phase(part), part=part)
    if made.shape == picture.shape:
        return made
    return overlay(picture, resample(made, width, height), blurred(mask, wish.blur))


def _phase(part: tuple[int, int]) -> Phase:
    """With the number of the find, which steps alone do not tell."""
    return cast("Phase", f"details {part[0] + 1}/{part[1]}")


def _nth(seed: ImageSeed, number: int) -> ImageSeed:
    """Both its seeds count up."""
    own = (seed.seed + number) & SEED_MAX
    if not seed.variations:
        return ImageSeed(own)
    *path, last = seed.variations
    return ImageSeed(own, (*path, last.model_copy(update={"seed": (last.seed + number) & SEED_MAX})))
