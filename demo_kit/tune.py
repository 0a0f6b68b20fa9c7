"""What starts from the finished checkpoint: a second look, LoRAs, a LoHa, and a negative embedding."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from demo_kit.attention import attend_fast
from demo_kit.base import EMPTY, batch_size, noise_loss, noised, small_batch, timesteps
from demo_kit.device import for_machine
from demo_kit.finished import read_back
from demo_kit.folders import work_folder
from demo_kit.latents import Pool, unsaid
from demo_kit.loop import Schedule, averaged, train
from demo_kit.low_rank import adapt
from demo_kit.networks import Diffusion, new_diffusion
from demo_kit.original import text_weights, unet_weights

__all__ = ["NEGATIVE_VECTORS", "train_adapter", "train_negative", "train_second", "trained_base"]

NEGATIVE_VECTORS = 2
_PLACES = [49405, 49404]
"""Token ids that stand for the embedding's vectors while it is trained; no caption uses them."""


def trained_base(name: str = "base") -> Diffusion:
    """The checkpoint's networks as their run left them; where it was elsewhere, those of the kit."""
    model = new_diffusion()
    if (work_folder("runs") / name / "state.pt").exists():
        with averaged(name, model):
            held = {key: value.clone() for key, value in model.state_dict().items()}
        model.load_state_dict(held)
    else:
        read_back(model.unet, unet_weights)
        read_back(model.text, text_weights)
    attend_fast(model.unet)
    return model


def _train(name: str, model: Diffusion, pool: Pool, plan: Schedule, seed: int, size: int) -> None:

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(seed + step)
        latents, ids = pool.batch(step * size, size)
        at = timesteps(size)
        noisy, noise = noised(latents, at)
        return noise_loss(model.unet(noisy, at, model.conditioning(unsaid(ids, EMPTY))).sample, noise, at)

    train(name, model, loss_at, plan)


def train_second(steps: int) -> Diffusion:
    """The second checkpoint: all that the first can draw, as a comic."""
    model = trained_base()
    model.text.requires_grad_(False)
    _train(
        "second",
        model,
        Pool("comic"),
        Schedule(steps, for_machine(3e-4, 5e-4), hold=0.4, half=True),
        2_000_000,
        batch_size(),
    )
    return model


def train_adapter(
    name: str, world: str, steps: int, kind: str = "lora", rank: int = 8, text: bool = False
) -> Diffusion:
    """The first checkpoint with a trained low-rank change towards one world of scenes."""
    model = trained_base()
    torch.manual_seed(23)
    adapt(model, rank, kind, text)
    _train(
        name,
        model,
        Pool(world, start=3, samples_per_shard=20_000),
        Schedule(steps, 1e-3, hold=0.4, average=0.99, half=True),
        3_000_000,
        small_batch(),
    )
    return model


class _Words(nn.Module):
    """An embedding table with two rows of its own."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(start.clone())

    def forward(self, table: Tensor) -> Tensor:
        return table.index_copy(0, torch.tensor(_PLACES), self.vectors)


def train_negative(steps: int) -> Tensor:
    """Vectors, (2, 128), that stand for everything that is wrong with a damaged picture (arXiv:2208.01618)."""
    model = trained_base().requires_grad_(False)
    table = next(
        module for module in model.text.modules() if isinstance(module, nn.Embedding) and len(module.weight) > 77
    )
    words = _Words(table.weight[[2205, 7651]])  # "low", "blur": where they start does not matter much
    parametrize.register_parametrization(table, "weight", words)
    words.requires_grad_(True)
    pool = Pool("damaged", start=2, samples_per_shard=50_000)

    size = small_batch()

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(4_000_000 + step)
        latents, _ = pool.batch(step * size, size)
        at = timesteps(size)
        noisy, noise = noised(latents, at)
        ids = torch.full((1, 77), 49407)
        ids[0, : len(_PLACES) + 1] = torch.tensor([49406, *_PLACES])
        context = model.text(ids).last_hidden_state.expand(size, -1, -1)
        return noise_loss(model.unet(noisy, at, context).sample, noise, at)

    train("negative", model, loss_at, Schedule(steps, 5e-3, hold=0.4, average=0.98))
    return words.vectors.detach()
