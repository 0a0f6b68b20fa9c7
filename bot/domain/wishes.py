"""Every parameter by the names people give it: A1111's key in a parameter line, and its flags in a prompt.

One table, so that flags, forms, pasted infotexts and the users' page cannot disagree. A wish is read into one field of
`Parameters`; ranges are checked later, where the whole request is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.domain import values

__all__ = ["EMPHASES", "MASK_CONTENTS", "NOISE_SOURCES", "RESIZE_MODES", "WISHES", "Wish"]

NOISE_SOURCES = ("GPU", "CPU", "NV")
EMPHASES = ("Original", "No norm", "Ignore", "None")
RESIZE_MODES = ("Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)")
MASK_CONTENTS = ("fill", "original", "latent noise", "latent nothing")
_TRUE_FALSE = ("True", "False")


@dataclass(frozen=True)
class Wish:
    """`flags` are written without dashes, the shortest that is still clear first; `example` is a value for one."""

    field: str
    key: str
    flags: tuple[str, ...]
    read: Callable[[str], Any]
    """Raises ValueError."""
    example: str
    bare: str | None = None
    """The value of a flag that stands alone; None where it needs one."""
    options: tuple[str, ...] = ()
    """All values there are, where they are few."""
    spaced: bool = False
    """Its value may hold spaces, so a flag takes everything up to the next flag."""
    words: tuple[str, str] = _TRUE_FALSE
    """What a parameter line says for on and off."""


def _whole(field: str, key: str, *flags: str, example: str) -> Wish:
    return Wish(field, key, flags, values.whole, example)


def _decimal(field: str, key: str, *flags: str, example: str) -> Wish:
    return Wish(field, key, flags, values.decimal, example)


def _switch(field: str, key: str, *flags: str, words: tuple[str, str] = _TRUE_FALSE) -> Wish:
    return Wish(field, key, flags, partial(values.switch, words=words), "on", bare="on", words=words)


def _choice(field: str, key: str, options: tuple[str, ...], *flags: str, example: str) -> Wish:
    return Wish(field, key, flags, partial(values.choice, options=options), example, options=options, spaced=True)


def _name(field: str, key: str, *flags: str, example: str) -> Wish:
    return Wish(field, key, flags, values.name, example, spaced=True)


def _size(field: str, key: str, *flags: str, example: str) -> Wish:
    return Wish(field, key, flags, values.size, example)


_FACES = ("on", "off", "CodeFormer", "GFPGAN")

WISHES: tuple[Wish, ...] = (
    _whole("steps", "Steps", "steps", example="30"),
    _name("sampler", "Sampler", "sampler", "sampler-name", example="DPM++ 2M Karras"),
    _name("schedule", "Schedule type", "schedule", "scheduler", "schedule-type", example="Karras"),
    _decimal("cfg_scale", "CFG scale", "cfg", "cfg-scale", example="7"),
    _whole("seed", "Seed", "seed", example="42"),
    _whole("width", "Width", "width", example="512"),
    _whole("height", "Height", "height", example="768"),
    Wish("aspect", "Aspect", ("ar", "aspect"), values.aspect, "16:9"),
    _whole("clip_skip", "Clip skip", "clip-skip", "clip", "stop-at-last-layers", example="2"),
    _whole("count", "Count", "count", "batch-count", "n-iter", example="2"),
    _whole("batch_size", "Batch size", "batch", "batch-size", example="1"),
    _name("checkpoint", "Model", "model", "checkpoint", "ckpt", example="dreamshaper"),
    _name("vae", "VAE", "vae", "sd-vae", example="vae-ft-mse-840000"),
    _whole("variation_seed", "Variation seed", "variation-seed", "subseed", example="7"),
    _decimal("variation_strength", "Variation seed strength", "variation-strength", "subseed-strength", example="0.2"),
    _size("seed_resize", "Seed resize from", "seed-resize", "seed-resize-from", example="512x512"),
    _decimal("denoising_strength", "Denoising strength", "denoise", "denoising-strength", "denoising", example="0.4"),
    _decimal("hires_scale", "Hires upscale", "hires-scale", "hires-upscale", "hr-scale", example="2"),
    _size("hires_size", "Hires resize", "hires-resize", "hires-size", example="1024x1536"),
    _whole("hires_steps", "Hires steps", "hires-steps", "hr-steps", "hr-second-pass-steps", example="15"),
    _name("hires_upscaler", "Hires upscaler", "hires-upscaler", "hr-upscaler", "upscaler", example="4x-UltraSharp"),
    _name("hires_checkpoint", "Hires checkpoint", "hires-checkpoint", "hires-model", "hr-checkpoint",
          example="dreamshaper"),
    _name("hires_sampler", "Hires sampler", "hires-sampler", "hr-sampler", example="Euler a"),
    _name("hires_schedule", "Hires schedule type", "hires-schedule", "hr-scheduler", example="Karras"),
    Wish("hires_prompt", "Hires prompt", ("hires-prompt", "hr-prompt"), str, '"a detailed face"', spaced=True),
    Wish("hires_negative", "Hires negative prompt", ("hires-no", "hires-negative-prompt", "hr-negative-prompt"), str,
         '"blurry"', spaced=True),
    _switch("tiling", "Tiling", "tile", "tiling"),
    Wish("face_restore", "Face restoration", ("faces", "restore-faces", "face-restoration"),
         partial(values.choice, options=_FACES), "CodeFormer", bare="on", options=_FACES),
    _decimal("face_visibility", "Face restoration visibility", "face-visibility", example="0.8"),
    _decimal("face_weight", "Face restoration weight", "face-weight", "codeformer-weight", example="0.5"),
    Wish("detail_fix", "Detail fix", ("fix", "detail-fix", "adetailer"), values.name, "face, hand", bare="face",
         spaced=True),
    _name("refiner", "Refiner", "refiner", "refiner-checkpoint", example="sd_xl_refiner@0.8"),
    _decimal("refiner_at", "Refiner switch at", "refiner-at", "refiner-switch-at", example="0.8"),
    _choice("noise_source", "RNG", NOISE_SOURCES, "rng", "randn-source", example="CPU"),
    _whole("ensd", "ENSD", "ensd", "eta-noise-seed-delta", example="31337"),
    _choice("emphasis", "Emphasis", EMPHASES, "emphasis", example='"No norm"'),
    _switch("old_prompt_editing", "Old prompt editing timelines", "old-editing", "use-old-scheduling"),
    _decimal("ngms", "NGMS", "ngms", "s-min-uncond", example="1.5"),
    _decimal("eta", "Eta", "eta", "eta-ancestral", "eta-ddim", example="0.5"),
    _decimal("s_churn", "Sigma churn", "s-churn", example="10"),
    _decimal("s_tmin", "Sigma tmin", "s-tmin", example="0.1"),
    _decimal("s_tmax", "Sigma tmax", "s-tmax", example="10"),
    _decimal("s_noise", "Sigma noise", "s-noise", example="1.01"),
    _decimal("sigma_min", "Schedule min sigma", "sigma-min", example="0.03"),
    _decimal("sigma_max", "Schedule max sigma", "sigma-max", example="14.6"),
    _decimal("rho", "Schedule rho", "rho", example="7"),
    _switch("discard_penultimate", "Discard penultimate sigma", "discard-penultimate",
            "always-discard-next-to-last-sigma"),
    _switch("zero_terminal_snr", "Noise Schedule", "zero-snr", words=("Zero Terminal SNR", "Default")),
    _switch("downcast_alphas", "Downcast alphas_cumprod", "downcast-alphas", "use-downcasted-alpha-bar"),
    _choice("resize_mode", "Resize mode", RESIZE_MODES, "resize", "resize-mode", example='"crop and resize"'),
    _switch("exact_steps", "Exact steps", "exact-steps", "img2img-fix-steps"),
    _whole("mask_blur", "Mask blur", "mask-blur", example="8"),
    _switch("mask_invert", "Mask mode", "invert-mask", "inpainting-mask-invert",
            words=("Inpaint not masked", "Inpaint masked")),
    _choice("mask_content", "Masked content", MASK_CONTENTS, "mask-content", "inpainting-fill",
            example='"latent noise"'),
    _switch("only_masked", "Inpaint area", "only-masked", "inpaint-full-res", words=("Only masked", "Whole picture")),
    _whole("padding_px", "Masked area padding", "padding", "inpaint-full-res-padding", example="32"),
    Wish("extend", "Extend", ("extend", "outpaint"), values.extension, "left:64,right:64"),
    _switch("color_correction", "Color correction", "color-correction"),
    _decimal("mask_weight", "Conditional mask weight", "mask-weight", example="0.5"),
    _decimal("image_cfg_scale", "Image CFG scale", "image-cfg", "image-cfg-scale", example="1.5"),
    _decimal("noise_multiplier", "Noise multiplier", "noise-multiplier", "initial-noise-multiplier", example="1.05"),
    _decimal("extra_noise", "Extra noise", "extra-noise", example="0.1"),
)  # fmt: skip
"""In the order of A1111's parameter line, as far as it has one."""
