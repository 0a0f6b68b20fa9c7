"""Latents of training scenes, encoded a shard at a time and kept on disk."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from demo_kit.folders import work_folder
from demo_kit.shards import SHARD, captions_of, pictures_of
from demo_kit.vae import encode, trained_vae

__all__ = ["FIRST_SHARD", "Pool", "latents_of"]

FIRST_SHARD = 1000
"""Shards below it belong to the VAE; those from 90,000 to nobody: they are for measuring."""


def latents_of(index: int, vae: AutoencoderKL, world: str = "scenes") -> Tensor:
    """Mean and standard deviation of a shard's latents: float32, (1024, 2, 4, 16, 16), scaled to unit variance."""
    path = work_folder(f"latents/{world}") / f"{index:05d}.pt"
    if not path.exists():
        torch.save(torch.stack(encode(vae, pictures_of(index, world)), 1).half(), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    return torch.load(path, weights_only=True).float()


class Pool:
    """Training examples that grow in number as a run goes on, so that it can start before all are made."""

    def __init__(self, world: str = "scenes", start: int = 8, samples_per_shard: int = 6144) -> None:
        self._vae = trained_vae().to(memory_format=torch.channels_last)
        self._world, self._start, self._pace = world, start, samples_per_shard
        self._latents: list[Tensor] = []
        self.captions: list[list[str]] = []

    def batch(self, samples_before: int, size: int) -> tuple[Tensor, list[str]]:
        """`size` latents, drawn anew from their distributions, and their captions; needs torch's generator seeded."""
        for index in range(len(self._latents), self._start + samples_before // self._pace):
            self._latents.append(latents_of(FIRST_SHARD + index, self._vae, self._world))
            self.captions.append(captions_of(FIRST_SHARD + index, self._world))
        picks = torch.randint(0, len(self._latents) * SHARD, (size,)).tolist()
        rows = torch.stack([self._latents[pick // SHARD][pick % SHARD] for pick in picks])
        latents = rows[:, 0] + rows[:, 1] * torch.randn_like(rows[:, 1])
        return latents, [self.captions[pick // SHARD][pick % SHARD] for pick in picks]
