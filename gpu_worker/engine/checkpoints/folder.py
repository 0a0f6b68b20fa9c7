"""A checkpoint as a diffusers folder: shape and latent scale come from its config files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, TextEncoder
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.language.layouts import folder_weights

__all__ = ["load_folder", "load_tokenizer"]


def load_folder(name: str, path: Path, device: Device) -> Checkpoint:
    """Raises EngineError `bad_model` for a folder that is damaged or incomplete."""
    lib = libraries()
    try:
        vae = _part(lib.AutoencoderKL, path / "vae", device)
        tokenizer = load_tokenizer(path / "tokenizer")
        text = _part(lib.CLIPTextModel, path / "text_encoder", device)
        return Checkpoint(
            name=name,
            family="sd1",
            unet=_part(lib.UNet2DConditionModel, path / "unet", device),
            vae=vae,
            text_encoders=(TextEncoder("clip_l", text, tokenizer, tokenizer.pad_token_id),),
            latent_scale=float(vae.config.scaling_factor),
            table=_table(path / "scheduler" / "scheduler_config.json"),
            device=device,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise EngineError("bad_model", f"{path}: {error!r}", {"checkpoint": name, "problem": "corrupt"}) from error


def load_tokenizer(folder: Path) -> Any:
    """A CLIP byte-pair tokenizer from its vocabulary files."""
    return libraries().CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)


def _part(kind: Any, folder: Path, device: Device) -> Any:
    weights = folder_weights(folder)
    half = weights is not None and ".fp16." in weights.name
    network = kind.from_pretrained(
        str(folder),
        local_files_only=True,
        use_safetensors=True,
        variant="fp16" if half else None,
        dtype=device.dtype,
    )
    return network.to(device.torch_device).eval().requires_grad_(False)


def _table(path: Path) -> SigmaTable:
    if not path.is_file():
        return SigmaTable.scaled_linear()
    config = json.loads(path.read_text(encoding="utf-8"))
    values = (
        float(config.get("beta_start", 0.00085)),
        float(config.get("beta_end", 0.012)),
        int(config.get("num_train_timesteps", 1000)),
    )
    line = config.get("beta_schedule", "scaled_linear") == "linear"
    return SigmaTable.linear(*values) if line else SigmaTable.scaled_linear(*values)
