"""A checkpoint, or a VAE, in one file in Stable Diffusion's original key layout.

A full 7 GB file and a small one made by a test take this same path: the family and all shapes come from the weights,
names are translated, nothing is fetched and nothing is executed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError

from gpu_worker.engine.checkpoints.checkpoint import Family, Prediction, TextEncoder
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.checkpoints.networks import CONCAT, Networks, filled, finished, owned
from gpu_worker.engine.checkpoints.prediction import probe_prediction, stated_prediction, trained_table
from gpu_worker.engine.checkpoints.weights import WeightsFile, open_weights
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.families.text import text_config, text_parts, text_reading, text_weights
from gpu_worker.engine.families.unet import UNET_PREFIX, unet_config
from gpu_worker.engine.families.vae import latent_scale, vae_config, vae_names, vae_weights
from gpu_worker.engine.memory import is_out_of_memory
from gpu_worker.language.layouts import type_of

__all__ = ["load_networks", "load_vae"]

Probe = Callable[[Callable[[], Prediction]], Prediction]
"""Answers from memory, or asks and remembers."""


def load_networks(path: Path, detail: dict[str, str], tokenizer: Any, device: Device, probe: Probe) -> Networks:
    """Raises EngineError `bad_model` with `detail` and a problem: `corrupt`, `unsafe`, `unsupported`,
    `unknown_layout`, `no_text_encoder`."""
    file = open_weights(path, detail)
    with _refused(path, detail):
        if f"{UNET_PREFIX}input_blocks.0.0.weight" not in file.shapes:
            raise _bad(path, detail, "unknown_layout")
        known = type_of(file.shapes)
        if known is None:
            raise _bad(path, detail, "unsupported")
        family = cast("Family", known[0])
        config = unet_config(file.shapes, family)
        concat = CONCAT.get(config["in_channels"])
        if concat is None:
            raise _bad(path, detail, "unsupported")
        lib = libraries()
        texts = _texts(file, family, tokenizer, device)
        if not texts:
            raise _bad(path, detail, "no_text_encoder")
        weights = lib.convert_unet(file.below(UNET_PREFIX), config)
        prediction = stated_prediction(path, file.metadata, file.shapes)
        if prediction is None:
            prediction = "epsilon"
            if family == "sd2" and concat == "none":
                prediction = probe(lambda: _probed(config, weights))
        unet = filled(lambda: lib.UNet2DConditionModel(**config), owned(weights, device.dtype, device))
        return Networks(
            family=family,
            unet=finished(unet, device),
            text_encoders=texts,
            latent_scale=latent_scale(family),
            table=trained_table(file.shapes),
            prediction=prediction,
            concat=concat,
        )


def load_vae(path: Path, detail: dict[str, str], scale: float, device: Device) -> Any:
    """The VAE of a checkpoint or of a VAE's own file (any of three layouts, behaviours §11), in memory. Raises
    EngineError `bad_model`; its problem is `no_vae` where the file has none."""
    file = open_weights(path, detail)
    names = vae_names(file.shapes)
    if not any(name.startswith("decoder.") for name in names.values()):
        raise _bad(path, detail, "no_vae")
    with _refused(path, detail):
        config = vae_config({names[key]: file.shapes[key] for key in names}, scale)
        found = {names[key]: tensor for key, tensor in file.read(names).items()}
        weights = owned(vae_weights(found, config), device.vae_dtype, device)
        return filled(lambda: libraries().AutoencoderKL(**config), weights)


def _texts(file: WeightsFile, family: Family, tokenizer: Any, device: Device) -> tuple[TextEncoder, ...]:
    """The family's text models, or none where one is missing."""
    lib, found = libraries(), []
    for part in text_parts(family, file.shapes):
        weights = text_weights(part, file.below(part.prefix))
        if "embeddings.token_embedding.weight" not in weights:
            return ()
        config = lib.CLIPTextConfig(**text_config(part.kind, weights))
        kind = lib.CLIPTextModel
        if part.projects:
            kind = lib.CLIPTextModelWithProjection
            weights = {k if k.startswith("text_projection.") else f"text_model.{k}": t for k, t in weights.items()}
        model = filled(lambda kind=kind, config=config: kind(config), owned(weights, device.dtype, device))
        reading = text_reading(family, part.kind, config.num_hidden_layers, tokenizer.eos_token_id)
        found.append(TextEncoder(part.kind, model, tokenizer, **reading))
    return tuple(found)


def _probed(config: dict[str, Any], weights: dict[str, torch.Tensor]) -> Prediction:
    full = {name: tensor.float() for name, tensor in weights.items()}
    return probe_prediction(filled(lambda: libraries().UNet2DConditionModel(**config), full))


_DAMAGE = (
    SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, StopIteration, RuntimeError,
    AssertionError, ArithmeticError,
)  # fmt: skip
"""What libraries raise for weights that are not what their names say."""


@contextlib.contextmanager
def _refused(path: Path, detail: dict[str, str]) -> Iterator[None]:
    """What damaged or foreign weights cause is `corrupt`; running out of memory is not their fault."""
    try:
        yield
    except _DAMAGE as error:
        if is_out_of_memory(error):
            raise
        raise _bad(path, detail, "corrupt", repr(error)) from error


def _bad(path: Path, detail: dict[str, str], problem: str, why: str = "") -> EngineError:
    return EngineError("bad_model", f"{path}: {why or problem}", {**detail, "problem": problem})
