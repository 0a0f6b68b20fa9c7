"""An IP-Adapter file: what makes tokens of a picture's encoding, and the keys and values that read them.

Files as published: `image_proj.*` beside `ip_adapter.<n>.to_k_ip.weight`, in safetensors or in a pickle of two
dictionaries. The plain kind projects the picture's embedding, `plus` resamples the patches, `full` maps each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from gpu_worker.engine.checkpoints.weights import open_weights
from gpu_worker.engine.errors import EngineError

__all__ = ["ImageAdapter", "Reads", "load_adapter"]

Reads = Literal["embedding", "patches"]
"""Of a picture: one vector, or one for each patch."""
_PROJECT, _ATTEND = "image_proj.", "ip_adapter."
_LAYERS_MAX = 4
"""Of a resampler, as diffusers translates them."""


@dataclass(frozen=True, eq=False)
class ImageAdapter:
    name: str
    reads: Reads
    width: int
    """Of the encoding that it reads."""
    context_width: int
    """Of the tokens that it makes, which is the text's."""
    project: Any
    """diffusers' module; [n, width], or [n, patches, width], to [n, tokens, context width]. On the CPU in float32."""
    attend: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    """Keys' and values' weights [inner width, context width] of each cross-attention, in diffusers' order."""


def load_adapter(path: Path, name: str) -> ImageAdapter:
    """Raises EngineError `bad_model`: `unsafe`, `corrupt`, `unknown_layout`, or `unsupported` for the kinds that read
    faces by a network of their own (FaceID)."""
    detail = {"controlnet": name}
    file = open_weights(path, detail)
    shapes = {key.removeprefix(_PROJECT): shape for key, shape in file.shapes.items() if key.startswith(_PROJECT)}
    kind = _kind(shapes)
    if kind is None or not any(key.startswith(_ATTEND) for key in file.shapes):
        problem = "unsupported" if shapes else "unknown_layout"
        raise EngineError("bad_model", f"{path}: no IP-Adapter that is known here", {**detail, "problem": problem})
    try:
        weights = {key.removeprefix(_PROJECT): tensor.float() for key, tensor in file.below(_PROJECT).items()}
        project = _projection(weights)
        attend = _attention(file.below(_ATTEND))
    except (LookupError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise EngineError("bad_model", f"{path}: {error!r}", {**detail, "problem": "corrupt"}) from error
    reads, width = kind
    return ImageAdapter(name, reads, width, attend[0][0].shape[1], project, attend)


def _kind(shapes: dict[str, tuple[int, ...]]) -> tuple[Reads, int] | None:
    """What it reads, and of which width."""
    if len(shapes.get("proj.weight", ())) == 2:
        return "embedding", shapes["proj.weight"][1]
    if len(shapes.get("proj_in.weight", ())) == 2 and "latents" in shapes:
        return "patches", shapes["proj_in.weight"][1]
    if len(shapes.get("proj.0.weight", ())) == 2 and len(shapes.get("proj.3.weight", ())) == 1:
        return "patches", shapes["proj.0.weight"][1]
    return None


def _projection(weights: dict[str, torch.Tensor]) -> Any:
    """Diffusers knows the names of each kind and builds its module."""
    from diffusers.loaders.unet import UNet2DConditionLoadersMixin

    layers = {int(key.split(".")[1]) for key in weights if key.startswith("layers.")}
    if len(layers) > _LAYERS_MAX:
        raise ValueError(f"a resampler of {len(layers)} layers")
    build: Any = UNet2DConditionLoadersMixin._convert_ip_adapter_image_proj_to_diffusers
    return build(None, weights, low_cpu_mem_usage=False).eval().requires_grad_(False)


def _attention(weights: dict[str, torch.Tensor]) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    numbers = sorted({int(key.split(".")[1]) for key in weights if key.endswith(".to_k_ip.weight")})
    pairs = [(weights[f"{_ATTEND}{n}.to_k_ip.weight"], weights[f"{_ATTEND}{n}.to_v_ip.weight"]) for n in numbers]
    if any(key.shape != value.shape or key.ndim != 2 or key.shape[1] != pairs[0][0].shape[1] for key, value in pairs):
        raise ValueError("keys and values of different shapes")
    # Copies, for the file may change or go while they are used.
    return tuple((key.clone(), value.clone()) for key, value in pairs)
