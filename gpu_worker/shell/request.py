"""From options to a spec: the checkpoint's own defaults, over them an infotext, over that what was typed."""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from gpu_worker.language.detectors import detector_by_word, usable_detectors
from gpu_worker.language.models import default_checkpoint
from gpu_worker.language.names import AUTOMATIC, resolve_sampler
from gpu_worker.protocol.messages import ModelFact, ModelKind
from gpu_worker.protocol.specs import DrawTask, Img2Img, Txt2Img, Upscale
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.pictures import input_picture, picture_size

__all__ = ["build_spec"]

RANDOM_SEEDS = 2**32
LATENT_DENOISING = 0.7
"""A1111's; with less a latent that was enlarged stays blurred (behaviours §8)."""
RESIZE_MODES = {
    "just": "Just resize",
    "crop": "Crop and resize",
    "fill": "Resize and fill",
    "latent": "Just resize (latent upscale)",
}
_PLAIN = {
    "width": "width", "height": "height", "steps": "steps", "cfg": "cfg_scale", "clip_skip": "clip_skip",
    "count": "count", "batch_size": "batch_size", "tiling": "tiling", "vae": "vae", "rng": "noise_source",
    "ensd": "ensd", "emphasis": "emphasis", "old_editing": "old_prompt_editing", "ngms": "ngms", "eta": "eta",
    "s_churn": "s_churn", "s_tmin": "s_tmin", "s_tmax": "s_tmax", "s_noise": "s_noise", "sigma_min": "sigma_min",
    "sigma_max": "sigma_max", "rho": "rho", "discard_penultimate": "discard_penultimate",
    "zero_snr": "zero_terminal_snr", "downcast_alphas": "downcast_alphas",
}  # fmt: skip
"""Option → field of `Drawing`."""
_HIRES = {
    "hires_steps": "steps", "hires_upscaler": "upscaler", "hires_sampler": "sampler", "hires_schedule": "schedule",
    "hires_checkpoint": "checkpoint", "hires_prompt": "prompt", "hires_negative": "negative_prompt",
}  # fmt: skip
_PICTURE = {
    "exact_steps": "exact_steps", "color_correction": "color_correction", "mask_weight": "mask_weight",
    "image_cfg": "image_cfg_scale", "noise_multiplier": "noise_multiplier", "extra_noise": "extra_noise",
    "denoise": "denoising_strength",
}  # fmt: skip
_MASK = {
    "mask_blur": "blur", "invert_mask": "invert", "inpaint_content": "content", "only_masked": "only_masked",
    "padding": "padding_px",
}  # fmt: skip
_OPTION_OF = {
    **{field: option for option, field in {**_PLAIN, **_PICTURE, **_MASK}.items()},
    **{("hires", field): option for option, field in _HIRES.items()},
    ("hires", "denoising_strength"): "hires_denoise", ("hires", "scale"): "hires",
    ("hires", "resize_width"): "hires", ("hires", "resize_height"): "hires",
    "visibility": "face_visibility", "weight": "face_weight", "switch_at": "refiner", "strength": "variation_strength",
    "left": "extend", "right": "extend", "top": "extend", "bottom": "extend", "seed_resize": "seed_resize",
    "scale": "by", "gfpgan_visibility": "gfpgan", "codeformer_visibility": "codeformer",
    "codeformer_weight": "face_weight", "visibility_2": "visibility_2",
}  # fmt: skip
"""Field of a spec → the option that gives it, for refusals."""


def build_spec(options: argparse.Namespace, facts: Sequence[ModelFact], recorded: Mapping[str, Any]) -> DrawTask:
    """`recorded` is what an infotext says, in the fields of `Txt2Img` or `Img2Img`. Raises BadInputError."""
    if options.upscale is not None:
        return _checked(Upscale, _upscale(options))
    values = _drawing(options, facts, recorded)
    if options.init is not None:
        return _checked(Img2Img, values | _from_picture(options, values, recorded))
    idle = [*_given(options, {**_MASK, **_PICTURE, "mask": "mask", "extend": "extend", "resize_mode": "resize_mode"})]
    idle = [_OPTION_OF.get(field, field) for field in idle if field != "denoising_strength"]
    if idle:
        named = ", ".join(f"--{option.replace('_', '-')}" for option in idle)
        raise BadInputError(f"There is no picture to start from for {named}; name it with --init.")
    if recorded.get("kind") == "img2img":
        raise BadInputError("This infotext is of a picture that was made from another one; name that one with --init.")
    return _checked(Txt2Img, values | {"hires": _hires(options, recorded.get("hires"))})


def _drawing(options: argparse.Namespace, facts: Sequence[ModelFact], recorded: Mapping[str, Any]) -> dict[str, Any]:
    fact = _checkpoint(options.checkpoint, facts, recorded.get("checkpoint"))
    prompt = options.prompt or recorded.get("prompt", "")
    if not prompt.strip():
        raise BadInputError('The prompt is empty; say what to draw, for example "a red apple on a blue background".')
    own: dict[str, Any] = {
        "sampler": "DPM++ 2M", "schedule": AUTOMATIC, "steps": 20, "cfg_scale": 7.0,
        "width": fact.native_px or 512, "height": fact.native_px or 512,
    } | (fact.defaults or {})  # fmt: skip
    values = own | {key: value for key, value in recorded.items() if key not in ("kind", "hires", "mask", "extend")}
    if "sampler" in recorded and "schedule" not in recorded:
        values["schedule"] = AUTOMATIC
    values |= {"prompt": prompt, "negative_prompt": _first(options.negative, recorded.get("negative_prompt"), "")}
    values |= _given(options, _PLAIN)
    values["checkpoint"] = fact.name
    if options.sampler or options.schedule:
        values |= _sampler(options.sampler or values["sampler"], options.schedule)
    if options.vae is not None:
        values["vae"] = _vae(options.vae, facts)
    seed = options.seed if options.seed is not None else recorded.get("seed", -1)
    values["seed"] = random.randrange(RANDOM_SEEDS) if seed == -1 else seed
    if options.variation_strength:
        drawn = options.variation_seed if options.variation_seed not in (None, -1) else random.randrange(RANDOM_SEEDS)
        values["variations"] = ({"seed": drawn, "strength": options.variation_strength},)
    elif options.variation_seed is not None:
        raise BadInputError("--variation-seed needs --variation-strength, for example 0.2.")
    if options.seed_resize is not None:
        values["seed_resize"] = _size("--seed-resize", options.seed_resize)
    faces = _given(options, {"face_visibility": "visibility", "face_weight": "weight"})
    if options.restore_faces or options.face_model:
        values["face_restore"] = {"model": options.face_model or _face_model(facts)} | faces
    elif faces and not values.get("face_restore"):
        raise BadInputError("--face-visibility and --face-weight need --restore-faces.")
    elif faces:
        values["face_restore"] = {**values["face_restore"], **faces}
    if options.detail_fix is not None:
        values["details"] = tuple(_details(options.detail_fix, facts))
    if options.refiner is not None:
        name, at, share = options.refiner.rpartition("@")
        given = {"switch_at": _number("--refiner", share)} if at else {}
        values["refiner"] = {"checkpoint": _checkpoint(name if at else options.refiner, facts).name} | given
    return values


def _details(wanted: str, facts: Sequence[ModelFact]) -> Iterator[dict[str, str]]:
    there = usable_detectors(facts)
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        name, _ = detector_by_word(word, there)
        if name is None:
            known = ", ".join(there) or "none; python3 launch.py models install detectors adds some"
            raise BadInputError(f"There is no detector for {word!r}. Installed: {known}.")
        yield {"model": name}


def _sampler(name: str, schedule: str | None) -> dict[str, str]:
    choice = resolve_sampler(name, schedule)
    if choice is None:
        raise BadInputError(f'There is no sampler {name}; try --sampler "DPM++ 2M" or "Euler a".')
    if schedule and resolve_sampler(f"{choice.sampler} {schedule}") is None:
        raise BadInputError(f"There is no schedule {schedule}; try --schedule Karras, or leave it out.")
    return {"sampler": choice.sampler, "schedule": choice.schedule}


def _hires(options: argparse.Namespace, recorded: Mapping[str, Any] | None) -> dict[str, Any] | None:
    given = _given(options, _HIRES)
    strength = _first(options.hires_denoise, options.denoise)
    if options.hires is not None:
        given |= _scale(options.hires)
    if not given and options.hires_denoise is None and recorded is None:
        if options.denoise is not None:
            raise BadInputError("--denoise belongs to a second pass or to a picture; add --hires 2 or --init PICTURE.")
        return None
    hires = {**(recorded or {}), **given} | ({} if strength is None else {"denoising_strength": strength})
    if "denoising_strength" not in hires and str(hires.get("upscaler")).startswith("Latent"):
        hires["denoising_strength"] = LATENT_DENOISING
    return hires


def _scale(text: str) -> dict[str, Any]:
    if re.fullmatch(r"\d+x\d+", text):
        width, height = _size("--hires", text)
        return {"resize_width": width, "resize_height": height}
    return {"scale": _number("--hires", text.rstrip("x")), "resize_width": 0, "resize_height": 0}


def _from_picture(
    options: argparse.Namespace, values: Mapping[str, Any], recorded: Mapping[str, Any]
) -> dict[str, Any]:
    picture: dict[str, Any] = {"image": input_picture("--init", options.init)} | _given(options, _PICTURE)
    mode = options.resize_mode
    if mode is not None:
        picture["resize_mode"] = RESIZE_MODES.get(mode.casefold(), mode)
    mask = {**recorded.get("mask", {}), **_given(options, _MASK)}
    if options.mask is not None:
        picture["mask"] = {**mask, "image": input_picture("--mask", options.mask)}
    elif _given(options, _MASK):
        raise BadInputError("There is no mask to apply this to; name it with --mask PICTURE.")
    if options.width is None and options.height is None and "width" not in recorded:
        picture |= _fitting(picture_size("--init", options.init), values["width"] * values["height"])
    extend = _extend(options.extend) if options.extend is not None else recorded.get("extend")
    if extend:
        picture["extend"] = extend
    if options.extend is not None and extend:
        size = {side: picture.get(side, values[side]) for side in ("width", "height")}
        # A text's size is that of its whole canvas.
        before = recorded.get("extend", {})
        if options.width is None and "width" in recorded:
            size["width"] -= before.get("left", 0) + before.get("right", 0)
        if options.height is None and "height" in recorded:
            size["height"] -= before.get("top", 0) + before.get("bottom", 0)
        picture["width"] = size["width"] + extend["left"] + extend["right"]
        picture["height"] = size["height"] + extend["top"] + extend["bottom"]
    return picture


def _fitting(size: tuple[int, int], area: int) -> dict[str, int]:
    """The picture's own aspect on the area that the checkpoint draws best, in multiples of 8."""
    ratio = min(max(size[0] / size[1], 0.25), 4.0)
    sides = {"width": (area * ratio) ** 0.5, "height": (area / ratio) ** 0.5}
    return {name: max(64, round(side / 8) * 8) for name, side in sides.items()}


def _extend(text: str) -> dict[str, int]:
    sides: dict[str, int] = {"left": 0, "right": 0, "top": 0, "bottom": 0}
    if re.fullmatch(r"\d{1,5}", text.strip()):
        return dict.fromkeys(sides, -(-int(text) // 8) * 8)
    for part in re.split(r"[,\s]+", text.strip()):
        found = re.fullmatch(r"(left|right|top|bottom)[:=](\d{1,5})", part)
        if found is None:
            raise BadInputError(
                f"--extend: {text} cannot be read; write it like left:64,right:64, or 64 for all sides."
            )
        sides[found[1]] = -(-int(found[2]) // 8) * 8
    return sides


def _upscale(options: argparse.Namespace) -> dict[str, Any]:
    plain = {
        "upscaler": "upscaler", "upscaler_2": "upscaler_2", "visibility_2": "visibility_2", "by": "scale",
        "gfpgan": "gfpgan_visibility", "codeformer": "codeformer_visibility", "face_weight": "codeformer_weight",
    }  # fmt: skip
    values = {"image": input_picture("--upscale", options.upscale), "crop": not options.no_crop}
    if options.to is not None:
        values["width"], values["height"] = _size("--to", options.to)
    return values | _given(options, plain)


def _checkpoint(name: str | None, facts: Sequence[ModelFact], recorded: str | None = None) -> ModelFact:
    """`recorded` is what an infotext names, for where nothing was typed."""
    wanted = name or recorded or default_checkpoint(tuple(facts))
    found = _found("checkpoint", wanted, facts)
    if found is None:
        known = ", ".join(f.name for f in facts if f.kind == "checkpoint" and not f.problem) or "none"
        if recorded and not name:
            raise BadInputError(
                f"This was drawn with the checkpoint {recorded}, which is not here. Put it into models/checkpoints, or "
                f"choose another one with --checkpoint; there are: {known}."
            )
        raise BadInputError(f"There is no checkpoint {wanted}. Put one into models/checkpoints; there are: {known}.")
    return found


def _vae(name: str, facts: Sequence[ModelFact]) -> str:
    for word in (AUTOMATIC, "None"):
        if name.casefold() == word.casefold():
            return word
    found = _found("vae", name, facts)
    if found is None:
        known = ", ".join(["Automatic", "None", *(f.name for f in facts if f.kind == "vae" and not f.problem)])
        raise BadInputError(f"There is no VAE {name}. Put it into models/vae; there are: {known}.")
    return found.name


def _face_model(facts: Sequence[ModelFact]) -> str:
    names = [fact.name.casefold() for fact in facts if fact.kind == "face" and not fact.problem]
    gfpgan_alone = any(name.startswith("gfpgan") for name in names) and not any(
        name.startswith("codeformer") for name in names
    )
    return "GFPGAN" if gfpgan_alone else "CodeFormer"


def _found(kind: ModelKind, name: str | None, facts: Sequence[ModelFact]) -> ModelFact | None:
    """By its name, with or without its suffix."""
    plain = re.sub(r"(\.vae)?\.(safetensors|ckpt|pt|pth)$", "", name or "", flags=re.IGNORECASE)
    return next((fact for fact in facts if fact.kind == kind and fact.name in (name, plain)), None)


def _given(options: argparse.Namespace, fields: Mapping[str, str]) -> dict[str, Any]:
    return {field: value for option, field in fields.items() if (value := getattr(options, option)) is not None}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _size(option: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise BadInputError(f"{option}: {text} is no size; write it like 512x768.")
    return int(found[1]), int(found[2])


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f"{option}: {text} is no number.") from None


def _checked(model: type[BaseModel], values: dict[str, Any]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if not isinstance(part, int)]
        name = place[-1] if place else "?"
        option = _OPTION_OF.get(("hires", name)) if "hires" in place else None
        option = option or _OPTION_OF.get(name) or name
        raise BadInputError(f"--{option.replace('_', '-')}: {first['msg']}.") from error
