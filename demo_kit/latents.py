"""Latents of training scenes, encoded a shard at a time and kept on disk."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from demo_kit.device import on_gpu, stored
from demo_kit.folders import work_folder
from demo_kit.networks import tokens
from demo_kit.shards import captions_of, is_rendered, pictures_of
from demo_kit.vae import encode, trained_vae

__all__ = ["FIRST_SHARD", "MOST_SHARDS", "Pool", "drawn", "latents_of", "unsaid"]

FIRST_SHARD = 1000
"""Shards below it belong to the VAE; those from 90,000 to nobody: they are for measuring."""
MOST_SHARDS = 192


def latents_of(index: int, vae: AutoencoderKL, world: str = "scenes") -> Tensor:
    """Mean and standard deviation of a shard's latents: float16, (1024, 2, 4, 16, 16), scaled to unit variance."""
    path = work_folder(f"latents/{world}") / f"{index:05d}.pt"
    if not path.exists():
        torch.save(torch.stack(encode(vae, pictures_of(index, world)), 1).half(), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    return stored(path)


def drawn(rows: Tensor) -> Tensor:
    """Latents, (N, 4, 16, 16), drawn anew from their distributions."""
    mean, deviation = rows.float().unbind(1)
    return mean + deviation * torch.randn_like(mean)


def unsaid(ids: Tensor, share: float) -> Tensor:
    """Token ids of which that share are those of an empty text, for classifier-free guidance."""
    return torch.where(torch.rand(len(ids), 1) < share, tokens([""]), ids)


class Pool:
    """Training examples that grow in number as a run goes on, so that it can start before all are made."""

    def __init__(self, world: str = "scenes", start: int = 8, samples_per_shard: int = 6144) -> None:
        self._vae = trained_vae().to(memory_format=torch.channels_last)
        self._world, self._start, self._pace = world, start, samples_per_shard
        self._latents: list[Tensor] = []
        self._ids: list[Tensor] = []
        self._all = torch.empty(0), torch.empty(0)

    def batch(self, samples_before: int, size: int) -> tuple[Tensor, Tensor]:
        """`size` latents and the token ids of their captions, (size, 77); needs torch's generator seeded."""
        self._grow(min(self._start + samples_before // self._pace, MOST_SHARDS))
        latents, ids = self._all
        picks = torch.randint(0, len(latents), (size,))
        return drawn(latents[picks]), ids[picks]

    def _grow(self, wanted: int) -> None:
        before = len(self._latents)
        for index in range(FIRST_SHARD + before, FIRST_SHARD + wanted):
            if on_gpu() and index >= FIRST_SHARD + self._start and not is_rendered(index, self._world):
                break  # another process renders; do not wait for it
            self._latents.append(latents_of(index, self._vae, self._world))
            self._ids.append(tokens(captions_of(index, self._world)))
        if len(self._latents) > before:
            self._all = torch.cat(self._latents), torch.cat(self._ids)
