"""A checkpoint as a diffusers folder: shapes, latent scale and prediction come from its config files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from gpu_worker.engine.checkpoints.checkpoint import EncoderKind, Family, TextEncoder
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.checkpoints.networks import CONCAT, Networks, finished
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.families.text import text_reading
from gpu_worker.engine.memory import is_out_of_memory
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.language.layouts import folder_weights, read_checkpoint_folder

__all__ = ["load_folder_networks", "load_folder_vae", "load_tokenizer"]

_KINDS: dict[str, tuple[EncoderKind, ...]] = {
    "sd1": ("clip_l",), "sd2": ("open_clip",), "sdxl": ("clip_l", "clip_g"), "sdxl_refiner": ("clip_g",),
}  # fmt: skip
_DAMAGE = (OSError, ValueError, LookupError, TypeError, RuntimeError, AttributeError)


def load_folder_networks(path: Path, detail: dict[str, str], device: Device) -> Networks:
    """Raises EngineError `bad_model` for a folder that is damaged or incomplete."""
    family = read_checkpoint_folder(path).family
    try:
        if family not in _KINDS:
            raise ValueError("no checkpoint folder")
        family = cast("Family", family)
        unet = _part(libraries().UNet2DConditionModel, path / "unet", device.dtype, device)
        prediction, table = _schedule(path / "scheduler" / "scheduler_config.json")
        vae = json.loads((path / "vae" / "config.json").read_text(encoding="utf-8"))
        return Networks(
            family=family,
            unet=finished(unet, device),
            text_encoders=tuple(_encoder(path, family, kind, device) for kind in _KINDS[family]),
            latent_scale=float(vae.get("scaling_factor", 0.18215)),
            table=table,
            prediction="v" if prediction == "v_prediction" else "epsilon",
            concat=CONCAT[int(unet.config.in_channels)],
        )
    except _DAMAGE as error:
        if is_out_of_memory(error):
            raise
        raise EngineError("bad_model", f"{path}: {error!r}", {**detail, "problem": "corrupt"}) from error


def load_folder_vae(path: Path, detail: dict[str, str], scale: float, device: Device) -> Any:
    """Raises EngineError `bad_model`. `scale` is in the folder's own config, too."""
    del scale
    try:
        return _part(libraries().AutoencoderKL, path / "vae", device.vae_dtype, device)
    except _DAMAGE as error:
        if is_out_of_memory(error):
            raise
        raise EngineError("bad_model", f"{path}: {error!r}", {**detail, "problem": "corrupt"}) from error


def load_tokenizer(folder: Path) -> Any:
    """A CLIP byte-pair tokenizer from its vocabulary files."""
    return libraries().CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)


def _encoder(path: Path, family: Family, kind: EncoderKind, device: Device) -> TextEncoder:
    suffix = "_2" if kind == "clip_g" else ""
    lib = libraries()
    network = lib.CLIPTextModelWithProjection if kind == "clip_g" else lib.CLIPTextModel
    model = _part(network, path / f"text_encoder{suffix}", device.dtype, device)
    tokenizer = load_tokenizer(path / f"tokenizer{suffix}")
    reading = text_reading(family, kind, int(model.config.num_hidden_layers), tokenizer.eos_token_id)
    return TextEncoder(kind, model, tokenizer, **reading)


def _part(kind: Any, folder: Path, dtype: Any, device: Device) -> Any:
    weights = folder_weights(folder)
    half = weights is not None and ".fp16." in weights.name
    network = kind.from_pretrained(
        str(folder),
        local_files_only=True,
        use_safetensors=True,
        variant="fp16" if half else None,
        dtype=dtype,
    )
    if not device.is_cuda:
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.clone()  # it may lie in the mapped file still
    return network.eval().requires_grad_(False)


def _schedule(path: Path) -> tuple[str, SigmaTable]:
    """Prediction type and noise levels."""
    if not path.is_file():
        return "epsilon", SigmaTable.scaled_linear()
    config = json.loads(path.read_text(encoding="utf-8"))
    values = (
        float(config.get("beta_start", 0.00085)),
        float(config.get("beta_end", 0.012)),
        int(config.get("num_train_timesteps", 1000)),
    )
    line = config.get("beta_schedule", "scaled_linear") == "linear"
    table = SigmaTable.linear(*values) if line else SigmaTable.scaled_linear(*values)
    return str(config.get("prediction_type", "epsilon")), table
