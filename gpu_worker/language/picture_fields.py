"""The keys that say how a picture was drawn, in A1111's order (behaviours §22.2).

What A1111 has no key for gets one of ours (`OwnKey`), after its own. A text is one picture's: `count` and `batch_size`
are not in it, nor are the pictures that a job started from, of which it only names hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpu_worker.language.attention import parse_attention
from gpu_worker.language.control_fields import control_fields
from gpu_worker.language.detail_fields import detail_fields
from gpu_worker.language.infotext import lossless
from gpu_worker.language.names import USES_ENSD, SamplerChoice
from gpu_worker.language.regions import regions_text
from gpu_worker.protocol.specs import Hires, Img2Img, Mask, Txt2Img, Upscale, Variation

__all__ = ["ETA_DDIM", "DrawnWith", "OwnKey", "extras_fields", "picture_fields"]

ETA_DDIM = frozenset({"DDIM", "DDIM CFG++", "PLMS", "UniPC"})
"""Samplers whose eta A1111 calls "Eta DDIM"."""


class OwnKey:
    """Pincel's keys."""

    VARIATION_PATH = "Variation path"
    """`seed:strength` of each of several variations."""
    FACE_VISIBILITY = "Face restoration visibility"
    FACE_WEIGHT = "Face restoration weight"
    HIDDEN_ENSD = "Noise seed delta"
    """ENSD, where A1111 does not write it because the first pass's sampler makes no use of it."""
    RESIZE_MODE = "Resize mode"
    EXACT_STEPS = "Exact steps"
    COLOR_CORRECTION = "Color correction"
    EXTEND = "Extend"
    """Pixels of new canvas: left, right, top, bottom."""
    MASK_HASH = "Mask image hash"
    HIRES_TILE = "Hires tile"
    """Side in pixels of the tiles that the second pass was drawn in."""
    MASK_FIND = "Mask of"
    """Words that named what was drawn again."""
    LORAS_APART = "LoRA per region"
    DETAILS_ONLY = "Details only"
    """A finished picture's details were fixed, and nothing else was drawn."""
    SECOND_VISIBILITY = "Postprocess upscaler 2 visibility"


@dataclass(frozen=True)
class DrawnWith:
    """What the worker found out beside the spec; hashes are whole hexadecimal sha256."""

    sampler: SamplerChoice
    model_name: str
    model_hash: str | None = None
    vae: tuple[str, str | None] | None = None
    """File name with extension and hash of a VAE that is not the checkpoint's own."""
    lora_hashes: Sequence[tuple[str, str]] = ()
    embedding_hashes: Sequence[tuple[str, str]] = ()
    hires_checkpoint_hash: str | None = None
    refiner_hash: str | None = None
    init_image_hash: str | None = None
    inpainting: bool = False
    """The checkpoint sees mask and masked picture (9 input channels)."""
    edits: bool = False
    """An instruct-pix2pix checkpoint."""
    control_models: Sequence[str] = ()
    """Of each control unit, as A1111 writes them: name and old hash."""


def picture_fields(
    spec: Txt2Img | Img2Img, seed: int, variations: Sequence[Variation], found: DrawnWith
) -> dict[str, Any]:
    """Key → value, in order; None is left out by `build_infotext`, which adds prompts. Everything but the version."""
    one = variations[0] if len(variations) == 1 else None
    hires = spec.hires if isinstance(spec, Txt2Img) else None
    picture = spec if isinstance(spec, Img2Img) and not spec.details_only else None
    strength = hires.denoising_strength if hires else picture.denoising_strength if picture else None
    shows_ensd = spec.ensd != 0 and found.sampler.sampler in USES_ENSD and spec.eta != 0
    return _lossless({
        "Steps": spec.steps,
        "Sampler": found.sampler.sampler,
        "Schedule type": found.sampler.schedule,
        "CFG scale": _number(spec.cfg_scale),
        "Image CFG scale": _image_cfg(picture, found.edits),
        "Seed": seed,
        "Face restoration": spec.face_restore.model if spec.face_restore else None,
        "Size": f"{spec.width}x{spec.height}",
        "Model hash": found.model_hash[:10] if found.model_hash else None,
        "Model": found.model_name,
        "VAE hash": found.vae[1][:10] if found.vae and found.vae[1] else None,
        "VAE": found.vae[0] if found.vae else None,
        "Variation seed": one.seed if one else None,
        "Variation seed strength": _number(one.strength) if one else None,
        "Seed resize from": "{}x{}".format(*spec.seed_resize) if spec.seed_resize else None,
        "Denoising strength": _number(strength) if strength is not None else None,
        "Conditional mask weight": _mask_weight(picture, found.inpainting),
        "Clip skip": spec.clip_skip if spec.clip_skip > 1 else None,
        "ENSD": spec.ensd if shows_ensd else None,
        "Init image hash": found.init_image_hash,
        "RNG": spec.noise_source if spec.noise_source != "GPU" else None,
        "NGMS": _set(spec.ngms),
        "Tiling": spec.tiling or None,
        **(_hires(spec, hires, found) if hires else {}),
        **(_mask(picture.mask) if picture and picture.mask else {}),
        **(_noise(picture) if picture else {}),
        "Eta DDIM" if found.sampler.sampler in ETA_DDIM else "Eta": _number(spec.eta) if spec.eta is not None else None,
        "Sigma churn": _set(spec.s_churn),
        "Sigma tmin": _set(spec.s_tmin),
        "Sigma tmax": _set(spec.s_tmax),
        "Sigma noise": _number(spec.s_noise) if spec.s_noise != 1 else None,
        "Schedule max sigma": _set(spec.sigma_max),
        "Schedule min sigma": _set(spec.sigma_min),
        "Schedule rho": _set(spec.rho),
        "Discard penultimate sigma": spec.discard_penultimate or None,
        "Emphasis": spec.emphasis if spec.emphasis != "Original" and _weighted(spec, hires) else None,
        "Old prompt editing timelines": spec.old_prompt_editing or None,
        "Downcast alphas_cumprod": spec.downcast_alphas or None,
        "Noise Schedule": "Zero Terminal SNR" if spec.zero_terminal_snr else None,
        "Refiner": _title(spec.refiner.checkpoint, found.refiner_hash) if spec.refiner else None,
        "Refiner switch at": _number(spec.refiner.switch_at) if spec.refiner else None,
        **_regions(spec),
        **control_fields(spec.control, found.control_models),
        **_image_prompts(spec),
        **detail_fields(spec.details),
        "TI hashes": _hashes(found.embedding_hashes),
        "Lora hashes": _hashes(found.lora_hashes),
        "Template": spec.template.prompt if spec.template else None,
        "Negative Template": (spec.template.negative_prompt or None) if spec.template else None,
        **_own(spec, variations, None if shows_ensd else spec.ensd or None, found),
    })  # fmt: skip


def extras_fields(spec: Upscale) -> dict[str, Any]:
    """The keys of the Extras tab (behaviours §20); without an upscaler nothing is said of a size."""
    sized = spec.width > 0 and spec.height > 0
    size = f"{spec.width}x{spec.height}" if sized else None
    scaled = spec.upscaler != "None"
    second = scaled and spec.upscaler_2 != "None" and spec.visibility_2 > 0
    return _lossless({
        "Postprocess upscale by": _number(spec.scale) if scaled and not sized else None,
        "Postprocess upscale to": size if scaled else None,
        "Postprocess crop to": size if scaled and spec.crop else None,
        "Postprocess upscaler": spec.upscaler if scaled else None,
        "Postprocess upscaler 2": spec.upscaler_2 if second else None,
        "GFPGAN visibility": _share(spec.gfpgan_visibility),
        "CodeFormer visibility": _share(spec.codeformer_visibility),
        "CodeFormer weight": float(spec.codeformer_weight) if spec.codeformer_visibility else None,
        OwnKey.SECOND_VISIBILITY: _number(spec.visibility_2) if second else None,
    })  # fmt: skip


def _hires(spec: Txt2Img | Img2Img, hires: Hires, found: DrawnWith) -> dict[str, Any]:
    sized = hires.resize_width or hires.resize_height
    other = hires.sampler if hires.sampler not in (None, "", found.sampler.sampler) else None
    negative = hires.negative_prompt if hires.negative_prompt != spec.negative_prompt else None
    return {
        "Hires upscale": None if sized else _number(hires.scale),
        "Hires resize": f"{hires.resize_width}x{hires.resize_height}" if sized else None,
        "Hires steps": hires.steps or None,
        "Hires upscaler": hires.upscaler,
        "Hires checkpoint": _title(hires.checkpoint, found.hires_checkpoint_hash) if hires.checkpoint else None,
        "Hires sampler": other,
        "Hires schedule type": hires.schedule or None,
        "Hires prompt": hires.prompt if hires.prompt and hires.prompt != spec.prompt else None,
        "Hires negative prompt": negative or None,
    }


def _mask(mask: Mask) -> dict[str, Any]:
    return {
        "Mask blur": mask.blur,
        "Mask mode": "Inpaint not masked" if mask.invert else None,
        "Inpaint area": "Only masked" if mask.only_masked else None,
        "Masked area padding": mask.padding_px if mask.only_masked or mask.padding_px != 32 else None,
        "Masked content": mask.content if mask.content != "original" else None,
    }


def _regions(spec: Txt2Img | Img2Img) -> dict[str, Any]:
    """As the extension writes them, which says nothing where they end at step 0 (behaviours §18)."""
    regions = spec.regions
    if regions is None or regions.end_step == 0:
        return {}
    return {"Latent Couple": regions_text(regions), OwnKey.LORAS_APART: regions.loras_apart or None}


def _image_prompts(spec: Txt2Img | Img2Img) -> dict[str, Any]:
    """As A1111's ControlNet units, of which each reads one picture (behaviours §17.6)."""
    wish = spec.image_prompts
    if wish is None:
        return {}
    ends = f"Guidance Start: {_number(wish.start)}, Guidance End: {_number(wish.end)}"
    return {
        f"ControlNet {at}": f"Module: ip-adapter-auto, Model: {wish.adapter}, Weight: {_number(each.weight)}, {ends}"
        for at, each in enumerate(wish.pictures, len(spec.control))
    }


def _noise(picture: Img2Img) -> dict[str, Any]:
    return {
        "Noise multiplier": _number(picture.noise_multiplier) if picture.noise_multiplier != 1 else None,
        "Extra noise": _set(picture.extra_noise),
    }


def _own(
    spec: Txt2Img | Img2Img, variations: Sequence[Variation], ensd: int | None, found: DrawnWith
) -> dict[str, Any]:
    face = spec.face_restore
    fields: dict[str, Any] = {
        OwnKey.VARIATION_PATH: _path(variations) if len(variations) > 1 else None,
        OwnKey.FACE_VISIBILITY: _number(face.visibility) if face and face.visibility != 1 else None,
        OwnKey.FACE_WEIGHT: _number(face.weight) if face and face.weight != 0.5 else None,
        OwnKey.HIDDEN_ENSD: ensd,
        OwnKey.HIRES_TILE: spec.hires.tile_px or None if isinstance(spec, Txt2Img) and spec.hires else None,
    }
    if not found.vae and spec.vae == "None":
        # Understood there too, though A1111 does not say that a checkpoint's own VAE was asked for.
        fields["VAE"] = "None"
    if isinstance(spec, Img2Img) and spec.details_only:
        fields |= {OwnKey.DETAILS_ONLY: True}
    elif isinstance(spec, Img2Img):
        extend = spec.extend
        fields |= {
            OwnKey.RESIZE_MODE: spec.resize_mode if spec.resize_mode != "Just resize" else None,
            OwnKey.EXACT_STEPS: spec.exact_steps or None,
            OwnKey.COLOR_CORRECTION: spec.color_correction or None,
            OwnKey.EXTEND: f"{extend.left}, {extend.right}, {extend.top}, {extend.bottom}" if extend else None,
            OwnKey.MASK_HASH: spec.mask.image.sha256[:10] if spec.mask and not spec.mask.prompt else None,
            OwnKey.MASK_FIND: spec.mask.prompt or None if spec.mask else None,
        }
    return fields


def _lossless(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: lossless(key, value) if isinstance(value, str) else value for key, value in fields.items()}


def _path(variations: Sequence[Variation]) -> str:
    return ", ".join(f"{variation.seed}:{_number(variation.strength)}" for variation in variations)


def _image_cfg(picture: Img2Img | None, edits: bool) -> int | float | None:
    return _number(picture.image_cfg_scale) if picture and (edits or picture.image_cfg_scale != 1.5) else None


def _mask_weight(picture: Img2Img | None, inpainting: bool) -> float | None:
    weight = picture.mask_weight if picture else 1.0
    return float(weight) if inpainting or weight != 1 else None


def _weighted(spec: Txt2Img | Img2Img, hires: Hires | None) -> bool:
    """Whether a prompt has a syntax that an emphasis mode could read differently."""
    prompts = [spec.prompt, spec.negative_prompt]
    if hires:
        prompts += [hires.prompt or "", hires.negative_prompt or ""]
    return any("(" in text or "[" in text or parse_attention(text) != [(text, 1.0)] for text in prompts)


def _title(name: str, digest: str | None) -> str:
    return f"{name} [{digest[:10]}]" if digest else name


def _hashes(hashes: Sequence[tuple[str, str]]) -> str | None:
    return ", ".join(f"{name}: {digest[:12]}" for name, digest in hashes) or None


def _share(value: float) -> float | None:
    return round(float(value), 3) or None


def _set(value: float) -> int | float | None:
    return _number(value) if value else None


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value
