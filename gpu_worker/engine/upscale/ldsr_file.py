"""LDSR's checkpoint in CompVis' layout (latent-diffusion, `bsr_sr`: `last.ckpt`, which A1111 calls `model.ckpt`): told
by its keys, its sizes read off its weights, and its networks built with diffusers' modules.

Where the checkpoint holds averaged weights, those draw, as in A1111. `project.yaml` says nothing that the weights do
not, but for the noise schedule and the width of attention heads, which every published file shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.checkpoints.pickles import mapped_tensors
from gpu_worker.engine.families.unet import UNET_PREFIX, count_parts
from gpu_worker.engine.families.vae import vae_config
from gpu_worker.engine.upscale.load import bad_model
from gpu_worker.language.headers import HeaderError, Shapes
from gpu_worker.language.layouts import read_any_header
from gpu_worker.language.pickles import flat_tensors, read_pickled

if TYPE_CHECKING:
    from diffusers import UNet2DModel, VQModel

__all__ = ["LdsrNetworks", "is_ldsr", "load_ldsr"]

FIRST_STAGE = "first_stage_model."
CODES = f"{FIRST_STAGE}quantize.embedding.weight"
EMA = "model_ema."
HEAD_WIDTH = 32
_KEPT = (UNET_PREFIX, FIRST_STAGE, EMA, "alphas_cumprod")
TRAINED_STEPS, BETA_FIRST, BETA_LAST = 1000, 0.0015, 0.0155
_RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip


@dataclass
class LdsrNetworks:
    """In float32 on the CPU."""

    unet: UNet2DModel
    codec: VQModel
    alphas: torch.Tensor
    """[1000], cumulated, float64."""


def is_ldsr(path: Path) -> bool:
    """Of a file that cannot be read as weights, False."""
    try:
        shapes = read_any_header(path).shapes
    except HeaderError:
        return False
    stem = shapes.get(f"{UNET_PREFIX}input_blocks.0.0.weight", ())
    out = shapes.get(f"{UNET_PREFIX}out.2.weight", ())
    return CODES in shapes and len(stem) == 4 and len(out) == 4 and stem[1] == 2 * out[0]


def load_ldsr(path: Path, name: str) -> LdsrNetworks:
    """Nothing in a pickle is executed. Raises EngineError `bad_model`."""
    try:
        weights = _weights(path)
        shapes: Shapes = {key: tuple(value.shape) for key, value in weights.items()}
        from diffusers import UNet2DModel, VQModel

        with torch.device("meta"):
            unet, codec = UNet2DModel(**_unet_config(shapes)), VQModel(**_codec_config(shapes))
        unet.load_state_dict(_unet_weights(weights, unet.config), assign=True)
        codec.load_state_dict(_codec_weights(weights, codec.config), assign=True)
    except HeaderError as error:
        raise bad_model(path, repr(error), "upscaler", name, error.problem) from error
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        if isinstance(error, MemoryError):
            raise
        raise bad_model(path, repr(error), "upscaler", name, "corrupt") from error
    for network in (unet, codec):
        network.float().eval().requires_grad_(False)
    return LdsrNetworks(unet, codec, _alphas(weights))


def _weights(path: Path) -> dict[str, torch.Tensor]:
    """What draws: no optimizer's state, none of the losses, and of the UNet the average where there is one."""
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        weights = load_file(path)
    else:
        pickled = read_pickled(path)
        tensors = flat_tensors(pickled.content)
        kept = {
            key: value for key, value in tensors.items() if key.startswith((UNET_PREFIX, FIRST_STAGE, EMA, "alphas"))
        }
        weights = mapped_tensors(path, pickled, kept)
    for key in [key for key in weights if key.startswith(UNET_PREFIX)]:
        # Lightning's average is a flat list, whose names may hold no dots.
        average = weights.get(EMA + key.removeprefix("model.").replace(".", ""))
        if average is not None:
            weights[key] = average
    return weights


def _unet_config(shapes: Shapes) -> dict[str, Any]:
    blocks = f"{UNET_PREFIX}input_blocks."
    widths: list[int] = []
    attends: list[bool] = []
    layers = 0
    for index in range(1, count_parts(shapes, blocks)):
        if f"{blocks}{index}.0.op.weight" in shapes:
            continue
        if index == 1 or f"{blocks}{index - 1}.0.op.weight" in shapes:
            widths.append(shapes[f"{blocks}{index}.0.in_layers.2.weight"][0])
            attends.append(f"{blocks}{index}.1.qkv.weight" in shapes)
            layers = 0
        layers += 1
    return {
        "in_channels": shapes[f"{blocks}0.0.weight"][1],
        "out_channels": shapes[f"{UNET_PREFIX}out.2.weight"][0],
        "block_out_channels": tuple(widths),
        "layers_per_block": layers,
        "down_block_types": tuple("AttnDownBlock2D" if one else "DownBlock2D" for one in attends),
        "up_block_types": tuple("AttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)),
        "attention_head_dim": HEAD_WIDTH,
        "norm_eps": 1e-5,
    }


def _unet_weights(weights: Mapping[str, torch.Tensor], config: Any) -> dict[str, torch.Tensor]:
    """By diffusers' names: OpenAI's number the blocks of all levels in one row."""
    levels, layers = len(config.block_out_channels), config.layers_per_block
    names = {"input_blocks.0.0": "conv_in", "time_embed.0": "time_embedding.linear_1", "out.0": "conv_norm_out"}
    names |= {"time_embed.2": "time_embedding.linear_2", "out.2": "conv_out"}
    parts: dict[str, str] = {"middle_block.0": "mid_block.resnets.0", "middle_block.2": "mid_block.resnets.1"}
    attentions: dict[str, str] = {"middle_block.1": "mid_block.attentions.0"}
    number = 1
    for level in range(levels):
        for layer in range(layers):
            parts[f"input_blocks.{number}.0"] = f"down_blocks.{level}.resnets.{layer}"
            attentions[f"input_blocks.{number}.1"] = f"down_blocks.{level}.attentions.{layer}"
            number += 1
        names[f"input_blocks.{number}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
        number += 1
    number = 0
    for level in range(levels):
        for layer in range(layers + 1):
            parts[f"output_blocks.{number}.0"] = f"up_blocks.{level}.resnets.{layer}"
            attentions[f"output_blocks.{number}.1"] = f"up_blocks.{level}.attentions.{layer}"
            for place in (1, 2):
                names[f"output_blocks.{number}.{place}.conv"] = f"up_blocks.{level}.upsamplers.0.conv"
            number += 1
    for old, new in parts.items():
        names |= {f"{old}.{theirs}": f"{new}.{ours}" for theirs, ours in _RESNET.items()}
    for old, new in attentions.items():
        names |= {f"{old}.norm": f"{new}.group_norm", f"{old}.proj_out": f"{new}.to_out.0"}
    made: dict[str, torch.Tensor] = {}
    for key, value in weights.items():
        if not key.startswith(UNET_PREFIX):
            continue
        place, _, last = key.removeprefix(UNET_PREFIX).rpartition(".")
        if place.endswith(".qkv"):
            made |= _separated(attentions[place.removesuffix(".qkv")], last, value)
        else:
            flat = place.endswith(".proj_out") and value.dim() == 3
            made[f"{names[place]}.{last}"] = value[:, :, 0] if flat else value
    return made


def _separated(name: str, last: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """Query, key and value lie head by head in one convolution."""
    width = value.shape[0] // 3
    by_head = value.reshape(width // HEAD_WIDTH, 3, HEAD_WIDTH, *value.shape[1:2])
    return {
        f"{name}.to_{part}.{last}": by_head[:, at].reshape(width, *value.shape[1:2]).clone()
        for at, part in enumerate("qkv")
    }


def _codec_config(shapes: Shapes) -> dict[str, Any]:
    own = {key.removeprefix(FIRST_STAGE): shape for key, shape in shapes.items() if key.startswith(FIRST_STAGE)}
    config = vae_config(own, 1.0)
    codes, width = shapes[CODES]
    return config | {"num_vq_embeddings": codes, "vq_embed_dim": width}


def _codec_weights(weights: Mapping[str, torch.Tensor], config: Any) -> dict[str, torch.Tensor]:
    own = {key.removeprefix(FIRST_STAGE): value for key, value in weights.items() if key.startswith(FIRST_STAGE)}
    own = {key: value for key, value in own.items() if not key.startswith("loss.")}
    made: dict[str, torch.Tensor] = libraries().convert_vae(own, dict(config))
    return made | {"quantize.embedding.weight": own["quantize.embedding.weight"]}


def _alphas(weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    own = weights.get("alphas_cumprod")
    if own is not None and own.shape == (TRAINED_STEPS,) and bool(((own > 0) & (own < 1)).all()):
        return own.double()
    betas = torch.linspace(BETA_FIRST**0.5, BETA_LAST**0.5, TRAINED_STEPS, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(dim=0)
