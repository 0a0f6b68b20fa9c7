"""What a step learns from: how far the UNet is off the noise, or the velocity (behaviours §24.4).

Min-SNR: Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy" (2023). Offset noise: Guttenberg,
"Diffusion with Offset Noise" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.training.texts import ReadTexts

__all__ = ["Example", "NoiseSchedule", "batch_loss"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class Example:
    """A batch, on the device that trains."""

    latents: Tensor
    """[n, channels, height, width] in float32."""
    texts: ReadTexts
    sizes: Tensor
    """[n, 6]: SDXL's height and width of the picture, rows and columns cut off, height and width that are left."""
    weights: Tensor
    """[n]."""


class NoiseSchedule:
    """diffusers' forward process with the checkpoint's own noise levels."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        bars = torch.from_numpy(checkpoint.table.bars).float()
        self.steps = len(bars)
        self.velocity = checkpoint.prediction == "v"
        self._process: Any = DDPMScheduler(num_train_timesteps=self.steps, beta_schedule="scaled_linear")
        self._process.alphas_cumprod = bars
        self._snr = bars / (1 - bars).clamp_min(1e-12)

    def noisy(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return self._process.add_noise(latents, noise, times)

    def target(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return self._process.get_velocity(latents, noise, times) if self.velocity else noise

    def weights(self, times: Tensor, gamma: float) -> Tensor:
        """min(snr, gamma) / snr; / (snr + 1) for a velocity."""
        snr = self._snr.to(times.device)[times]
        return snr.clamp_max(gamma) / (snr + 1 if self.velocity else snr.clamp_min(1e-12))


def batch_loss(
    checkpoint: Checkpoint, schedule: NoiseSchedule, example: Example, given: Parameters, seed: int
) -> Tensor:
    """Noise and times come from `seed`, drawn in main memory: the same on every device."""
    latents = example.latents
    throw = torch.Generator().manual_seed(seed)
    noise = torch.randn(latents.shape, generator=throw)
    if given.noise_offset:
        noise = noise + given.noise_offset * torch.randn((*latents.shape[:2], 1, 1), generator=throw)
    times = torch.randint(0, schedule.steps, (latents.shape[0],), generator=throw).to(latents.device)
    noise = noise.to(latents.device)
    more: dict[str, Any] = {}
    if example.texts.pooled is not None:
        more["added_cond_kwargs"] = {"text_embeds": example.texts.pooled, "time_ids": example.sizes}
    dtype = checkpoint.unet.dtype
    noisy = schedule.noisy(latents, noise, times).to(dtype)
    guess = checkpoint.unet(noisy, times, example.texts.context.to(dtype), **more).sample
    error = torch.nn.functional.mse_loss(guess.float(), schedule.target(latents, noise, times), reduction="none")
    loss = error.mean(dim=(1, 2, 3)) * example.weights
    if given.min_snr_gamma is not None:
        loss = loss * schedule.weights(times, given.min_snr_gamma)
    return loss.mean()
