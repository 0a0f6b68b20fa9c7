"""What to change where a training does not fit into memory."""

from __future__ import annotations

from gpu_worker.language.training.parameters import Parameters

__all__ = ["memory_setting"]


def memory_setting(parameters: Parameters, batch_size: int, resolution_px: int) -> tuple[str, str] | None:
    """The setting that costs least to change, and the value to give it; None where nothing is left to save."""
    if not parameters.gradient_checkpointing:
        return "gradient_checkpointing", "true"
    if not parameters.cache_latents:
        return "cache_latents", "true"
    if batch_size > 1:
        return "train_batch_size", str(batch_size // 2)
    if parameters.mixed_precision == "no":
        return "mixed_precision", "bf16"
    if all(parameters.rates):
        return "network_train_unet_only", "true"
    if parameters.network_dim > 8:
        return "network_dim", str(parameters.network_dim // 2)
    if resolution_px > 256:
        return "resolution", str(max(256, resolution_px * 3 // 4 // 64 * 64))
    return None
