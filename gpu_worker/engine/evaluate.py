"""Runs the UNet over the rows of one or several calls, in as few batches as their shapes allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from gpu_worker.engine.adapters.beside import NetworksBeside
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.control.residuals import Inputs, residuals
from gpu_worker.engine.guidance import Rows
from gpu_worker.engine.memory import Portions

__all__ = ["evaluate"]

CELLS_AT_ONCE = 32 * 64 * 64
"""Latent cells of one batch on the CPU: 32 rows of 512 px."""


def evaluate(
    checkpoint: Checkpoint, rows: Sequence[Rows], portions: Portions, beside: NetworksBeside
) -> list[torch.Tensor]:
    """The model's answer to each of `rows`, [n, c, h, w] float32. Rows of equal shape share a batch."""
    checkpoint.need("unet")
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, entry in enumerate(rows):
        groups.setdefault(entry.shape, []).append(index)
    answers: dict[int, torch.Tensor] = {}
    for members in groups.values():
        group = [rows[index] for index in members]
        output = _batch(checkpoint, group, portions, beside)
        answers |= zip(members, output.split([len(entry.sample) for entry in group]), strict=True)
    return [answers[index] for index in range(len(rows))]


def _batch(checkpoint: Checkpoint, group: list[Rows], portions: Portions, beside: NetworksBeside) -> torch.Tensor:
    samples = torch.cat([entry.sample for entry in group])
    contexts = torch.cat([entry.context.expand(len(entry.sample), -1, -1) for entry in group])
    device = samples.device
    timesteps = torch.tensor([entry.timestep for entry in group for _ in entry.sample], device=device)
    added: dict[str, torch.Tensor] = {}
    if group[0].pooled is not None:
        added["text_embeds"] = torch.cat([_pooled(entry) for entry in group])
    if group[0].time_ids is not None:
        ids = [entry.time_ids for entry in group for _ in entry.sample]
        added["time_ids"] = torch.tensor(ids, device=device, dtype=samples.dtype)

    slots = zip(*(entry.images for entry in group), strict=True)
    images = [torch.cat([t.expand(len(e.sample), -1, -1) for t, e in zip(s, group, strict=True)]) for s in slots]

    control = [entry.control for entry in group for _ in entry.sample]
    networks = [entry.beside for entry in group for _ in entry.sample]

    def run(places: torch.Tensor) -> torch.Tensor:
        whole = len(places) == len(samples)
        part: Any = (lambda tensor: tensor) if whole else (lambda tensor: tensor[places])
        led: dict[str, Any] = {}
        if any(control):
            own = control if whole else [control[place] for place in places.tolist()]
            given = {key: part(value) for key, value in added.items()}
            inputs = Inputs(part(samples), part(timesteps), part(contexts), given)
            led = residuals(checkpoint, inputs, own)
            checkpoint.need("unet")  # which may have made room for the control models
        with beside.of_rows(networks if whole else [networks[place] for place in places.tolist()]):
            output = checkpoint.unet(
                part(samples),
                part(timesteps),
                # diffusers' image processors read text and pictures from a pair
                encoder_hidden_states=(part(contexts), [part(t) for t in images]) if images else part(contexts),
                added_cond_kwargs={key: part(value) for key, value in added.items()} or None,
                return_dict=False,
                **led,
            )[0]
        return output.float()

    cells = samples.shape[2] * samples.shape[3]
    return portions.run(torch.arange(len(samples), device=device), run, at_most=max(1, CELLS_AT_ONCE // cells))


def _pooled(entry: Rows) -> torch.Tensor:
    assert entry.pooled is not None, "all rows of a checkpoint have it, or none"
    return entry.pooled.expand(len(entry.sample), -1)
