"""CLIP's image encoders from transformers' key layout, their shapes read off the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.checkpoints.weights import open_weights
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.kinds import vision_widths

__all__ = ["Seen", "VisionEncoder", "load_encoder"]

_HEADS = {768: 12, 1024: 16, 1280: 16, 1664: 16}
"""By the width of the published encoders: CLIP ViT-B and ViT-L, OpenCLIP ViT-H and ViT-bigG."""
_HEAD_WIDTH = 64
_OPENAI = frozenset({768, 1024})
"""Widths whose encoders use CLIP's own approximation of GELU."""
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Seen:
    """One picture as an encoder sees it, float32 on the CPU."""

    embedding: torch.Tensor
    """[1, projected width]."""
    patches: torch.Tensor
    """[1, patches and one for all, width]: the last hidden state but one."""


@dataclass(frozen=True, eq=False)
class VisionEncoder:
    model: Any
    """transformers' CLIPVisionModelWithProjection."""
    side_px: int

    @torch.inference_mode()
    def see(self, picture: Picture | None, device: torch.device, dtype: torch.dtype) -> Seen:
        """None is the picture whose numbers are all 0, which stands for no picture at all in IP-Adapter."""
        if picture is None:
            pixels = torch.zeros(1, 3, self.side_px, self.side_px)
        else:
            pixels = torch.from_numpy(prepared(picture, self.side_px))[None]
        model = self.model.to(device, dtype)
        try:
            out = model(pixels.to(device, dtype), output_hidden_states=True)
        finally:
            model.to("cpu")
        return Seen(out.image_embeds.float().cpu(), out.hidden_states[-2].float().cpu())


def prepared(picture: Picture, side_px: int) -> Floats:
    """[3, side, side] as CLIP's own preprocessing: the shorter side resized bicubically, the middle cut out."""
    image = Image.fromarray(picture)
    scale = side_px / min(image.size)
    width, height = (max(side_px, int(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side_px) // 2, (height - side_px) // 2
    cut = np.asarray(image.crop((left, top, left + side_px, top + side_px)), np.float32) / 255
    levelled = (cut - np.asarray(_MEAN, np.float32)) / np.asarray(_DEVIATION, np.float32)
    return np.ascontiguousarray(levelled.transpose(2, 0, 1), np.float32)


def load_encoder(path: Path, name: str) -> VisionEncoder:
    """On the CPU, in the file's precision. Raises EngineError `bad_model`: `unsafe`, `corrupt`, `unknown_layout`."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    from gpu_worker.engine.checkpoints.networks import filled

    detail = {"annotator": name}
    file = open_weights(path, detail)
    if vision_widths(file.shapes) is None:
        raise EngineError("bad_model", f"{path}: no CLIP image encoder", {**detail, "problem": "unknown_layout"})
    try:
        shape = _config(file.shapes)
        config = CLIPVisionConfig(**shape)
        weights = file.read(key for key in file.shapes if key.startswith(("vision_model.", "visual_projection.")))
        weights = {key: tensor.clone() for key, tensor in weights.items() if not key.endswith("position_ids")}
        network: Any = CLIPVisionModelWithProjection
        model = filled(lambda: network(config), weights)
    except (LookupError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise EngineError("bad_model", f"{path}: {error!r}", {**detail, "problem": "corrupt"}) from error
    return VisionEncoder(model.eval().requires_grad_(False), int(shape["image_size"]))


def _config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    patch = shapes["vision_model.embeddings.patch_embedding.weight"]
    width, side = patch[0], patch[2]
    across = round((shapes["vision_model.embeddings.position_embedding.weight"][0] - 1) ** 0.5)
    layers = 1 + max(int(key.split(".")[3]) for key in shapes if key.startswith("vision_model.encoder.layers."))
    return {
        "hidden_size": width,
        "intermediate_size": shapes["vision_model.encoder.layers.0.mlp.fc1.weight"][0],
        "projection_dim": shapes["visual_projection.weight"][0],
        "num_hidden_layers": layers,
        "num_attention_heads": _HEADS.get(width) or max(1, width // _HEAD_WIDTH),
        "image_size": across * side,
        "patch_size": side,
        "hidden_act": "quick_gelu" if width in _OPENAI else "gelu",
    }
