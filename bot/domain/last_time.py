"""What somebody changed the last time, as far as it means something for the request they change now."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.models import AUTOMATIC_VAE, NONE, UPSCALERS, names_of
from bot.domain.notes import OF_PICTURES
from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from gpu_worker.protocol.messages import ModelFact, ModelKind
from gpu_worker.protocol.specs import Img2Img, JobSpec

__all__ = ["HIRES_FIELDS", "MASK_FIELDS", "PICTURE_FIELDS", "as_last_time"]

HIRES_FIELDS = (
    "hires_scale", "hires_size", "hires_steps", "hires_upscaler", "hires_checkpoint", "hires_sampler",
    "hires_schedule", "hires_prompt", "hires_negative",
)  # fmt: skip
MASK_FIELDS = ("mask_blur", "mask_invert", "mask_content", "only_masked", "padding_px")
PICTURE_FIELDS = (*dict.fromkeys((*OF_PICTURES, *MASK_FIELDS, "resize_mode", "extend")),)
_NAMED: tuple[tuple[str, ModelKind], ...] = (
    ("checkpoint", "checkpoint"), ("vae", "vae"), ("refiner", "checkpoint"), ("hires_checkpoint", "checkpoint"),
    ("hires_upscaler", "upscaler"),
)  # fmt: skip
_WORDS: dict[str, tuple[str, ...]] = {"upscaler": UPSCALERS, "vae": (AUTOMATIC_VAE, NONE)}
"""What may stand in the place of a file's name."""


def as_last_time(wishes: Parameters, spec: JobSpec, facts: Sequence[ModelFact]) -> Parameters:
    """Those of `wishes` that would change `spec`: nothing of pictures where it has none, nothing of a second pass
    where it cannot have one, and no model that is not there (any more)."""
    useless = HIRES_FIELDS if isinstance(spec, Img2Img) else PICTURE_FIELDS
    kept = wishes.without(*useless)
    second = kept.hires_scale or kept.hires_size or getattr(spec, "hires", None)
    if not isinstance(spec, Img2Img) and not second:
        kept = kept.without("denoising_strength")
    gone = [
        field
        for field, kind in _NAMED
        if (name := getattr(kept, field)) is not None and name not in (*names_of(kind, facts), *_WORDS.get(kind, ()))
    ]
    return kept.without(*gone).but_for(parameters_of(spec)) if any(vars(kept).values()) else kept
