"""What a trained file says of how it was made: sd-scripts' `ss_*` (behaviours §24.6). All values are texts."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.language.training.steps import Length

__all__ = ["DatasetFacts", "FolderFacts", "RunFacts", "training_metadata"]

MINIMUM = (
    "ss_network_module",
    "ss_network_dim",
    "ss_network_alpha",
    "ss_network_args",
    "ss_base_model_version",
    "ss_v2",
)
"""What `no_metadata` leaves."""

_ARCHITECTURES = {"sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2-512", "sdxl": "stable-diffusion-xl-v1-base"}
VERSIONS = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}


@dataclass(frozen=True)
class FolderFacts:
    name: str
    repeats: int
    is_reg: bool
    rules: SubsetRules
    captions: Sequence[str]


@dataclass(frozen=True)
class DatasetFacts:
    rules: DatasetRules
    folders: Sequence[FolderFacts]
    buckets: Mapping[tuple[int, int], int]
    """Pictures, repeats counted, of each size."""
    mean_ar_error: float


@dataclass(frozen=True)
class RunFacts:
    """`family` is sd1, sd2 or sdxl."""

    session: str
    started_at: float
    finished_at: float
    output_name: str
    family: str
    predicts_v: bool
    checkpoint: str
    checkpoint_sha256: str | None
    vae: str | None
    epoch: int
    step: int
    checkpoint_old_hash: str | None = None
    """A1111's before sha256: 8 digits."""
    vae_sha256: str | None = None
    vae_old_hash: str | None = None


def training_metadata(
    parameters: Parameters, length: Length, datasets: Sequence[DatasetFacts], run: RunFacts
) -> dict[str, str]:
    """A value that was not given is the text `None`, as sd-scripts writes it."""
    unet_lr, text_lr = parameters.rates
    counts = [
        sum(len(folder.captions) * folder.repeats for one in datasets for folder in one.folders if folder.is_reg is reg)
        for reg in (False, True)
    ]
    batch = datasets[0].rules.batch_size
    found: dict[str, Any] = {
        "ss_session_id": run.session,
        "ss_training_started_at": run.started_at,
        "ss_training_finished_at": run.finished_at,
        "ss_output_name": run.output_name,
        "ss_learning_rate": parameters.learning_rate,
        "ss_unet_lr": unet_lr,
        "ss_text_encoder_lr": text_lr,
        "ss_num_train_images": counts[0],
        "ss_num_reg_images": counts[1],
        "ss_num_batches_per_epoch": length.batches_per_epoch,
        "ss_num_epochs": length.epochs,
        "ss_epoch": run.epoch,
        "ss_steps": run.step,
        "ss_batch_size_per_device": batch,
        "ss_total_batch_size": batch * parameters.gradient_accumulation_steps,
        "ss_gradient_checkpointing": parameters.gradient_checkpointing,
        "ss_gradient_accumulation_steps": parameters.gradient_accumulation_steps,
        "ss_max_train_steps": length.total_steps,
        "ss_lr_warmup_steps": parameters.warmup_steps(length.total_steps),
        "ss_lr_scheduler": parameters.lr_scheduler,
        "ss_network_module": parameters.network_module,
        "ss_network_dim": parameters.network_dim,
        "ss_network_alpha": parameters.alpha,
        "ss_network_dropout": parameters.network_dropout,
        "ss_network_args": json.dumps(_network_args(parameters)),
        "ss_mixed_precision": parameters.mixed_precision,
        "ss_full_fp16": False,
        "ss_v2": run.family == "sd2",
        "ss_base_model_version": VERSIONS[run.family] + ("_v" if run.predicts_v and run.family == "sd2" else ""),
        "ss_clip_skip": parameters.clip_skip,
        "ss_max_token_length": parameters.max_token_length,
        "ss_cache_latents": parameters.cache_latents,
        "ss_seed": parameters.seed,
        "ss_noise_offset": parameters.noise_offset,
        "ss_training_comment": parameters.training_comment,
        "ss_optimizer": parameters.optimizer_type,
        "ss_max_grad_norm": parameters.max_grad_norm,
        "ss_prior_loss_weight": parameters.prior_loss_weight,
        "ss_min_snr_gamma": parameters.min_snr_gamma,
        "ss_loss_type": "l2",
        "ss_zero_terminal_snr": False,
        "ss_sd_model_name": run.checkpoint,
        "ss_sd_model_hash": run.checkpoint_old_hash,
        "ss_new_sd_model_hash": run.checkpoint_sha256,
        "ss_vae_name": run.vae,
        "ss_vae_hash": run.vae_old_hash,
        "ss_new_vae_hash": run.vae_sha256,
    } | _datasets(datasets)
    found |= _model_spec(parameters, datasets, run)
    if parameters.no_metadata:
        found = {key: found[key] for key in MINIMUM}
    optional = {"ss_sd_model_hash", "ss_new_sd_model_hash", "ss_vae_name", "ss_vae_hash", "ss_new_vae_hash"}
    return {key: str(value) for key, value in found.items() if value is not None or key not in optional}


def _model_spec(parameters: Parameters, datasets: Sequence[DatasetFacts], run: RunFacts) -> dict[str, Any]:
    """The common part of all models' metadata, version 1.0.0 of its specification."""
    wide, high = datasets[0].rules.resolution
    architecture = _ARCHITECTURES[run.family]
    if run.family == "sd2" and run.predicts_v:
        architecture = "stable-diffusion-v2-768-v"
    when = datetime.datetime.fromtimestamp(run.finished_at, datetime.UTC)
    found: dict[str, Any] = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": run.output_name,
        "modelspec.resolution": f"{wide}x{high}",
        "modelspec.date": when.replace(tzinfo=None).isoformat(timespec="seconds"),
    }
    if run.family != "sdxl":
        found["modelspec.prediction_type"] = "v" if run.predicts_v else "epsilon"
    if run.family == "sd1" and parameters.clip_skip is not None:
        found["modelspec.encoder_layer"] = parameters.clip_skip
    return found


def _network_args(parameters: Parameters) -> dict[str, str]:
    given = {
        "algo": parameters.algo if parameters.network_module == "lycoris.kohya" else None,
        "conv_dim": parameters.conv_dim,
        "conv_alpha": parameters.conv_alpha,
        "factor": parameters.factor if parameters.algo == "lokr" else None,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _datasets(datasets: Sequence[DatasetFacts]) -> dict[str, Any]:
    if len(datasets) > 1:
        return {
            "ss_datasets": json.dumps([_dataset(one) for one in datasets]),
            "ss_tag_frequency": json.dumps({k: v for one in datasets for k, v in _frequency(one).items()}),
            "ss_dataset_dirs": json.dumps({k: v for one in datasets for k, v in _dirs(one, reg=False).items()}),
        }
    (one,) = datasets
    found = {f"ss_{key}": value for key, value in _dataset(one).items()}
    found["ss_resolution"] = str(one.rules.resolution)
    for key in ("bucket_info", "dataset_dirs", "reg_dataset_dirs", "tag_frequency"):
        found[f"ss_{key}"] = json.dumps(found[f"ss_{key}"])
    return found


def _dataset(one: DatasetFacts) -> dict[str, Any]:
    rules, captions = one.rules, one.folders[0].rules
    return {
        "resolution": list(rules.resolution),
        "flip_aug": captions.flip_aug,
        "color_aug": False,
        "random_crop": captions.random_crop,
        "shuffle_caption": captions.shuffle_caption,
        "keep_tokens": captions.keep_tokens,
        "caption_dropout_rate": captions.caption_dropout_rate,
        "caption_dropout_every_n_epochs": captions.caption_dropout_every_n_epochs,
        "caption_tag_dropout_rate": captions.caption_tag_dropout_rate,
        "enable_bucket": rules.enable_bucket,
        "bucket_no_upscale": rules.bucket_no_upscale,
        "min_bucket_reso": rules.min_bucket_reso,
        "max_bucket_reso": rules.max_bucket_reso,
        "bucket_info": {
            "buckets": {
                str(place): {"resolution": list(size), "count": one.buckets[size]}
                for place, size in enumerate(sorted(one.buckets))
            },
            "mean_img_ar_error": one.mean_ar_error,
        },
        "dataset_dirs": _dirs(one, reg=False),
        "reg_dataset_dirs": _dirs(one, reg=True),
        "tag_frequency": _frequency(one),
    }


def _dirs(one: DatasetFacts, *, reg: bool) -> dict[str, dict[str, int]]:
    return {
        folder.name: {"n_repeats": folder.repeats, "img_count": len(folder.captions)}
        for folder in one.folders
        if folder.is_reg is reg
    }


def _frequency(one: DatasetFacts) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for folder in one.folders:
        separator = folder.rules.caption_separator
        tags = [tag.strip().lower() for caption in folder.captions for tag in caption.split(separator)]
        found[folder.name] = dict(Counter(tag for tag in tags if tag))
    return found
