"""The infotext of a drawn picture: which keys say how it was made, in A1111's order."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.language.infotext import build_infotext
from gpu_worker.language.names import SamplerChoice
from gpu_worker.protocol.specs import Hires, StoredSource, Txt2Img

__all__ = ["VARIATION_PATH", "Record", "picture_infotext"]

VARIATION_PATH = "Variation path"
"""Our own key: `seed:strength` of each of several variations, which A1111's single variation seed cannot say."""


@dataclass(frozen=True)
class Record:
    """What a job's pictures have in common beside the spec."""

    spec: Txt2Img
    sampler: SamplerChoice
    model_hash: str | None
    lora_hashes: tuple[tuple[str, str], ...] = ()
    source_size: tuple[int, int] | None = None
    """Size in pixels of a stored source picture."""


def picture_infotext(record: Record, seed: ImageSeed) -> str:
    spec = record.spec
    hires = spec.hires
    one = seed.variations[0] if len(seed.variations) == 1 else None
    path = ", ".join(f"{v.seed}:{_number(v.strength)}" for v in seed.variations) if len(seed.variations) > 1 else None
    hashes = ", ".join(f"{name}: {digest}" for name, digest in record.lora_hashes) or None
    fields: dict[str, Any] = {
        "Steps": spec.steps,
        "Sampler": record.sampler.sampler,
        "Schedule type": record.sampler.schedule,
        "CFG scale": _number(spec.cfg_scale),
        "Seed": seed.seed,
        "Size": f"{spec.width}x{spec.height}",
        "Model hash": record.model_hash[:10] if record.model_hash else None,
        "Model": spec.checkpoint,
        "Variation seed": one.seed if one else None,
        "Variation seed strength": _number(one.strength) if one else None,
        "Denoising strength": _number(hires.denoising_strength) if hires else None,
        "Clip skip": spec.clip_skip if spec.clip_skip > 1 else None,
        "Hires upscale": _number(hires.scale) if hires else None,
        "Hires steps": hires.steps or None if hires else None,
        "Hires upscaler": hires.upscaler if hires else None,
        "Init image hash": _source_hash(hires, record) if hires else None,
        "Lora hashes": hashes,
        VARIATION_PATH: path,
        "Version": f"Pincel {_version()}",
    }
    return build_infotext(spec.prompt, spec.negative_prompt, fields)


def _source_hash(hires: Hires, record: Record) -> str | None:
    """Named only where the source was no plain first pass of this size: otherwise the text alone draws it again."""
    if isinstance(hires.source, StoredSource) and record.source_size != (record.spec.width, record.spec.height):
        return hires.source.image.sha256[:10]
    return None


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _version() -> str:
    try:
        return version("pincel")
    except PackageNotFoundError:
        return "0.1.0"  # run from the checkout, not installed
