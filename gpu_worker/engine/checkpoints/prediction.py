"""Whether a UNet predicts noise or velocity, and on which noise levels: what files say, and how to find out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.checkpoints.checkpoint import Prediction
from gpu_worker.engine.sampling.sigmas import SigmaTable

__all__ = ["probe_prediction", "stated_prediction", "trained_table", "zero_terminal_snr"]

SIDECAR_LIMIT_BYTES = 1_000_000
LAST_BAR = 4.8973451890853435e-08
"""In place of 0, for which sigma would be infinite; A1111's value."""


def stated_prediction(path: Path, metadata: Mapping[str, str], keys: Mapping[str, Any]) -> Prediction | None:
    """By the configuration beside the file, its metadata (modelspec), or a tensor named `v_pred`; None: not stated."""
    try:
        with path.with_suffix(".yaml").open("rb") as file:
            text = file.read(SIDECAR_LIMIT_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        text = ""
    line = re.search(r"""^\s*parameterization:\s*["']?(\w+)""", text, re.MULTILINE)
    if line or "model.target" in text or re.search(r"^model:", text, re.MULTILINE):
        return "v" if line and line[1] in {"v", "velocity"} else "epsilon"
    said = metadata.get("modelspec.prediction_type", "").lower()
    if said.startswith(("v", "eps")):
        return "v" if said.startswith("v") else "epsilon"
    if "v_pred" in keys:
        return "v"
    architecture = metadata.get("modelspec.architecture", "")
    return "v" if architecture.startswith("stable-diffusion-v2-768-v") else None


@torch.inference_mode()
def probe_prediction(unet: Any) -> Prediction:
    """Stable Diffusion 2's two kinds have equal weights' names; one call tells them apart (behaviours §12.4). `unet` is
    on the CPU in float32."""
    x = torch.full((1, int(unet.config.in_channels), 8, 8), 0.5)
    context = torch.full((1, 2, int(unet.config.cross_attention_dim)), 0.5)
    out = unet(x, torch.tensor([999]), encoder_hidden_states=context, return_dict=False)[0]
    return "v" if float((out - x).mean()) < -1 else "epsilon"


def trained_table(keys: Mapping[str, Any]) -> SigmaTable:
    """Every family's trained noise levels are Stable Diffusion's; a tensor named `ztsnr` says they were rescaled."""
    table = SigmaTable.scaled_linear()
    return zero_terminal_snr(table) if "ztsnr" in keys else table


def zero_terminal_snr(table: SigmaTable) -> SigmaTable:
    """Lin et al., "Common Diffusion Noise Schedules and Sample Steps Are Flawed" (2023), algorithm 1: the square roots
    of abar are shifted so that the last is 0, and scaled so that the first stays."""
    roots = 1 / np.sqrt(1 + table.sigmas**2)
    roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    bars = roots**2
    bars[-1] = LAST_BAR
    return dataclasses.replace(table, sigmas=np.sqrt((1 - bars) / bars))
