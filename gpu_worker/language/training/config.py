"""Reads sd-scripts' configuration file: TOML, whose tables only group, with its command line's names (§24.4)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gpu_worker.language.training.arguments import network_arguments, optimizer_arguments
from gpu_worker.language.training.config_errors import ConfigError, is_finite, unknown_key, validated
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules

__all__ = ["BYTES_MAX", "TEXT_KEYS", "Config", "dataset_values", "parse_toml", "read_config"]

BYTES_MAX = 1 << 20

PLACES = (
    "pretrained_model_name_or_path", "vae", "train_data_dir", "reg_data_dir", "dataset_config", "output_dir",
    "output_name", "sample_prompts", "sample_sampler", "caption_extension",
)  # fmt: skip
"""Texts that say where something lies, or what it is called."""

ONLY_AS: Mapping[str, tuple[object, ...]] = {
    "lr_scheduler_args": ("", ()), "noise_offset_type": ("Original",),
    "save_model_as": ("safetensors",), "loss_type": ("l2",), "max_token_length": (75, 150, 225),
    "max_timestep": (1000, 0, ""),
} | dict.fromkeys(
    (
        "color_aug", "face_crop_aug_range", "scale_weight_norms", "adaptive_noise_scale", "multires_noise_iterations",
        "ip_noise_gamma", "zero_terminal_snr", "v_pred_like_loss", "debiased_estimation_loss", "weighted_captions",
        "network_weights", "dim_from_weights", "full_fp16", "full_bf16", "fp8_base", "masked_loss", "alpha_mask",
        "in_json", "resume", "save_last_n_epochs_state", "save_last_n_steps_state", "base_weights",
        "ip_noise_gamma_random_strength", "noise_offset_random_strength", "deepspeed",
        "scale_v_pred_loss_like_noise_pred", "min_timestep", "network_train_norm", "skip_until_initial_step",
        "lr_scheduler_type",
    ),
    (False, 0, "", None),
)  # fmt: skip
"""What we do not do, and the values that ask for nothing."""

PASSED_OVER = frozenset(
    (
        "xformers", "sdpa", "mem_eff_attn", "lowram", "highvram", "no_half_vae", "cache_latents_to_disk",
        "vae_batch_size", "max_data_loader_n_workers", "persistent_data_loader_workers", "logging_dir", "log_with",
        "log_prefix", "log_tracker_name", "wandb_run_name", "console_log_level", "v2", "v_parameterization",
        "save_state", "save_state_on_train_end", "cache_text_encoder_outputs",
        "dataset_repeats", "disable_mmap_load_safetensors", "cache_text_encoder_outputs_to_disk",
        "skip_cache_check", "torch_compile", "metadata_title", "metadata_author",
        "dynamo_backend", "dynamo_mode", "huber_c", "huber_scale", "huber_schedule", "multires_noise_discount", "epoch",
        "log_config", "wandb_api_key", "num_cpu_threads_per_process", "num_processes", "num_machines",
        "metadata_description", "metadata_license", "metadata_tags", "tokenizer_cache_dir", "ddp_timeout",
    )
)  # fmt: skip
"""About the machine or the run, not about what is learnt; or read off the checkpoint here; or of what is refused
elsewhere where it is wanted (huber_c without huber); or kohya_ss' own notes of what other keys say."""

_INSIDE_LISTS = ("algo", "conv_dim", "conv_alpha", "factor", "weight_decay", "betas", "d_coef")
_OWN = frozenset(Parameters.model_fields) - set(_INSIDE_LISTS)
_DATASET = frozenset(DatasetRules.model_fields) | {"train_batch_size"}
_SUBSET = frozenset(SubsetRules.model_fields)
_LISTS = frozenset({"network_args", "optimizer_args", "use_8bit_adam"})
_SAMPLES = ("sample_every_n_epochs", "sample_every_n_steps")
TEXT_KEYS = frozenset(PLACES) | {
    name
    for model in (Parameters, DatasetRules, SubsetRules)
    for name, about in model.model_fields.items()
    if about.annotation is str
}
"""What is a text even where it looks like a number."""
_ALL = _OWN | _DATASET | _SUBSET | _LISTS | {*_SAMPLES, "sample_at_first"} | set(PLACES) | set(ONLY_AS) | PASSED_OVER


@dataclass(frozen=True)
class Config:
    parameters: Parameters
    dataset: DatasetRules
    """For the data set of `train_data_dir`, and what a data set of its own file does not say."""
    subset: SubsetRules
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    sample_every_n_epochs: int | None = None
    sample_every_n_steps: int | None = None
    sample_at_first: bool = False
    passed_over: tuple[str, ...] = ()
    """Keys that say nothing here."""


def read_config(text: str, said: Mapping[str, Any] | None = None) -> Config:
    """`said` wins over the file: what a command line says. Raises ConfigError for whatever is unknown, of the wrong
    kind, out of range, or not done here."""
    values = _flat(parse_toml(text)) | dict(said or {})
    for key, value in values.items():
        if key not in _ALL:
            raise unknown_key(key, _ALL)
        if not is_finite(value):
            raise ConfigError(key, f"is {value} and no number", "Give it a number, or leave it out.")
        if key in ONLY_AS and (() if value == [] else value) not in ONLY_AS[key]:
            raise ConfigError(key, f"cannot be {str(value)[:60]!r}: that is not done here", "Take it out of the file.")
    own = {key: values[key] for key in values if key in _OWN}
    if "text_encoder_lr" in own:
        own["text_encoder_lr"] = _one_rate(own["text_encoder_lr"])
    if own.get("min_snr_gamma") == 0:  # sd-scripts' way to say no
        del own["min_snr_gamma"]
    if "network_args" in values:
        own |= network_arguments(values["network_args"])
    if "optimizer_args" in values:
        own |= optimizer_arguments(values["optimizer_args"])
    if values.get("use_8bit_adam") is True:
        own["optimizer_type"] = "AdamW8bit"
    if own.get("cache_latents") and values.get("random_crop"):
        raise ConfigError("random_crop", "cannot be had of cached latents", "Take it or cache_latents out of the file.")
    return Config(
        parameters=validated(Parameters, own),
        dataset=validated(DatasetRules, dataset_values({key: values[key] for key in values if key in _DATASET})),
        subset=validated(SubsetRules, {key: values[key] for key in values if key in _SUBSET}),
        places=_places(values),
        **{key: _every(key, values[key]) for key in _SAMPLES if key in values},
        sample_at_first=_switch("sample_at_first", values.get("sample_at_first", False)),
        passed_over=tuple(sorted(key for key in values if key in PASSED_OVER)),
    )


def parse_toml(text: str) -> dict[str, Any]:
    """Raises ConfigError, whose key is `line` where TOML says which."""
    if len(text.encode("utf-8", "replace")) > BYTES_MAX:
        raise ConfigError("The file", f"is larger than {BYTES_MAX >> 20} MB", "Give one that holds settings alone.")
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        reason = str(error)[:200].rstrip(".") or "its tables are nested too deeply"
        raise ConfigError("The file", f"is no TOML: {reason}", "Mend that place.") from error


def dataset_values(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """With `batch_size` by its name, and `resolution` (512, "512,768", [512, 768]) as two sides."""
    found = dict(values)
    if "train_batch_size" in found:
        found["batch_size"] = found.pop("train_batch_size")
    if "resolution" in found:
        found["resolution"] = _resolution(found["resolution"], where)
    return found


def _resolution(given: Any, where: str) -> tuple[int, int]:
    sides: list[Any] = cast("list[Any]", given) if isinstance(given, list) else [given]
    try:
        if isinstance(given, str):
            sides = [int(part) for part in given.split(",")]
        if all(type(side) is int for side in sides) and 1 <= len(sides) <= 2:
            return sides[0], sides[-1]
    except ValueError:
        pass
    why = f"cannot be {str(cast('object', given))[:60]!r}"
    raise ConfigError("resolution", why, 'Write 512, or "512,768" for width and height.', where)


def _flat(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Without the tables around them, which mean nothing in this file."""
    found: dict[str, Any] = {}
    for key, value in tables.items():
        inner: dict[str, Any] = _flat(cast("dict[str, Any]", value)) if isinstance(value, dict) else {key: value}
        for name, one in inner.items():
            if name in found:
                raise ConfigError(name, "is there twice", "Take one of them out.")
            found[name] = one
    return found


def _every(key: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ConfigError(
            key, f"has to be a whole number from 1 and is {str(value)[:60]}", "Leave it out for no samples."
        )
    return value


def _one_rate(given: Any) -> Any:
    """Newer versions have a list there: one rate, or one for each text encoder."""
    rates = cast("list[Any]", given) if isinstance(given, list) else [given]
    if any(rate != rates[0] for rate in rates):
        raise ConfigError("text_encoder_lr", "has to be one rate for all text encoders", "Write one number.")
    return rates[0] if rates else None


def _switch(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(key, f"has to be true or false and is {str(value)[:60]}", "Leave it out for no.")
    return value


def _places(values: Mapping[str, Any]) -> dict[str, str]:
    for key in PLACES:
        if key in values and not isinstance(values[key], str):
            raise ConfigError(key, "has to be a text", 'Write it in quotation marks: "…".')
    return {key: values[key] for key in PLACES if key in values}
