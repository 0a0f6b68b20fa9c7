"""A drawing's parameters from an infotext: the way back from `picture_fields` (behaviours §22.3).

What a text does not say is not in the result, so that a caller's defaults stand; what it says and cannot be taken over
becomes a note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpu_worker.language.control_reader import read_units
from gpu_worker.language.detail_reader import details_from
from gpu_worker.language.field_reader import FieldReader, Note, held, number_of
from gpu_worker.language.names import AUTOMATIC, SCHEDULES, effective_schedule, resolve_sampler
from gpu_worker.language.picture_fields import OwnKey
from gpu_worker.language.regions import RegionSyntaxError, regions_of_params
from gpu_worker.language.ultimate_fields import without_tiles
from gpu_worker.language.versions import is_before_schedules
from gpu_worker.protocol.specs import (
    SEED_MAX,
    SIZE_MAX_PX,
    Drawing,
    Extend,
    FaceRestore,
    Hires,
    Img2Img,
    Mask,
    Refiner,
    Variation,
)

__all__ = ["Note", "drawing_from_infotext"]

_NUMBERS: tuple[tuple[str, str], ...] = (
    ("Steps", "steps"), ("CFG scale", "cfg_scale"), ("Clip skip", "clip_skip"), ("ENSD", "ensd"),
    (OwnKey.HIDDEN_ENSD, "ensd"), ("NGMS", "ngms"), ("Eta", "eta"), ("Eta DDIM", "eta"), ("Sigma churn", "s_churn"),
    ("Sigma tmin", "s_tmin"), ("Sigma tmax", "s_tmax"), ("Sigma noise", "s_noise"), ("Schedule max sigma", "sigma_max"),
    ("Schedule min sigma", "sigma_min"), ("Schedule rho", "rho"),
)  # fmt: skip
_SWITCHES: tuple[tuple[str, str], ...] = (
    ("Tiling", "tiling"), ("Discard penultimate sigma", "discard_penultimate"),
    ("Old prompt editing timelines", "old_prompt_editing"), ("Downcast alphas_cumprod", "downcast_alphas"),
)  # fmt: skip
_PICTURE_NUMBERS: tuple[tuple[str, str], ...] = (
    ("Conditional mask weight", "mask_weight"), ("Image CFG scale", "image_cfg_scale"),
    ("Noise multiplier", "noise_multiplier"), ("Extra noise", "extra_noise"),
)  # fmt: skip


def drawing_from_infotext(fields: Mapping[str, Any], fallback_checkpoint: str) -> tuple[dict[str, Any], list[Note]]:
    """Values for `Txt2Img(**values)`, or for `Img2Img` where `values["kind"]` says so; never raises.

    `fields` is what `parse_generation_parameters` made of a text. Values lie within the specs' ranges. Missing seed,
    size, steps … are left out. An img2img result lacks `image`, and its `mask` and `control` units, if there are any,
    lack their own: a text holds no pictures. A bare sampler name from before A1111 1.9 means the uniform schedule, as
    it did then.
    """
    reader = FieldReader(without_tiles(fields))
    values: dict[str, Any] = {
        "prompt": reader.text("Prompt") or "",
        "negative_prompt": reader.text("Negative prompt") or "",
        "checkpoint": reader.name("Model") or fallback_checkpoint,
        "vae": reader.text("VAE") or AUTOMATIC,
    }
    if reader.raw("Model") is None and "Model hash" in fields:
        reader.note("model_by_hash", "Model hash")
    values |= reader.numbers(Drawing, _NUMBERS) | reader.switches(_SWITCHES)
    values |= _size(reader) | _sampler(reader) | _seed(reader)
    values |= reader.choice("RNG", "noise_source", Drawing) | reader.choice("Emphasis", "emphasis", Drawing)
    if reader.text("Noise Schedule") == "Zero Terminal SNR":
        values["zero_terminal_snr"] = True
    _face(reader, values)
    if refiner := reader.name("Refiner"):
        values["refiner"] = {
            "checkpoint": refiner,
            **reader.numbers(Refiner, (("Refiner switch at", "switch_at"),)),
        }
    _regions(reader, values)
    if units := read_units(reader):
        values["control"] = units
    if details := details_from(reader):
        values["details"] = details
    second, picture = _hires(reader), _picture(reader)
    source = reader.raw("Init image hash")
    if reader.text(OwnKey.DETAILS_ONLY) == "True" and details:
        picture, second = {"kind": "img2img", "details_only": True, "denoising_strength": 0.0}, None
    from_picture = second is None and "denoising_strength" in picture
    values |= picture if from_picture else second or {"kind": "txt2img"}
    if from_picture or (second and source):
        reader.note("picture_needed", "Init image hash")
    reader.leftovers()
    return values, reader.notes


def _size(reader: FieldReader) -> dict[str, Any]:
    values: dict[str, Any] = {}
    size = reader.pair("Size")
    if size:
        kept = [held(Drawing, name, side // 8 * 8) for name, side in zip(("width", "height"), size, strict=True)]
        values |= {"width": kept[0], "height": kept[1]}
        if (*kept,) != size:
            reader.note("limited", "Size")
    seed_size = reader.pair("Seed resize from")
    if seed_size and all(8 <= side <= SIZE_MAX_PX for side in seed_size):
        values["seed_resize"] = seed_size
    elif seed_size and any(seed_size):
        reader.note("limited", "Seed resize from")
    return values


def _sampler(reader: FieldReader) -> dict[str, Any]:
    name, schedule = reader.text("Sampler"), reader.text("Schedule type")
    if name is None:
        return {} if schedule in (None, AUTOMATIC) else {"schedule": _schedule(reader, "Schedule type") or AUTOMATIC}
    choice = resolve_sampler(name, schedule)
    if choice is None:
        reader.note("unknown_sampler", "Sampler")
        return {}
    if schedule not in (None, AUTOMATIC):
        _schedule(reader, "Schedule type")
    elif choice.schedule == AUTOMATIC and is_before_schedules(reader.fields) and _is_bare(name):
        return {"sampler": choice.sampler, "schedule": _old_schedule(choice.sampler)}
    return {"sampler": choice.sampler, "schedule": choice.schedule}


def _schedule(reader: FieldReader, key: str) -> str | None:
    """A schedule's label; a note where there is none of that name."""
    value = reader.text(key)
    if value is None:
        return None
    wanted = resolve_sampler(f"Euler {value}")
    if wanted is None:
        reader.note("not_supported", key)
        return None
    return wanted.schedule


def _is_bare(name: str) -> bool:
    return not any(name.casefold().endswith(f" {label.casefold()}") for label in SCHEDULES)


def _old_schedule(sampler: str) -> str:
    own = effective_schedule(sampler, AUTOMATIC)
    return AUTOMATIC if own in (AUTOMATIC, "Uniform") else "Uniform"


def _seed(reader: FieldReader) -> dict[str, Any]:
    values: dict[str, Any] = {}
    seed = _whole(reader, "Seed")
    if seed is not None and seed != -1:
        # A1111 keeps other negative seeds; a generator takes them modulo 2^64.
        values["seed"] = seed % (SEED_MAX + 1)
    path = reader.raw(OwnKey.VARIATION_PATH)
    variation = _whole(reader, "Variation seed")
    strength = reader.numbers(Variation, (("Variation seed strength", "strength"),)).get("strength")
    if path:
        steps = [re.fullmatch(r"\s*([0-9]{1,20}):([0-9.eE+-]{1,30})\s*", part) for part in path.split(",")]
        read = [(int(step[1]), number_of(step[2], whole=False)) for step in steps if step]
        kept = [{"seed": s, "strength": n} for s, n in read if n is not None and 0 < n <= 1 and s <= SEED_MAX]
        if len(kept) != len(steps) or len(kept) > 16:
            reader.note("unreadable", OwnKey.VARIATION_PATH)
        else:
            values["variations"] = kept
    elif variation is not None and strength is not None:
        values["variations"] = [{"seed": variation % (SEED_MAX + 1), "strength": strength}]
    return values


def _whole(reader: FieldReader, key: str) -> int | None:
    value = reader.raw(key)
    number = number_of(value.strip(), whole=True) if value is not None else None
    if number is None and value is not None:
        reader.note("unreadable", key)
    return int(number) if number is not None else None


def _face(reader: FieldReader, values: dict[str, Any]) -> None:
    model = reader.choice("Face restoration", "model", FaceRestore)
    numbers = reader.numbers(FaceRestore, ((OwnKey.FACE_VISIBILITY, "visibility"), (OwnKey.FACE_WEIGHT, "weight")))
    if model:
        values["face_restore"] = {**model, **numbers}


def _regions(reader: FieldReader, values: dict[str, Any]) -> None:
    text, apart = reader.text("Latent Couple"), reader.text(OwnKey.LORAS_APART) == "True"
    if text is None:
        return
    try:
        values["regions"] = {**regions_of_params(text).model_dump(), "loras_apart": apart}
    except RegionSyntaxError:
        reader.note("unreadable", "Latent Couple")


def _hires(reader: FieldReader) -> dict[str, Any] | None:
    """A second pass is one where its strength and its size or upscaler are named, as A1111 decides it."""
    size = reader.pair("Hires resize") or (0, 0)
    upscaler = reader.text("Hires upscaler")
    named = upscaler is not None or reader.raw("Hires upscale") is not None or any(size)
    strength = reader.numbers(Hires, (("Denoising strength", "denoising_strength"),)) if named else {}
    keys = (("Hires upscale", "scale"), ("Hires steps", "steps"), (OwnKey.HIRES_TILE, "tile_px"))
    values: dict[str, Any] = reader.numbers(Hires, keys)
    sampler, schedule = reader.text("Hires sampler"), _schedule(reader, "Hires schedule type")
    texts = {
        "checkpoint": reader.name("Hires checkpoint"),
        "prompt": reader.text("Hires prompt"),
        "negative_prompt": reader.text("Hires negative prompt"),
        "schedule": schedule,
    }
    if sampler and (choice := resolve_sampler(sampler)):
        texts["sampler"] = sampler
        if is_before_schedules(reader.fields) and schedule is None:
            texts["sampler"] = choice.sampler
            bare = choice.schedule == AUTOMATIC and _is_bare(sampler)
            texts["schedule"] = _old_schedule(choice.sampler) if bare else choice.schedule
    elif sampler:
        reader.note("unknown_sampler", "Hires sampler")
    if not strength:
        return {"kind": "txt2img"} if named else None
    values |= strength | {name: text for name, text in texts.items() if text}
    values["upscaler"] = upscaler or "Latent"
    if any(size):
        kept = [held(Hires, name, side) for name, side in zip(("resize_width", "resize_height"), size, strict=True)]
        values |= {"resize_width": kept[0], "resize_height": kept[1]}
        if (*kept,) != size:
            reader.note("limited", "Hires resize")
    return {"kind": "txt2img", "hires": values}


def _picture(reader: FieldReader) -> dict[str, Any]:
    """A strength without a second pass is img2img's."""
    values: dict[str, Any] = {"kind": "img2img"}
    values |= reader.numbers(Img2Img, (("Denoising strength", "denoising_strength"), *_PICTURE_NUMBERS))
    values |= reader.choice(OwnKey.RESIZE_MODE, "resize_mode", Img2Img)
    values |= reader.switches(((OwnKey.EXACT_STEPS, "exact_steps"), (OwnKey.COLOR_CORRECTION, "color_correction")))
    masked = any(reader.text(key) is not None for key in ("Mask blur", OwnKey.MASK_HASH, "Mask mode", "Inpaint area"))
    mask: dict[str, Any] = reader.numbers(Mask, (("Mask blur", "blur"), ("Masked area padding", "padding_px")))
    mask |= {"invert": reader.text("Mask mode") == "Inpaint not masked"}
    mask |= {"only_masked": reader.text("Inpaint area") == "Only masked"}
    mask |= reader.choice("Masked content", "content", Mask)
    if masked or mask.get("content", "original") != "original":
        values["mask"] = mask
    extend = re.fullmatch(r"([0-9]+), ([0-9]+), ([0-9]+), ([0-9]+)", (reader.raw(OwnKey.EXTEND) or "")[:40])
    if extend:
        sides = zip(("left", "right", "top", "bottom"), extend.groups(), strict=True)
        values["extend"] = {side: held(Extend, side, int(pixels)) for side, pixels in sides}
    return values
