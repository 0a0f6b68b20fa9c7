"""Config files of Stable Diffusion 1.5 and SDXL as diffusers wants them, so that `from_single_file` needs no hub.

The values are the published architectures' (CompVis stable-diffusion v1-inference.yaml; Stability generative-models
sd_xl_base.yaml), as diffusers spells them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

__all__ = ["write_config"]

_SCHEDULER = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000,
    "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False, "prediction_type": "epsilon",
}  # fmt: skip
_VAE = {
    "in_channels": 3, "out_channels": 3, "latent_channels": 4, "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2, "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
    "norm_num_groups": 32, "sample_size": 512,
}  # fmt: skip
_CLIP_L = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "max_position_embeddings": 77, "hidden_act": "quick_gelu", "projection_dim": 768,
    "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 1,
}  # fmt: skip
_CLIP_G = _CLIP_L | {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "hidden_act": "gelu", "projection_dim": 1280,
}  # fmt: skip
_UNET_15 = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "cross_attention_dim": 768, "attention_head_dim": 8, "norm_num_groups": 32, "sample_size": 64,
}  # fmt: skip
_UNET_XL = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816, "norm_num_groups": 32, "sample_size": 128,
}  # fmt: skip


def write_config(family: str, tokenizer: Path, folder: Path) -> Path:
    """`family` is `sd15` or `sdxl`; `tokenizer` a folder with CLIP's vocabulary. Returns `folder`."""
    large = family == "sdxl"
    parts: dict[str, tuple[str, str, dict[str, Any]]] = {
        "scheduler": ("diffusers", "EulerDiscreteScheduler", _SCHEDULER),
        "unet": ("diffusers", "UNet2DConditionModel", _UNET_XL if large else _UNET_15),
        "vae": ("diffusers", "AutoencoderKL", _VAE | {"scaling_factor": 0.13025 if large else 0.18215}),
        "text_encoder": ("transformers", "CLIPTextModel", _CLIP_L),
    }
    if large:
        parts["text_encoder_2"] = ("transformers", "CLIPTextModelWithProjection", _CLIP_G)
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if large else "StableDiffusionPipeline",
        "safety_checker": [None, None], "feature_extractor": [None, None], "image_encoder": [None, None],
    }  # fmt: skip
    for name, (library, kind, config) in parts.items():
        (folder / name).mkdir(parents=True)
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        (folder / name / file).write_text(json.dumps({"_class_name": kind, **config}))
        index[name] = [library, kind]
    for name in ("tokenizer", "tokenizer_2") if large else ("tokenizer",):
        shutil.copytree(tokenizer, folder / name)
        index[name] = ["transformers", "CLIPTokenizer"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
