"""One plain sentence, with the next step, for whatever the engine refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_worker.engine.errors import EngineError

__all__ = ["PROBLEMS", "sentence"]

PROBLEMS = {
    "unsafe": "holds more than numbers and could run code, so it is not opened; take its .safetensors version",
    "no_vae": "has no VAE of its own; put one into models/vae and name it with --vae",
    "no_text_encoder": "lacks its text encoder; download the whole checkpoint",
    "unknown_layout": "is no model of this kind; look whether it lies in the right folder",
    "unsupported": "is of a kind that cannot be drawn with; choose another one",
    "needs_extra": 'needs the extra "codeformer" to be installed; choose --face-model GFPGAN',
}
_PLACES = {
    "vae": "vae", "lora": "loras", "upscaler": "upscalers", "face": "faces", "embedding": "embeddings",
    "detector": "detectors",
}  # fmt: skip
_REASONS = {
    "lora_misfit": "The LoRA {lora} does not fit this checkpoint; take its tag out or choose another checkpoint.",
    "lora_tag": "The weight in the tag of LoRA {lora} is no number; write it like <lora:{lora}:0.8>.",
    "network_kind": "Pincel draws with LoRAs, not with {network}; take its tag out of the prompt.",
    "size": "{width} x {height} is too large; stay below {limit_px} pixels a side.",
    "size_small": "The second pass would end at {width} x {height}, smaller than it begins; choose a larger --hires.",
    "latent_source": "The upscaler {upscaler} cannot start from a picture; choose another one, for example Lanczos.",
    "sigmas": "--sigma-min, --sigma-max and --rho leave nothing to draw; leave them out.",
    "source_picture": "The picture to start from cannot be read, or it is too large; save it as PNG or JPEG.",
    "not_finite": "The numbers ran away, so there is no picture; try a lower --cfg or another --sampler.",
    "no_such_device": "There is no device {device} here; try --device auto.",
    "no_xformers": "xformers is not installed or finds no card here; try --attention auto.",
}


def sentence(error: EngineError) -> str:
    detail = error.detail
    reason = _REASONS.get(str(detail.get("reason")))
    if reason is not None:
        try:
            return reason.format_map(detail)
        except KeyError:
            pass  # of a reason that this version knows by name only
    if error.kind == "oom":
        return "There is not enough memory for this; try a smaller size, --count 1 or --memory low."
    if "sampler" in detail:
        return f'Cannot draw with {detail["sampler"]} and {detail.get("schedule")}; try --sampler "DPM++ 2M".'
    for kind, folder in _PLACES.items():
        if kind in detail:
            return _about(error.kind, kind, folder, str(detail[kind]), detail)
    if "checkpoint" in detail:
        why = PROBLEMS.get(str(detail.get("problem")), f"cannot be used ({detail.get('problem')}); choose another one")
        return f"The checkpoint {detail['checkpoint']} {why}."
    return f"This could not be drawn ({error.message})."


def _about(error_kind: str, kind: str, folder: str, name: str, detail: dict[str, Any]) -> str:
    label = {"vae": "VAE", "lora": "LoRA", "face": "face model"}.get(kind, kind)
    if error_kind == "missing_model":
        rest = " or take its tag out of the prompt" if kind == "lora" else " or leave it out"
        file = name if "." in name else f"{name}.safetensors"
        return f"There is no {label} {name}; put {file} into models/{folder}{rest}."
    if error_kind == "bad_input":
        return f"The {label} {name} cannot be used here; choose another one."
    why = PROBLEMS.get(str(detail.get("problem")), f"cannot be used ({detail.get('problem')}); download it again")
    return f"The {label} {name} {why}."
