"""What every way of loading makes: a checkpoint's networks without its VAE, which may be exchanged (behaviours §11)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Concat, Family, Prediction, TextEncoder
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.device import Device
from gpu_worker.engine.sampling.sigmas import SigmaTable

__all__ = ["CONCAT", "Networks", "filled", "finished", "owned"]

THREADS = 4

CONCAT: dict[int, Concat] = {4: "none", 9: "inpaint", 8: "pix2pix"}
"""By the channels that the UNet reads; behaviours §10."""


@dataclass(frozen=True)
class Networks:
    """In memory, not yet on the card."""

    family: Family
    unet: Any
    text_encoders: tuple[TextEncoder, ...]
    latent_scale: float
    table: SigmaTable
    prediction: Prediction
    concat: Concat


def filled(build: Callable[[], Any], weights: dict[str, torch.Tensor]) -> Any:
    """The network that `build` makes, with `weights` themselves in it; what has no place in it is left out, as A1111
    does. Raises ValueError where one is missing, RuntimeError where one has another shape."""
    lib = libraries()
    with lib.no_init(), lib.empty_weights():
        network = build()
    missing, _ = network.load_state_dict(weights, strict=False, assign=True)
    if missing:
        raise ValueError(f"missing {missing[:3]}")
    return network.eval().requires_grad_(False)


def owned(weights: dict[str, torch.Tensor], dtype: torch.dtype, device: Device) -> dict[str, torch.Tensor]:
    """In `dtype`. Where networks run in the machine's own memory they get memory of their own, so that nothing that
    happens to the file later reaches them; what a card gets is copied there anyway."""

    def own(tensor: torch.Tensor) -> torch.Tensor:
        # The caller's modes are its thread's own: nothing here is made for inference alone, or traced.
        if tensor.is_floating_point() and tensor.dtype != dtype:
            return tensor.to(dtype)
        return tensor if device.is_cuda else tensor.clone()

    # Threads wait for the disk and for fresh memory side by side; torch's own, one tensor at a time, gain nothing here.
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(weights, pool.map(own, weights.values()), strict=True))


def _doubling(grow: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Sizes that do not halve evenly come back a row too long. A1111 doubles, convolves, and then picks what the skip
    connection has room for; diffusers picks before it convolves, which changes the lower and right edge."""

    def forward(hidden_states: torch.Tensor, output_size: Any = None, *rest: Any, **more: Any) -> torch.Tensor:
        larger = grow(hidden_states, None, *rest, **more)
        if output_size is None or larger.shape[-2:] == torch.Size(output_size):
            return larger
        return torch.nn.functional.interpolate(larger, size=tuple(output_size), mode="nearest")

    return forward


def finished(unet: Any, device: Device) -> Any:
    """The UNet as A1111 runs it at any size, with the operator's choice of attention and memory format."""
    for name, module in unet.named_modules():
        if ".upsamplers." in name and hasattr(module, "interpolate"):
            module.forward = _doubling(module.forward)
    if device.channels_last:
        unet.to(memory_format=torch.channels_last)
    if device.attention == "xformers":
        unet.enable_xformers_memory_efficient_attention()
    elif device.attention == "split":
        unet.set_attention_slice("auto")
    return unet
