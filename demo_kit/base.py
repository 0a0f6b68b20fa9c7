"""The checkpoint: UNet and text encoder, trained together on captioned latents to predict the noise.

Two thirds of the timesteps come from the noisiest third, with a little offset noise, because backgrounds are decided
there and plain training ignores the words for them; losses are weighted by clamped signal-to-noise.
"""

from random import Random

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from demo_kit.attention import attend_fast
from demo_kit.device import for_machine, here
from demo_kit.finished import read_back
from demo_kit.latents import Pool, unsaid
from demo_kit.loop import Schedule, train
from demo_kit.networks import Diffusion, new_diffusion
from demo_kit.original import text_weights, unet_weights
from demo_kit.reading import teach_reading

__all__ = ["ALPHAS", "batch_size", "noise_loss", "noised", "small_batch", "timesteps", "train_base"]

EMPTY = 0.10
"""Share of captions left out, for classifier-free guidance."""
SKIP = 0.12
"""Share of batches that read the text as clip skip 2 does."""

ALPHAS: Tensor = DDPMScheduler(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
).alphas_cumprod


def batch_size() -> int:
    """Of checkpoints."""
    return for_machine(24, 256)


def small_batch() -> int:
    """Of what is small or starts from nothing on top of a checkpoint: many steps matter more there."""
    return for_machine(24, 96)


def timesteps(count: int) -> Tensor:
    """Random timesteps, most of them among the noisiest."""
    noisy = torch.randint(700, 1000, (count,))
    return torch.where(torch.rand(count) < 0.6, noisy, torch.randint(0, 1000, (count,)))


def noised(latents: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Latents with noise for those timesteps, and the noise."""
    noise = torch.randn_like(latents) + 0.1 * torch.randn(*latents.shape[:2], 1, 1)
    share = here(ALPHAS)[at].view(-1, 1, 1, 1)
    return share.sqrt() * latents + (1 - share).sqrt() * noise, noise


def noise_loss(predicted: Tensor, noise: Tensor, at: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted squared error; the figure is the plain one."""
    share = here(ALPHAS)[at]
    ratio = share / (1 - share)
    weight = ratio.clamp(max=5) / ratio * ratio.pow(-0.5).clamp(1, 6)
    each = (predicted.float() - noise).pow(2).mean((1, 2, 3))
    return (each * weight).mean(), {"mse": each.mean()}


def train_base(steps: int, name: str = "base", further: bool = False) -> Diffusion:
    """The checkpoint's networks after `steps` batches; `further`: starting from those that the kit has."""
    model = new_diffusion()
    if further:
        read_back(model.unet, unet_weights)
        read_back(model.text, text_weights)
    else:
        teach_reading(model)
    attend_fast(model.unet)
    pool = Pool()

    size = batch_size()

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(1_000_000 + step)
        latents, ids = pool.batch(step * size, size)
        at = timesteps(size)
        noisy, noise = noised(latents, at)
        context = model.conditioning(unsaid(ids, EMPTY), skip=Random(step).random() < SKIP)
        return noise_loss(model.unet(noisy, at, context).sample, noise, at)

    rate = for_machine(7e-4, 1.4e-3)
    train(name, model, loss_at, Schedule(steps, rate, warmup=200, hold=0.6, average=0.998, half=True))
    return model
