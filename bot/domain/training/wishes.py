"""What somebody puts together on the desk of a training, by kohya's names, and how it begins and changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.models import AUTOMATIC_VAE
from gpu_worker.language.training.config import Config
from gpu_worker.language.training.config_errors import ConfigError, validated
from gpu_worker.language.training.parameters import RESOLUTION_MAX_PX, DatasetRules, Parameters, SubsetRules
from gpu_worker.language.training.presets import PRESETS, Preset, preset
from gpu_worker.protocol.messages import ModelFact

__all__ = ["NAME_CHARS_MAX", "SAMPLES_MAX", "Part", "TrainingWish", "changed", "configured", "first_wish", "fitted"]

SAMPLES_MAX = 4
NAME_CHARS_MAX = 60
"""Of the file: behind it comes `-step00000500`, and prompts call it by its name."""
FALLBACK_PX = 512
MINIATURE_PX = 256
MINIATURE_RATES = {"unet_lr": 10, "text_encoder_lr": 4}
"""Times those of a preset, beside a checkpoint as small as the demo's: with a preset's own rates 300 steps taught it a
figure's colours alone, with these the figure (15 pictures of `bench.character`)."""
LEAST_PX = 64

Part = Literal["parameters", "rules", "subset"]
"""Of the training itself, of how pictures become batches, of captions."""


class TrainingWish(BaseModel):
    """`vae` as in `Drawing`. `parameters.seed` None is drawn when it starts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset_id: str = ""
    checkpoint: str = ""
    vae: str = AUTOMATIC_VAE
    preset: str = "character"
    """`file` once a configuration file was read."""
    name: str = Field(default="", max_length=200)
    trigger: str = Field(default="", max_length=200)
    parameters: Parameters
    rules: DatasetRules
    subset: SubsetRules
    samples: tuple[str, ...] | None = None
    """Lines as sd-scripts has them; None: those that the trigger word makes."""
    private: bool = False
    compare: bool = True
    """Its epochs are compared by themselves when it is done."""
    retry_of: str | None = None


def first_wish(name: Preset, checkpoint: ModelFact | None = None) -> TrainingWish:
    """A preset at the size that the checkpoint draws at."""
    parameters, rules, subset = preset(name)
    wish = TrainingWish(preset=name, parameters=parameters, rules=rules, subset=subset)
    return wish if checkpoint is None else fitted(wish, checkpoint)


def fitted(wish: TrainingWish, checkpoint: ModelFact) -> TrainingWish:
    """With that base, and pictures of its native size: buckets reach from half of it to twice as much. A preset's own
    rates are raised beside a miniature, and lowered again."""
    side = max(LEAST_PX, min(RESOLUTION_MAX_PX, (checkpoint.native_px or FALLBACK_PX) // LEAST_PX * LEAST_PX))
    step = 64 if side >= FALLBACK_PX else 32
    sizes = {
        "resolution": (side, side), "min_bucket_reso": max(LEAST_PX, side // 2),
        "max_bucket_reso": min(RESOLUTION_MAX_PX, side * 2), "bucket_reso_steps": step,
    }  # fmt: skip
    miniature = side <= MINIATURE_PX
    parameters = _rated(wish, miniature=miniature)
    draws_with_one = miniature or (checkpoint.defaults or {}).get("clip_skip") == 1
    if parameters.clip_skip == 2 and (checkpoint.family != "sd1" or draws_with_one):
        # The second last layer is a custom of SD 1.x' anime family; what is learnt there is drawn there.
        parameters = parameters.model_copy(update={"clip_skip": None})
    rules = wish.rules.model_copy(update=sizes)
    return wish.model_copy(update={"checkpoint": checkpoint.name, "rules": rules, "parameters": parameters})


def _rated(wish: TrainingWish, *, miniature: bool) -> Parameters:
    """Rates that somebody chose stay."""
    name: Preset | None = next((one for one in PRESETS if one == wish.preset), None)
    if name is None:
        return wish.parameters
    usual, _, _ = preset(name)
    full = {"unet_lr": usual.unet_lr, "text_encoder_lr": usual.text_encoder_lr}
    small = {key: rate and round(rate * MINIATURE_RATES[key], 9) for key, rate in full.items()}
    given = {key: getattr(wish.parameters, key) for key in full}
    if given not in (full, small):
        return wish.parameters
    return wish.parameters.model_copy(update=small if miniature else full)


def changed(wish: TrainingWish, changes: Mapping[tuple[Part, str], Any]) -> TrainingWish:
    """With other values; what is given as None goes back to sd-scripts' own. Raises ConfigError for the first that is
    not possible."""
    update: dict[str, Any] = {}
    for part, model in _MODELS.items():
        own = {key: value for (of, key), value in changes.items() if of == part}
        if not own:
            continue
        before: dict[str, Any] = getattr(wish, part).model_dump()
        kept = {key: value for key, value in before.items() if key not in own}
        given = {key: value for key, value in own.items() if value is not None}
        update[part] = validated(model, kept | given)
    after = wish.model_copy(update=update)
    if after.parameters.cache_latents and after.subset.random_crop:
        raise ConfigError("random_crop", "cannot be had of cached latents", "Take one of the two away.")
    return after


def configured(wish: TrainingWish, config: Config) -> TrainingWish:
    """With everything that a configuration file says: what it leaves out is sd-scripts' own."""
    update: dict[str, Any] = {
        "preset": "file", "parameters": config.parameters, "rules": config.dataset, "subset": config.subset,
    }  # fmt: skip
    if name := config.places.get("output_name", "").strip():
        update["name"] = name
    return wish.model_copy(update=update)


_MODELS: Mapping[Part, type[BaseModel]] = {"parameters": Parameters, "rules": DatasetRules, "subset": SubsetRules}
