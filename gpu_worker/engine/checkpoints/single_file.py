"""A checkpoint in one `.safetensors` file in Stable Diffusion's original key layout.

A full 2 GB file and a small one made by a test take this same path: shapes come from the weights, names are translated
by diffusers, nothing is fetched and nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, TextEncoder
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.families import sd1
from gpu_worker.engine.sampling.sigmas import SigmaTable

__all__ = ["load_single_file"]

Weights = dict[str, torch.Tensor]


def load_single_file(name: str, path: Path, tokenizer: Any, device: Device) -> Checkpoint:
    """Raises EngineError `bad_model` for a file that is damaged or is no whole SD 1.x checkpoint."""
    try:
        unet = _read(path, sd1.UNET_PREFIX)
        vae = _read(path, sd1.VAE_PREFIX)
        text = _text_names(_read(path, sd1.TEXT_PREFIX))
        shapes = {key: tuple(tensor.shape) for part in (unet, vae, text) for key, tensor in part.items()}
        lib = libraries()
        unet_config, vae_config = sd1.unet_config(shapes), sd1.vae_config(shapes)
        text_model = _filled(
            lambda: lib.CLIPTextModel(lib.CLIPTextConfig(**sd1.text_config(shapes))), _for_model(text), device
        )
        return Checkpoint(
            name=name,
            family="sd1",
            unet=_filled(lambda: lib.UNet2DConditionModel(**unet_config), lib.convert_unet(unet, unet_config), device),
            vae=_filled(lambda: lib.AutoencoderKL(**vae_config), lib.convert_vae(vae, vae_config), device),
            text_encoders=(TextEncoder("clip_l", text_model, tokenizer, tokenizer.pad_token_id),),
            latent_scale=sd1.LATENT_SCALE,
            table=SigmaTable.scaled_linear(),
            device=device,
        )
    except (SafetensorError, OSError, KeyError, ValueError, IndexError, StopIteration, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise EngineError("bad_model", f"{path}: {error!r}", {"checkpoint": name, "problem": "corrupt"}) from error


def _read(path: Path, prefix: str) -> Weights:
    """The tensors below `prefix`; others (EMA copies, optimizer state) are never read from disk."""
    with safe_open(path, framework="pt", device="cpu") as file:
        return {key: file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118 (no dict)


def _text_names(weights: Weights) -> Weights:
    """Names without their prefixes; files from before `text_model` was inserted become equal to later ones."""
    names = {key: key.removeprefix(sd1.TEXT_PREFIX).removeprefix("text_model.") for key in weights}
    return {names[key]: tensor for key, tensor in weights.items() if not key.endswith("position_ids")}


def _for_model(weights: Weights) -> Weights:
    """As transformers names them since 5.6, where the text model lost its inner `text_model`."""
    return {key: tensor for key, tensor in weights.items() if key.startswith(("embeddings.", "encoder.", "final_"))}


def _filled(build: Any, weights: Weights, device: Device) -> Any:
    """The network that `build` makes, with `weights` in it. Raises ValueError where one is missing or has no place."""
    with libraries().empty_weights():
        network = build()
    typed = {key: t.to(device.dtype) if t.is_floating_point() else t for key, t in weights.items()}
    missing, unexpected = network.load_state_dict(typed, strict=False, assign=True)
    if missing or unexpected:
        raise ValueError(f"missing {missing[:3]}, unexpected {unexpected[:3]}")
    return network.to(device.torch_device).eval().requires_grad_(False)
