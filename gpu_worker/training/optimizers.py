"""Optimizers and learning rates by sd-scripts' names, from torch, pytorch-optimizer, bitsandbytes and diffusers.

AdamW: Loshchilov and Hutter (2019). Lion: Chen et al. (2023). Prodigy: Mishchenko and Defazio (2023).
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import torch

from gpu_worker.language.training.parameters import Parameters
from gpu_worker.training.network import TrainedNetwork
from gpu_worker.training.refusals import refusal

__all__ = ["make_optimizer", "make_scheduler"]


def make_optimizer(network: TrainedNetwork, given: Parameters, device: torch.device) -> torch.optim.Optimizer:
    """Two groups at most: text encoders, UNet, each with its rate. Raises EngineError `bad_input` (`no_8bit`)."""
    unet_lr, text_lr = given.rates
    parts = ((network.parameters("text"), text_lr), (network.parameters("unet"), unet_lr))
    groups: Any = [{"params": parameters, "lr": rate} for parameters, rate in parts if parameters]
    options: dict[str, Any] = {"lr": max(unet_lr, text_lr)}
    if given.weight_decay is not None:
        options["weight_decay"] = given.weight_decay
    if given.betas is not None:
        options["betas"] = given.betas
    if given.d_coef is not None:
        options["d_coef"] = given.d_coef
    return _kind(given, device)(groups, **options)


def make_scheduler(optimizer: torch.optim.Optimizer, given: Parameters, total_steps: int) -> Any:
    from diffusers.optimization import get_scheduler

    return get_scheduler(
        given.lr_scheduler,
        optimizer,
        num_warmup_steps=given.warmup_steps(total_steps),
        num_training_steps=total_steps,
        num_cycles=given.lr_scheduler_num_cycles,
        power=given.lr_scheduler_power,
    )


def _kind(given: Parameters, device: torch.device) -> Any:
    if given.optimizer_type == "AdamW":
        return torch.optim.AdamW
    if given.optimizer_type == "AdamW8bit":
        if device.type != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
            raise refusal("no_8bit")
        import bitsandbytes  # pyright: ignore[reportMissingImports] (where the operator installed it)

        return bitsandbytes.optim.AdamW8bit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pytorch_optimizer
    return pytorch_optimizer.Lion if given.optimizer_type == "Lion" else pytorch_optimizer.Prodigy
