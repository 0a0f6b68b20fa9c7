"""A control model, loaded: which of diffusers' networks it is, and whether it was made for a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.checkpoints.networks import filled, finished, owned
from gpu_worker.engine.checkpoints.weights import WeightsFile, open_weights
from gpu_worker.engine.control.configs import controlnet_config, t2i_config, union_config
from gpu_worker.engine.control.weights import controlnet_weights, t2i_weights
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.memory import is_out_of_memory
from gpu_worker.language.kinds import control_layout

__all__ = ["ControlModel", "LoadedControl", "check_fit", "load_control"]

Kind = Literal["controlnet", "union", "t2i"]
_DAMAGE = (
    SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, StopIteration, RuntimeError,
    ArithmeticError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class LoadedControl:
    kind: Kind
    network: Any
    """diffusers' ControlNetModel, ControlNetUnionModel or T2IAdapter."""

    @property
    def pixels(self) -> int:
        """Pixels of the map to a side of a latent cell that the network reckons with."""
        if self.kind == "t2i":
            return int(self.network.config.downscale_factor)
        return 1 << (len(self.network.config.conditioning_embedding_out_channels) - 1)


def _nothing() -> None: ...


@dataclass(frozen=True, eq=False)
class ControlModel:
    """As a job borrows it."""

    name: str
    loaded: LoadedControl
    bring: Callable[[], None] = field(default=_nothing)
    """To the card."""
    leave: Callable[[], None] = field(default=_nothing)
    """Back to memory, where it is to visit the card only."""


def load_control(path: Path, name: str, checkpoint: Checkpoint, device: Device) -> LoadedControl:
    """In memory. Raises EngineError `bad_model`: `unsafe`, `corrupt`, `unknown_layout`, or `unsupported` for the kinds
    that are no control models of this sort; `bad_input` (`control_misfit`) for one of another family."""
    detail = {"controlnet": name}
    file = open_weights(path, detail)
    layout = control_layout(file.shapes)
    if layout in {None, "ip_adapter", "controlnet_lllite"}:
        problem = "unsupported" if layout else "unknown_layout"
        raise EngineError("bad_model", f"{path}: no control model", {**detail, "problem": problem})
    try:
        if layout == "t2i_adapter":
            return _t2i(file, device)
        return _controlnet(file, name, checkpoint, device)
    except _DAMAGE as error:
        if is_out_of_memory(error):
            raise
        raise EngineError("bad_model", f"{path}: {error!r}", {**detail, "problem": "corrupt"}) from error


def _t2i(file: WeightsFile, device: Device) -> LoadedControl:
    from diffusers.models.adapter import T2IAdapter

    weights = t2i_weights(file)
    config = t2i_config(_shapes(weights))
    make: Any = T2IAdapter
    return LoadedControl("t2i", filled(lambda: make(**config), owned(weights, device.dtype, device)))


def _controlnet(file: WeightsFile, name: str, checkpoint: Checkpoint, device: Device) -> LoadedControl:
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

    try:
        weights = controlnet_weights(file, checkpoint.unet)
    except (ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise _misfit(name, checkpoint, repr(error)) from error
    shapes, unet = _shapes(weights), checkpoint.unet.config
    # What differs in width from the UNet would be built with the wrong heads, so it is refused before.
    widths = (shapes["conv_in.weight"][0], _context_width(shapes))
    if widths[0] != unet["block_out_channels"][0] or widths[1] not in (None, unet["cross_attention_dim"]):
        raise _misfit(name, checkpoint, f"widths of {widths}")
    union = "task_embedding" in weights
    make: Any = ControlNetUnionModel if union else ControlNetModel
    config = union_config(shapes, unet) if union else controlnet_config(shapes, unet)
    network = filled(lambda: make(**config), owned(weights, device.dtype, device))
    return LoadedControl("union" if union else "controlnet", finished(network, device))


def check_fit(model: ControlModel, checkpoint: Checkpoint) -> None:
    """Raises EngineError `bad_input` (`control_misfit`) for one that was made for another family."""
    config, unet = model.loaded.network.config, checkpoint.unet.config
    if model.loaded.kind == "t2i":
        widths = tuple(config["channels"])
        if config["adapter_type"] == "light_adapter":
            widths = (*widths, widths[-1])
        # SDXL has three levels of which the last is counted twice in its adapters.
        expected = tuple(unet["block_out_channels"])
        expected = (*expected, expected[-1]) if len(expected) == len(widths) - 1 else expected
        if widths != expected or (config["adapter_type"] == "full_adapter_xl") != _is_xl(checkpoint):
            raise _misfit(model.name, checkpoint, f"widths of {widths}")
        return
    for name in ("block_out_channels", "layers_per_block", "cross_attention_dim", "addition_embed_type"):
        if config[name] != unet[name] and tuple(_many(config[name])) != tuple(_many(unet[name])):
            raise _misfit(model.name, checkpoint, f"{name} {config[name]}")


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _is_xl(checkpoint: Checkpoint) -> bool:
    return checkpoint.family in ("sdxl", "sdxl_refiner")


def _misfit(name: str, checkpoint: Checkpoint, why: str) -> EngineError:
    detail = {"reason": "control_misfit", "controlnet": name, "checkpoint": checkpoint.name}
    return EngineError("bad_input", f"{name}: {why}", detail)


def _context_width(shapes: dict[str, tuple[int, ...]]) -> int | None:
    return next((shape[1] for key, shape in shapes.items() if key.endswith("attn2.to_k.weight")), None)


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}
