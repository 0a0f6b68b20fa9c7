"""A recorded request as wishes: what a form shows, what an edit starts from, and what a style keeps."""

from __future__ import annotations

from bot.domain.detail_fixes import plain_fixes
from bot.domain.models import AUTOMATIC_VAE
from bot.domain.parameters import Parameters
from gpu_worker.protocol.specs import Drawing, Img2Img, JobSpec, Txt2Img

__all__ = ["parameters_of"]

_DRAWN = (
    "steps", "cfg_scale", "sampler", "schedule", "clip_skip", "seed", "count", "checkpoint",
)  # fmt: skip
_EXTRA = (
    "batch_size", "seed_resize", "noise_source", "ensd", "emphasis", "old_prompt_editing", "tiling", "ngms", "eta",
    "s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho", "discard_penultimate",
    "zero_terminal_snr", "downcast_alphas",
)  # fmt: skip
_OF_PICTURES = (
    "denoising_strength", "exact_steps", "color_correction", "mask_weight", "image_cfg_scale", "noise_multiplier",
    "extra_noise",
)  # fmt: skip
_USUAL_RESIZE_MODE = Img2Img.model_fields["resize_mode"].default
"""No wish: nothing is squeezed, then, where an edit asks for another shape (`default_resize_mode`)."""


def parameters_of(spec: JobSpec) -> Parameters:
    """Every wish that gives `spec` again; what is as it is by default is no wish, except for the few that every form
    shows (size, steps, CFG scale, sampler, clip skip, seed, count, checkpoint).

    A path of several variations cannot be said in wishes and is left out, and so are details that are to be fixed in a
    way of their own.
    """
    wishes: dict[str, object] = {name: getattr(spec, name) for name in _DRAWN}
    wishes |= {"width": spec.width, "height": spec.height}
    wishes |= {name: value for name in _EXTRA if (value := getattr(spec, name)) != Drawing.model_fields[name].default}
    if spec.vae != AUTOMATIC_VAE:
        wishes["vae"] = spec.vae
    if len(spec.variations) == 1:
        (variation,) = spec.variations
        wishes |= {"variation_seed": variation.seed, "variation_strength": variation.strength}
    if spec.face_restore:
        wishes |= {
            "face_restore": spec.face_restore.model,
            "face_visibility": spec.face_restore.visibility if spec.face_restore.visibility != 1 else None,
            "face_weight": spec.face_restore.weight if spec.face_restore.weight != 0.5 else None,
        }
    if (fixes := plain_fixes(spec.details)) is not None:
        wishes["detail_fix"] = fixes
    if spec.refiner:
        wishes |= {"refiner": spec.refiner.checkpoint, "refiner_at": spec.refiner.switch_at}
    wishes |= _second_pass(spec) if isinstance(spec, Txt2Img) else _from_picture(spec)
    return Parameters(**wishes)  # pyright: ignore[reportArgumentType]


def _second_pass(spec: Txt2Img) -> dict[str, object]:
    hires = spec.hires
    if hires is None:
        return {}
    resize = (hires.resize_width, hires.resize_height)
    return {
        "hires_scale": hires.scale if resize == (0, 0) else None,
        "hires_size": resize if any(resize) else None,
        "hires_upscaler": hires.upscaler,
        "hires_steps": hires.steps or None,
        "hires_sampler": hires.sampler,
        "hires_schedule": hires.schedule,
        "hires_checkpoint": hires.checkpoint,
        "hires_prompt": hires.prompt,
        "hires_negative": hires.negative_prompt,
        "denoising_strength": hires.denoising_strength,
    }


def _from_picture(spec: Img2Img) -> dict[str, object]:
    wishes: dict[str, object] = {
        name: value
        for name in _OF_PICTURES
        if (value := getattr(spec, name)) != Img2Img.model_fields[name].default or name == "denoising_strength"
    }
    if spec.resize_mode != _USUAL_RESIZE_MODE:
        wishes["resize_mode"] = spec.resize_mode
    if spec.mask:
        mask = spec.mask
        wishes |= {
            "mask_blur": mask.blur, "mask_invert": mask.invert, "mask_content": mask.content,
            "only_masked": mask.only_masked, "padding_px": mask.padding_px,
        }  # fmt: skip
    if spec.extend:
        extend = spec.extend
        wishes["extend"] = (extend.left, extend.right, extend.top, extend.bottom)
        wishes["width"] = spec.width - extend.left - extend.right
        wishes["height"] = spec.height - extend.top - extend.bottom
    return wishes
