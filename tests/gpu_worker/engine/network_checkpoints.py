"""Checkpoints of random weights with the module names of SD 1.x, SD 2.x and SDXL, a few channels wide."""

from pathlib import Path

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, TextEncoder
from gpu_worker.engine.checkpoints.folder import load_tokenizer
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.device import Device
from gpu_worker.engine.sampling.sigmas import SigmaTable

TOKENIZER = Path(__file__).parents[3] / "data" / "demo" / "sd-mini" / "tokenizer"
CONTEXT = {"sd1": 24, "sd2": 40, "sdxl": 24 + 40}


def unet(family, in_channels=4):
    """Levels, layers, attention and depth of the real one; widths of 8 to 16."""
    xl = family == "sdxl"
    levels = 3 if xl else 4
    attends = (False, True, True) if xl else (True, True, True, False)
    config = {
        "sample_size": 8,
        "in_channels": in_channels,
        "block_out_channels": (8, 16, 16, 16)[:levels],
        "layers_per_block": 2,
        "down_block_types": tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        "up_block_types": tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        "transformer_layers_per_block": (1, 2, 3) if xl else 1,
        "cross_attention_dim": CONTEXT[family],
        "attention_head_dim": 2,
        "norm_num_groups": 4,
        "use_linear_projection": family != "sd1",
    }
    if xl:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 88,
        }
    return libraries().UNet2DConditionModel(**config)


def text_model(width, projects=False, layers=2):
    lib = libraries()
    config = lib.CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        projection_dim=width,
        bos_token_id=49406,
        eos_token_id=49407,
    )
    if not projects:
        return lib.CLIPTextModel(config)
    from transformers import CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(config)


def small(family, *, in_channels=4, dtype=torch.float32, seed=0):
    """`vae` is left out."""
    torch.manual_seed(seed)
    tokenizer = load_tokenizer(TOKENIZER)
    models = {
        "sd1": [("clip_l", text_model(24))],
        "sd2": [("open_clip", text_model(40))],
        "sdxl": [("clip_l", text_model(24)), ("clip_g", text_model(40, projects=True))],
    }[family]
    encoders = tuple(TextEncoder(kind, _still(model, dtype), tokenizer, 0) for kind, model in models)
    return Checkpoint(
        name=f"small-{family}",
        family=family,
        unet=_still(unet(family, in_channels), dtype),
        vae=None,
        text_encoders=encoders,
        latent_scale=0.18215,
        table=SigmaTable.scaled_linear(),
        device=Device.choose("cpu"),
    )


def _still(network, dtype):
    return network.to(dtype).eval().requires_grad_(False)


def weights(checkpoint):
    """Every weight by network and name, copied."""
    networks = {"unet": checkpoint.unet} | {f"text{i}": e.model for i, e in enumerate(checkpoint.text_encoders)}
    return {
        (network, name): tensor.clone()
        for network, module in networks.items()
        for name, tensor in module.state_dict().items()
    }
