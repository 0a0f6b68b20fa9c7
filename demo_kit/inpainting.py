"""The inpainting checkpoint: the first one with five more input channels, the mask and the picture without the hole."""

from random import Random

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from demo_kit.attention import attend_fast
from demo_kit.base import EMPTY, batch_size, noise_loss, noised, timesteps
from demo_kit.device import for_machine, stored
from demo_kit.folders import work_folder
from demo_kit.latents import FIRST_SHARD, drawn, latents_of, unsaid
from demo_kit.loop import Schedule, train
from demo_kit.networks import Diffusion, new_diffusion, tokens
from demo_kit.shards import captions_of, pictures_of, shard_scenes
from demo_kit.tune import trained_base
from demo_kit.vae import encode, trained_vae

__all__ = ["hole", "holes_of", "inpainting_shards", "new_inpainting", "train_inpainting"]


def hole(cover: NDArray[np.uint8], rng: Random) -> NDArray[np.bool_]:
    """What is to be filled, in steps of 8 px (128, 128): the things, a rectangle, or everything."""
    mask = np.zeros((16, 16), bool)
    kind = rng.random()
    if kind < 0.5:  # the things and a little around them
        mask = cover.reshape(16, 8, 16, 8).max((1, 3)) > 0
        mask = mask | np.roll(mask, 1, 0) | np.roll(mask, -1, 0) | np.roll(mask, 1, 1) | np.roll(mask, -1, 1)
    elif kind < 0.92:
        x, y = rng.randrange(0, 12), rng.randrange(0, 12)
        mask[y : y + rng.randrange(4, 17 - y), x : x + rng.randrange(4, 17 - x)] = True
    else:
        mask[:] = True
    return mask.repeat(8, 0).repeat(8, 1)


def inpainting_shards() -> int:
    """How many shards of scenes with holes it learns from."""
    return for_machine(6, 16)


def _masked_shard(index: int, vae: AutoencoderKL) -> tuple[Tensor, Tensor]:
    """Masks (1024, 1, 16, 16) and latents of the pictures with grey holes (1024, 4, 16, 16)."""
    path = work_folder("latents/masked") / f"{index:05d}.pt"
    if not path.exists():
        holes = holes_of(index)
        pictures = np.where(holes[..., None], np.uint8(128), pictures_of(index))
        small = torch.from_numpy(holes[:, None, ::8, ::8].copy())
        torch.save({"mask": small, "masked": encode(vae, pictures)[0].half()}, path)
    held = stored(path)
    return held["mask"].float(), held["masked"].float()


def holes_of(index: int) -> NDArray[np.bool_]:
    """What is to be filled in the scenes of a shard: (1024, 128, 128)."""
    path = work_folder("holes") / f"{index:05d}.npy"
    if not path.exists():
        rng = Random(f"pincel demo holes {index}")
        np.save(path, np.stack([hole(np.asarray(scene.cover), rng) for scene in shard_scenes(index)]))
    return np.load(path)


def new_inpainting() -> Diffusion:
    """The first checkpoint's networks with five more input channels, which do nothing yet."""
    base, model = trained_base(), new_diffusion(in_channels=9)
    weights = base.state_dict()
    weights["unet.conv_in.weight"] = torch.cat(
        [weights["unet.conv_in.weight"], torch.zeros_like(model.unet.conv_in.weight[:, 4:])], 1
    )
    model.load_state_dict(weights)
    attend_fast(model.unet)
    return model


def train_inpainting(steps: int) -> Diffusion:
    """The inpainting checkpoint's networks after `steps` batches."""
    model, vae = new_inpainting(), trained_vae().to(memory_format=torch.channels_last)
    shards, size = range(FIRST_SHARD, FIRST_SHARD + inpainting_shards()), batch_size()
    whole = torch.cat([latents_of(index, vae) for index in shards])
    ids = torch.cat([tokens(captions_of(index)) for index in shards])
    masks, masked = (torch.cat(parts) for parts in zip(*(_masked_shard(index, vae) for index in shards), strict=True))
    model.text.requires_grad_(False)

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(6_000_000 + step)
        picks = torch.randint(0, len(whole), (size,))
        at = timesteps(size)
        noisy, noise = noised(drawn(whole[picks]), at)
        seen = torch.cat([noisy, masks[picks], masked[picks]], 1)
        return noise_loss(model.unet(seen, at, model.conditioning(unsaid(ids[picks], EMPTY))).sample, noise, at)

    train("inpainting", model, loss_at, Schedule(steps, for_machine(3e-4, 5e-4), hold=0.4, half=True))
    return model
