"""Beginnings for what people train, as the guide has them; everything else stays at sd-scripts' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules

__all__ = ["PRESETS", "Preset", "preset"]

Preset = Literal["character", "style", "concept", "photo"]

_ALL: Mapping[str, Any] = {
    "network_dim": 16, "network_alpha": 8.0, "unet_lr": 1e-4, "text_encoder_lr": 5e-5, "lr_scheduler": "cosine",
    "lr_warmup_steps": 0.05, "max_train_epochs": 10, "save_every_n_epochs": 1, "min_snr_gamma": 5.0,
    "cache_latents": True, "gradient_checkpointing": True,
}  # fmt: skip
_OWN: Mapping[Preset, Mapping[str, Any]] = {
    # A character is its trigger word, so the text encoder learns it, too.
    "character": {"clip_skip": 2},
    # A style is everywhere: more room, slower, and words keep their meaning.
    "style": {"clip_skip": 2, "network_dim": 32, "network_alpha": 16.0, "text_encoder_lr": 2e-5, "noise_offset": 0.03},
    "concept": {},
    # Photographs live from their light and shade.
    "photo": {"unet_lr": 8e-5, "noise_offset": 0.05},
}
_CAPTIONS: Mapping[Preset, Mapping[str, Any]] = {
    # Mirrored characters lose their parting and their scar.
    "character": {"shuffle_caption": True, "keep_tokens": 1},
    "style": {"shuffle_caption": True, "keep_tokens": 1, "flip_aug": True, "caption_dropout_rate": 0.05},
    "concept": {"shuffle_caption": True, "keep_tokens": 1, "flip_aug": True},
    # Sentences, whose order matters.
    "photo": {},
}


def preset(name: Preset) -> tuple[Parameters, DatasetRules, SubsetRules]:
    """512 px in buckets, two pictures at once: for SD 1.x on a card of 8 GB."""
    rules = DatasetRules(enable_bucket=True, batch_size=2)
    return Parameters.model_validate({**_ALL, **_OWN[name]}), rules, SubsetRules.model_validate(_CAPTIONS[name])


PRESETS: tuple[Preset, ...] = get_args(Preset)
