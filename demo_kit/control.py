"""The four ControlNets (arXiv:2302.05543), each a trained copy of the first checkpoint's encoder."""

from random import Random

import numpy as np
import torch
from diffusers import ControlNetModel
from torch import Tensor

from demo_kit.attention import attend_fast
from demo_kit.base import EMPTY, noise_loss, noised, timesteps
from demo_kit.folders import work_folder
from demo_kit.latents import FIRST_SHARD, latents_of
from demo_kit.loop import Schedule, train
from demo_kit.maps import MAPS
from demo_kit.shards import SHARD, captions_of, shard_scenes
from demo_kit.tune import trained_base
from demo_kit.vae import trained_vae

__all__ = ["new_controlnet", "train_controlnet"]

BATCH = 24
SHARDS = 4


def _maps_of(index: int, name: str) -> Tensor:
    """The control maps of a shard: uint8, (1024, 3, 128, 128)."""
    path = work_folder(f"maps/{name}") / f"{index:05d}.npy"
    if not path.exists():
        world, draw = MAPS[name]
        rng = Random(f"pincel demo maps {name} {index}")
        np.save(path, np.stack([draw(scene, rng) for scene in shard_scenes(index, world)]))
    return torch.from_numpy(np.load(path)).permute(0, 3, 1, 2)


def new_controlnet() -> ControlNetModel:
    """A ControlNet that changes nothing yet, on top of the first checkpoint."""
    torch.manual_seed(24)
    made = ControlNetModel.from_unet(trained_base().unet, conditioning_embedding_out_channels=(16, 32, 96, 256))
    attend_fast(made)
    return made


def train_controlnet(name: str, steps: int) -> ControlNetModel:
    """The ControlNet for one kind of map. Half of its captions are left out, so that the map is what it listens to."""
    base, control = trained_base().requires_grad_(False), new_controlnet()
    world, _ = MAPS[name]
    vae = trained_vae().to(memory_format=torch.channels_last)
    latents = torch.cat([latents_of(FIRST_SHARD + index, vae, world) for index in range(SHARDS)])
    captions = [text for index in range(SHARDS) for text in captions_of(FIRST_SHARD + index, world)]
    maps = torch.cat([_maps_of(FIRST_SHARD + index, name) for index in range(SHARDS)])

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        torch.manual_seed(8_000_000 + step)
        picks = torch.randint(0, SHARDS * SHARD, (BATCH,))
        clean = latents[picks, 0] + latents[picks, 1] * torch.randn(BATCH, 4, 16, 16)
        gone = (torch.rand(BATCH) < (0.5 if name != "openpose" else EMPTY)).tolist()
        with torch.no_grad():
            context = base.conditioning(
                ["" if empty else captions[pick] for pick, empty in zip(picks.tolist(), gone, strict=True)]
            )
        at = timesteps(BATCH)
        noisy, noise = noised(clean, at)
        down, middle = control(noisy, at, context, maps[picks].float() / 255, return_dict=False)
        made = base.unet(
            noisy, at, context, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        return noise_loss(made, noise, at)

    train(f"control-{name}", control, loss_at, Schedule(steps, 5e-4, hold=0.4, average=0.99))
    return control
