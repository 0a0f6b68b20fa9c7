"""Writes the finished parts as the files that people download: single files, half precision, original layout."""

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel

from demo_kit.captions import all_words
from demo_kit.networks import tokens
from demo_kit.original import text_weights, unet_weights, vae_weights

__all__ = ["half", "save", "save_checkpoint"]


def half(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point weights in half precision, contiguous."""
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in sorted(weights.items())
    }


def save(path: Path, weights: Mapping[str, Tensor], **about: str) -> None:
    """A safetensors file with a title, a description and so on (`modelspec.*`) in its header."""
    metadata = {"modelspec.sai_model_spec": "1.0.0", "modelspec.author": "Pincel", "modelspec.license": "MIT"}
    metadata |= {f"modelspec.{key}": value for key, value in about.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(half(weights), part, metadata)
    part.replace(path)


def save_checkpoint(
    path: Path, unet: UNet2DConditionModel, text: CLIPTextModel, vae: AutoencoderKL, **about: str
) -> None:
    """A whole checkpoint. Words that training never saw share one embedding, which also packs well."""
    words = {name: value.clone() for name, value in text.state_dict().items()}
    table = next(value for name, value in words.items() if name.endswith("token_embedding.weight"))
    seen = torch.zeros(len(table), dtype=torch.bool)
    seen[tokens(all_words()).unique()] = True
    table[~seen] = table[seen].mean(0)
    weights = unet_weights(unet.state_dict()) | text_weights(words) | vae_weights(vae.state_dict())
    save(path, weights, architecture="stable-diffusion-v1", resolution="128x128", prediction_type="epsilon", **about)
