"""Parameters of a training, by sd-scripts' names and with its defaults (behaviours §24.4).

Types are strict (a switch is no number), numbers are finite and bounded, and one that would do nothing beside the
others is refused: ValidationError, whose words begin with the key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "RESOLUTION_MAX_PX", "DatasetRules", "NetworkAlgorithm", "Optimizer", "Parameters", "Scheduler", "SubsetRules",
]  # fmt: skip

RESOLUTION_MAX_PX = 2048
SEED_MAX = 2**32 - 1
"""numpy's, and so sd-scripts' own bound."""
TEXT_MAX = 1000

Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]
Number = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(strict=True, ge=0, le=10, allow_inf_nan=False)]
"""Prodigy wants 1."""
Text = Annotated[str, Field(max_length=TEXT_MAX)]
Switch = Annotated[bool, Field(strict=True)]
Side = Annotated[int, Field(strict=True, ge=64, le=RESOLUTION_MAX_PX)]
Positive = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]

Optimizer = Literal["AdamW", "AdamW8bit", "Lion", "Prodigy"]
Scheduler = Literal["linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"]
NetworkAlgorithm = Literal["lora", "loha", "lokr"]
Precision = Literal["no", "fp16", "bf16"]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SubsetRules(_Rules):
    """How the captions and pictures of one folder are read."""

    shuffle_caption: Switch = False
    caption_separator: str = Field(default=",", min_length=1, max_length=16)
    keep_tokens: Count = 0
    keep_tokens_separator: str = Field(default="", max_length=16)
    secondary_separator: str = Field(default="", max_length=16)
    enable_wildcard: Switch = False
    caption_prefix: Text = ""
    caption_suffix: Text = ""
    caption_dropout_rate: Rate = 0.0
    caption_dropout_every_n_epochs: Count = 0
    caption_tag_dropout_rate: Rate = 0.0
    token_warmup_min: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    token_warmup_step: Number = 0.0
    """Below 1 a share of all steps."""
    flip_aug: Switch = False
    """Half of the time a picture is seen mirrored."""
    random_crop: Switch = False
    """What is over is cut off anywhere and not in equal parts; not with cached latents."""


class DatasetRules(_Rules):
    """How the pictures of one data set become batches."""

    resolution: tuple[Side, Side] = (512, 512)
    """Width and height."""
    batch_size: Annotated[int, Field(strict=True, ge=1, le=64)] = 1
    enable_bucket: Switch = False
    min_bucket_reso: Side = 256
    max_bucket_reso: Side = 1024
    bucket_reso_steps: Annotated[int, Field(strict=True, ge=8, le=256, multiple_of=8)] = 64
    bucket_no_upscale: Switch = False

    @model_validator(mode="after")
    def _possible(self) -> DatasetRules:
        if any(side % 8 for side in self.resolution):
            raise ValueError("resolution: both sides have to be multiples of 8")
        if self.enable_bucket and not self.bucket_no_upscale:
            if self.min_bucket_reso > min(self.resolution):
                raise ValueError("min_bucket_reso: has to be at most the resolution")
            if self.max_bucket_reso < max(self.resolution):
                raise ValueError("max_bucket_reso: has to be at least the resolution")
        return self


class Parameters(_Rules):
    """Of the training itself."""

    network_module: Literal["networks.lora", "lycoris.kohya"] = "networks.lora"
    algo: NetworkAlgorithm = "lora"
    """In sd-scripts one of `network_args`, as are the next three."""
    conv_dim: Annotated[int, Field(strict=True, ge=1, le=512)] | None = None
    """Rank in 3x3 convolutions; None leaves them alone."""
    conv_alpha: Number | None = None
    factor: Annotated[int, Field(strict=True, ge=-1, le=512)] = -1
    """LoKr's: how a weight is cut in two; -1 as evenly as it can be."""
    network_dim: Annotated[int, Field(strict=True, ge=1, le=512)] = 4
    network_alpha: Number = 1.0
    """0 is as much as the rank."""
    network_dropout: Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)] | None = None
    network_train_unet_only: Switch = False
    network_train_text_encoder_only: Switch = False
    learning_rate: LearningRate = 2e-6
    unet_lr: LearningRate | None = None
    text_encoder_lr: LearningRate | None = None
    """None takes `learning_rate`; 0 leaves the part alone."""
    optimizer_type: Optimizer = "AdamW"
    weight_decay: Number | None = None
    """In sd-scripts one of `optimizer_args`, as are the next two; None takes the optimizer's own."""
    betas: tuple[Rate, Rate] | None = None
    d_coef: Annotated[float, Field(strict=True, gt=0, le=100, allow_inf_nan=False)] | None = None
    """Prodigy's: a factor of the rate that it finds."""
    lr_scheduler: Scheduler = "constant"
    lr_warmup_steps: Number = 0.0
    """Below 1 a share of all steps."""
    lr_scheduler_num_cycles: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    lr_scheduler_power: Annotated[float, Field(strict=True, gt=0, le=10, allow_inf_nan=False)] = 1.0
    max_train_epochs: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = None
    max_train_steps: Positive = 1600
    """Only without `max_train_epochs`."""
    gradient_accumulation_steps: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    gradient_checkpointing: Switch = False
    mixed_precision: Precision = "no"
    save_precision: Literal["float", "fp16", "bf16"] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=SEED_MAX)] | None = None
    """Drawn before a job is stored, where it was not said."""
    clip_skip: Annotated[int, Field(strict=True, ge=1, le=12)] | None = None
    max_token_length: Literal[75, 150, 225] = 75
    noise_offset: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = None
    min_snr_gamma: Annotated[float, Field(strict=True, gt=0, le=1000, allow_inf_nan=False)] | None = None
    max_grad_norm: Number = 1.0
    """0 does not clip."""
    prior_loss_weight: Number = 1.0
    cache_latents: Switch = False
    save_every_n_epochs: Positive | None = None
    save_every_n_steps: Positive | None = None
    save_last_n_epochs: Positive | None = None
    save_last_n_steps: Positive | None = None
    training_comment: Text = ""
    no_metadata: Switch = False

    @property
    def rates(self) -> tuple[float, float]:
        """Of the UNet and of the text encoders; 0 where a part is not trained."""
        unet = self.learning_rate if self.unet_lr is None else self.unet_lr
        text = self.learning_rate if self.text_encoder_lr is None else self.text_encoder_lr
        return 0.0 if self.network_train_text_encoder_only else unet, 0.0 if self.network_train_unet_only else text

    @property
    def alpha(self) -> float:
        return self.network_alpha or float(self.network_dim)

    def warmup_steps(self, total: int) -> int:
        return int(self.lr_warmup_steps * total) if self.lr_warmup_steps < 1 else int(self.lr_warmup_steps)

    @model_validator(mode="after")
    def _sensible(self) -> Parameters:
        for key, why in _contradictions(self):
            raise ValueError(f"{key}: {why}")
        return self


def _contradictions(given: Parameters) -> list[tuple[str, str]]:
    """Keys that would do nothing, and why."""
    checks: list[tuple[Any, str, str]] = [
        (
            given.network_train_unet_only and given.network_train_text_encoder_only,
            "network_train_unet_only", "leaves nothing to train beside network_train_text_encoder_only",
        ),
        (not any(given.rates), "learning_rate", "is 0 for all that is trained, so nothing would be learnt"),
        (
            given.algo != "lora" and given.network_module != "lycoris.kohya",
            "network_args", f"algo={given.algo} needs network_module = \"lycoris.kohya\"",
        ),
        (
            given.conv_alpha is not None and given.conv_dim is None,
            "network_args", "conv_alpha needs conv_dim",
        ),
        (given.factor != -1 and given.algo != "lokr", "network_args", "factor needs algo=lokr"),
        (
            given.network_dropout is not None and given.algo != "lora",
            "network_dropout", "is there for plain LoRAs only; leave it out",
        ),
        (
            given.d_coef is not None and given.optimizer_type != "Prodigy",
            "optimizer_args", "d_coef needs optimizer_type = \"Prodigy\"",
        ),
        (
            given.optimizer_type == "Prodigy" and len({rate for rate in given.rates if rate}) > 1,
            "unet_lr", "has to be text_encoder_lr for Prodigy, which finds one rate; 1.0 is usual",
        ),
        (
            given.save_last_n_epochs is not None and given.save_every_n_epochs is None,
            "save_last_n_epochs", "needs save_every_n_epochs",
        ),
        (
            given.save_last_n_steps is not None and given.save_every_n_steps is None,
            "save_last_n_steps", "needs save_every_n_steps",
        ),
    ]  # fmt: skip
    return [(key, why) for wrong, key, why in checks if wrong]
