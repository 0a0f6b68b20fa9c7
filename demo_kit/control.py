"""The four ControlNets (arXiv:2302.05543), each a trained copy of the first checkpoint's encoder."""

from random import Random

import numpy as np
import torch
from diffusers import ControlNetModel
from numpy.typing import NDArray
from torch import Tensor

from demo_kit.attention import attend_fast
from demo_kit.base import EMPTY, noise_loss, noised, small_batch, timesteps
from demo_kit.device import for_machine, here
from demo_kit.folders import work_folder
from demo_kit.latents import FIRST_SHARD, drawn, latents_of, unsaid
from demo_kit.loop import Schedule, train
from demo_kit.maps import MAPS
from demo_kit.networks import tokens
from demo_kit.shards import captions_of, shard_scenes
from demo_kit.tune import trained_base
from demo_kit.vae import trained_vae

__all__ = ["control_shards", "maps_of", "new_controlnet", "train_controlnet"]


def control_shards() -> int:
    """How many shards of scenes each learns from."""
    return for_machine(4, 10)


def maps_of(index: int, name: str) -> NDArray[np.uint8]:
    """The control maps of a shard: (1024, 128, 128, 3)."""
    path = work_folder(f"maps/{name}") / f"{index:05d}.npy"
    if not path.exists():
        world, draw = MAPS[name]
        rng = Random(f"pincel demo maps {name} {index}")
        np.save(path, np.stack([draw(scene, rng) for scene in shard_scenes(index, world)]))
    return np.load(path)


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
    shards, size = range(FIRST_SHARD, FIRST_SHARD + control_shards()), small_batch()
    latents = torch.cat([latents_of(index, vae, world) for index in shards])
    ids = torch.cat([tokens(captions_of(index, world)) for index in shards])
    maps = here(torch.cat([torch.from_numpy(maps_of(index, name)).permute(0, 3, 1, 2) for index in shards]))

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(8_000_000 + step)
        picks = torch.randint(0, len(latents), (size,))
        with torch.no_grad():
            context = base.conditioning(unsaid(ids[picks], 0.5 if name != "openpose" else EMPTY))
        at = timesteps(size)
        noisy, noise = noised(drawn(latents[picks]), at)
        down, middle = control(noisy, at, context, maps[picks].float() / 255, return_dict=False)
        made = base.unet(
            noisy, at, context, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        return noise_loss(made, noise, at)

    train(
        f"control-{name}", control, loss_at, Schedule(steps, for_machine(5e-4, 7e-4), hold=0.4, average=0.99, half=True)
    )
    return control
