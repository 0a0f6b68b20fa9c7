"""What control models add inside the UNet, for the rows of one batch. Rows without control get zeros.

Every network is asked once for all rows that it leads, whoever's they are and whatever their maps.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.control.network import ControlModel
from gpu_worker.engine.control.units import ControlMap

__all__ = ["Inputs", "residuals"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the UNet reads, one row each: the networks read the same."""

    sample: torch.Tensor
    timesteps: torch.Tensor
    context: torch.Tensor
    added: dict[str, torch.Tensor]


def residuals(checkpoint: Checkpoint, inputs: Inputs, control: Sequence[tuple[ControlMap, ...]]) -> dict[str, Any]:
    """Arguments of diffusers' UNet; none where no row is led. `control` is each row's."""
    sums: dict[bool, list[torch.Tensor]] = {}
    for rows, maps in _together(control):
        model = maps[0].opened.model
        t2i = model.loaded.kind == "t2i"
        with _present(model, maps):
            outputs = _features(checkpoint, maps) if t2i else _outputs(inputs, rows, maps)
        places = torch.tensor(rows, device=inputs.sample.device)
        held = sums.setdefault(t2i, [])
        for at, output in enumerate(_weighted(outputs, maps)):
            if at == len(held):
                held.append(output.new_zeros((len(inputs.sample), *output.shape[1:])))
            held[at].index_add_(0, places, output)
    found: dict[str, Any] = {}
    if False in sums:
        found["down_block_additional_residuals"] = tuple(sums[False][:-1])
        found["mid_block_additional_residual"] = sums[False][-1]
    if True in sums:
        found["down_intrablock_additional_residuals"] = sums[True]  # a list, which the UNet takes from
    return found


@contextlib.contextmanager
def _present(model: ControlModel, maps: Sequence[ControlMap]) -> Iterator[None]:
    """A network on the card; a T2I adapter that has said everything stays where it is."""
    if model.loaded.kind == "t2i" and all(each.features for each in maps):
        yield
        return
    try:
        model.bring()
        yield
    finally:
        model.leave()


def _together(control: Sequence[tuple[ControlMap, ...]]) -> list[tuple[list[int], list[ControlMap]]]:
    """Rows and maps of each network; a network that leads a row twice is asked twice."""
    groups: dict[tuple[object, int], tuple[list[int], list[ControlMap]]] = {}
    for row, maps in enumerate(control):
        seen: dict[object, int] = {}
        for each in maps:
            # Low memory is a unit's wish: who else uses the network is asked apart.
            key = id(each.opened.model.loaded), each.opened.unit.low_memory, each.type_index, each.opened.averages
            turn = seen[key] = seen.get(key, -1) + 1
            rows, members = groups.setdefault((key, turn), ([], []))
            rows.append(row)
            members.append(each)
    return list(groups.values())


def _outputs(inputs: Inputs, rows: list[int], maps: list[ControlMap]) -> list[torch.Tensor]:
    loaded, whole = maps[0].opened.model.loaded, len(rows) == len(inputs.sample)
    sample, device = inputs.sample, inputs.sample.device
    places = torch.tensor(rows, device=device)

    def part(tensor: torch.Tensor) -> torch.Tensor:
        return tensor if whole else tensor[places]

    pixels = torch.cat([each.pixels for each in maps]).to(device, sample.dtype)
    network: Any = loaded.network
    given: dict[str, Any] = {"controlnet_cond": pixels}
    if loaded.kind == "union":
        types = torch.zeros(len(rows), network.config.num_control_type, device=device, dtype=sample.dtype)
        types[:, maps[0].type_index] = 1
        given = {"controlnet_cond": [pixels], "control_type": types, "control_type_idx": [maps[0].type_index]}
    down, middle = network(
        # An inpainting checkpoint reads more than the latent, a ControlNet no more than that.
        part(sample)[:, : network.config.in_channels],
        part(inputs.timesteps),
        encoder_hidden_states=part(inputs.context),
        added_cond_kwargs={key: part(value) for key, value in inputs.added.items()} or None,
        return_dict=False,
        **given,
    )
    outputs: list[torch.Tensor] = [*down, middle]
    if maps[0].opened.averages:
        outputs = [output.mean(dim=(2, 3), keepdim=True).expand_as(output).clone() for output in outputs]
    return outputs


def _features(checkpoint: Checkpoint, maps: list[ControlMap]) -> list[torch.Tensor]:
    device = checkpoint.device
    for each in maps:
        if not each.features:
            each.features.extend(_adapted(each, device.torch_device, device.dtype))
    return [torch.cat(level) for level in zip(*(each.features for each in maps), strict=True)]


def _adapted(each: ControlMap, device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    network: Any = each.opened.model.loaded.network
    cell = network.config.downscale_factor
    height, width = each.pixels.shape[2:]
    # SDXL's adapters take cells of 16 pixels: a picture of 8 more is brought to the next.
    sides = (math.ceil(height / cell) * cell, math.ceil(width / cell) * cell)
    pixels = each.pixels[:, : network.config.in_channels]
    if sides != (height, width):
        pixels = torch.nn.functional.interpolate(pixels, size=sides, mode="bilinear")
    return list(network(pixels.to(device, dtype)))


def _weighted(outputs: Sequence[torch.Tensor], maps: Sequence[ControlMap]) -> list[torch.Tensor]:
    scales = torch.tensor([each.opened.weights(len(outputs)) for each in maps])
    made: list[torch.Tensor] = []
    for at, output in enumerate(outputs):
        scaled = output * scales[:, at].to(output)[:, None, None, None]
        if any(each.where is not None for each in maps):
            size = tuple(output.shape[2:])
            scaled = scaled * torch.cat([_cells(each, size) for each in maps]).to(output)
        made.append(scaled)
    return made


def _cells(each: ControlMap, size: tuple[int, ...]) -> torch.Tensor:
    if each.where is None:
        return torch.ones(1, 1, *size)
    return torch.nn.functional.interpolate(each.where, size=size, mode="area")
