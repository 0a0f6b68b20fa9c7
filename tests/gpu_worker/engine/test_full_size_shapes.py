"""Checkpoints of full size, without their weights: shapes alone make the published networks."""

import pytest
import torch
from make_checkpoint import FULL, plan

from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.checkpoints.networks import filled
from gpu_worker.engine.families.text import text_config, text_parts, text_weights
from gpu_worker.engine.families.unet import unet_config
from gpu_worker.engine.families.vae import latent_scale, vae_config, vae_names, vae_weights
from gpu_worker.language.layouts import type_of

HEADS = {"sd1": 8, "sd2": (5, 10, 20, 20), "sdxl": (5, 10, 20), "sdxl_refiner": (6, 12, 24, 24)}
DEPTHS = {"sd1": (1, 1, 1, 1), "sd2": (1, 1, 1, 1), "sdxl": (1, 2, 10), "sdxl_refiner": (1, 4, 4, 4)}
MILLIONS = {"sd1": (859.5, 123.1), "sd2": (865.9, 353.5), "sdxl": (2567.5, 817.7), "sdxl_refiner": (2259.5, 694.7)}
"""Parameters of the UNet and of the text models. SD 2.x has the layer that nobody reads besides."""


def millions(network):
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.slow
@pytest.mark.parametrize("kind", FULL)
def test_full_size(kind):
    lib = libraries()
    weights = {name: torch.empty(spec.shape, device="meta") for name, spec in plan(kind).items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    family, _ = type_of(shapes)
    config = unet_config(shapes, family)
    unet = filled(lambda: lib.UNet2DConditionModel(**config), lib.convert_unet(weights, config))
    assert (config["attention_head_dim"], config["transformer_layers_per_block"]) == (HEADS[family], DEPTHS[family])
    assert millions(unet) == pytest.approx(MILLIONS[family][0], abs=0.1)
    names = vae_names(shapes)
    own = {names[key]: weights[key] for key in names}
    vae = vae_config({name: tuple(tensor.shape) for name, tensor in own.items()}, latent_scale(family))
    assert vae["block_out_channels"] == (128, 256, 512, 512)
    assert millions(filled(lambda: lib.AutoencoderKL(**vae), vae_weights(own, vae))) == pytest.approx(83.65, abs=0.1)
    texts = 0.0
    for part in text_parts(family, shapes):
        found = text_weights(part, {name: t for name, t in weights.items() if name.startswith(part.prefix)})
        text = lib.CLIPTextConfig(**text_config(part.kind, found))
        assert (text.hidden_size, text.num_hidden_layers, text.num_attention_heads) == {
            "clip_l": (768, 12, 12), "open_clip": (1024, 24, 16), "clip_g": (1280, 32, 20),
        }[part.kind]  # fmt: skip
        projection = found.pop("text_projection.weight", None)
        texts += millions(filled(lambda config=text: lib.CLIPTextModel(config), found))
        texts += projection.numel() / 1e6 if projection is not None else 0
    assert texts == pytest.approx(MILLIONS[family][1], abs=0.6)
