"""What a made file says of its origin: A1111's merge recipe, modelspec, and our own `pincel.*` (behaviours §12.5).

Nothing here depends on the time, the machine, or who asked: equal inputs give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_worker.convert.source import Source
from gpu_worker.engine.checkpoints.prediction import stated_prediction
from gpu_worker.language.layouts import type_of
from gpu_worker.protocol.specs import BakeSpec, ConvertSpec, FileTask, MergeSpec

__all__ = ["Origin", "provenance"]

_STALE = frozenset({"modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash", "format"})
"""Of the file as it was."""
_ARCHITECTURES = {
    ("sd1", None): "stable-diffusion-v1",
    ("sd1", "inpaint"): "stable-diffusion-v1/inpainting",
    ("sd1", "pix2pix"): "stable-diffusion-v1/pix2pix",
    ("sd2", None): "stable-diffusion-v2-512",
    ("sd2", "inpaint"): "stable-diffusion-v2-512/inpainting",
    ("sdxl", None): "stable-diffusion-xl-v1-base",
    ("sdxl", "inpaint"): "stable-diffusion-xl-v1-base/inpainting",
    ("sdxl_refiner", None): "stable-diffusion-xl-v1-refiner",
}
_METHODS = {
    "weighted sum": "Weighted sum",
    "add difference": "Add difference",
    "no interpolation": "No interpolation",
}
RECIPE_LIMIT_CHARS = 200_000


@dataclass(frozen=True)
class Origin:
    source: Source
    sha256: str


def provenance(
    spec: FileTask, origins: Sequence[Origin], vae: Origin | None, *, variant: str | None = None
) -> dict[str, str]:
    """`origins` are the files in the order of the spec; a bake's first is the checkpoint, the others its LoRAs.
    `variant` is what a merge's result was found to read beside the latent."""
    first = origins[0].source
    metadata = {key: value for key, value in first.metadata.items() if key not in _STALE}
    metadata["format"] = "pt"
    metadata["pincel.precision"] = spec.precision
    if vae is not None:
        metadata["pincel.vae"] = vae.source.path.name
        metadata["pincel.vae_sha256"] = vae.sha256
    match spec:
        case ConvertSpec():
            metadata["pincel.task"] = "convert"
            metadata["pincel.source"] = first.path.name
            metadata["pincel.source_sha256"] = origins[0].sha256
            if spec.model_kind == "checkpoint":
                metadata["pincel.weights"] = spec.weights
        case MergeSpec():
            metadata |= _merge(spec, origins, vae, variant)
        case BakeSpec():
            metadata |= _bake(spec, origins)
        case _:
            raise AssertionError(spec)
    prediction = stated_prediction(first.path, first.metadata, first.entries)
    if prediction == "v" and getattr(spec, "model_kind", "checkpoint") == "checkpoint":
        # It may have stood in a file beside the checkpoint, which the new one has not.
        metadata["modelspec.prediction_type"] = "v"
    return metadata


def _merge(spec: MergeSpec, origins: Sequence[Origin], vae: Origin | None, variant: str | None) -> dict[str, str]:
    """Fields as A1111 1.10 writes them; hashes are the whole file's SHA-256."""
    hashes = [origin.sha256 for origin in origins] + [None, None]
    recipe = {
        "type": "webui",
        "primary_model_hash": hashes[0],
        "secondary_model_hash": hashes[1],
        "tertiary_model_hash": hashes[2],
        "interp_method": _METHODS[spec.method],
        "multiplier": spec.multiplier,
        "save_as_half": spec.precision == "fp16",
        "custom_name": spec.output,
        "config_source": 0,
        "bake_in_vae": vae.source.path.name if vae is not None else "None",
        "discard_weights": ", ".join(spec.discard),
        "is_inpainting": variant == "inpaint",
        "is_instruct_pix2pix": variant == "pix2pix",
    }
    models: dict[str, Any] = {}
    for origin in origins:
        source = origin.source
        models[origin.sha256] = {
            "name": source.path.name,
            "legacy_hash": None,
            "sd_merge_recipe": _read(source.metadata.get("sd_merge_recipe")),
        }
        earlier = _read(source.metadata.get("sd_merge_models"))
        models |= earlier if isinstance(earlier, dict) else {}
    return {
        "pincel.task": "merge",
        "sd_merge_recipe": json.dumps(recipe),
        "sd_merge_models": json.dumps(models),
        **_modelspec(spec, origins),
    }


def _bake(spec: BakeSpec, origins: Sequence[Origin]) -> dict[str, str]:
    loras = [
        {"name": o.source.path.name, "sha256": o.sha256, "unet": w.unet, "text_encoder": w.text_encoder}
        for o, w in zip(origins[1:], spec.loras, strict=True)
    ]
    return {
        "pincel.task": "bake",
        "pincel.source": origins[0].source.path.name,
        "pincel.source_sha256": origins[0].sha256,
        "pincel.loras": json.dumps(loras),
        **_modelspec(spec, origins),
    }


def _modelspec(spec: FileTask, origins: Sequence[Origin]) -> dict[str, str]:
    """Stability AI's model metadata, version 1.0.0: title, architecture, and what it was merged from."""
    architecture = _ARCHITECTURES.get(type_of(origins[0].source.shapes) or ("", None))
    said: Mapping[str, str] = origins[0].source.metadata
    made = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.title": spec.output,
        "modelspec.merged_from": ", ".join(origin.source.path.stem for origin in origins),
    }
    if architecture is not None:
        made["modelspec.architecture"] = said.get("modelspec.architecture", architecture)
    return made


def _read(text: str | None) -> Any:
    """What an earlier merge wrote; None for what is no JSON."""
    if text is None or len(text) > RECIPE_LIMIT_CHARS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
