"""The heavy libraries, imported when the first checkpoint is loaded and told to be quiet.

They take seconds to import, so nothing else in the engine imports them at module level.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Any

__all__ = ["Libraries", "libraries"]


@dataclass(frozen=True)
class Libraries:
    UNet2DConditionModel: Any
    AutoencoderKL: Any
    CLIPTextModel: Any
    CLIPTextModelWithProjection: Any
    CLIPTextConfig: Any
    CLIPTokenizer: Any
    convert_unet: Any
    convert_vae: Any
    empty_weights: Any
    """A context in which networks are built without memory for their weights."""
    no_init: Any
    """A context in which they are built without filling them with random numbers."""


@functools.cache
def libraries() -> Libraries:
    """diffusers, transformers and accelerate, without progress bars, advice or log lines on the operator's screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say of each other while loading is not the operator's business
        from accelerate import init_empty_weights
        from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
        from diffusers.utils import logging as diffusers_logging
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
        from transformers.initialization import no_init_weights
        from transformers.utils import logging as transformers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    return Libraries(
        UNet2DConditionModel,
        AutoencoderKL,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTextConfig,
        CLIPTokenizer,
        convert_ldm_unet_checkpoint,
        convert_ldm_vae_checkpoint,
        init_empty_weights,
        no_init_weights,
    )
