"""The upscaler: a small RRDBNet (ESRGAN, arXiv:1809.00219) that enlarges four-fold, trained on reduced scenes."""

import numpy as np
import torch
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor, nn
from torch.nn import functional

from demo_kit.device import for_machine, here
from demo_kit.loop import Schedule, train
from demo_kit.shards import SHARD, pictures_of

__all__ = ["SCALE", "new_upscaler", "pairs", "psnr_against_bicubic", "train_upscaler", "upscaler_weights"]

SCALE = 4
CROP, SHARDS = 64, 8


def new_upscaler() -> nn.Module:
    """RRDBNet with 32 channels and 4 blocks that, before training, repeats each pixel: it learns what to change about
    that, in a small part of the time that learning to copy a picture would take."""
    torch.manual_seed(22)
    made = ESRGAN(num_filters=32, num_blocks=4, scale=SCALE)
    layers = dict(made.model.named_children())
    for layer in (layers["1"].sub[-1], layers["10"]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    for name in ("0", "3", "6", "8", "10"):
        _pass_colours(layers[name])
    return made


@torch.no_grad()
def _pass_colours(layer: nn.Module) -> None:
    """Let the first three channels be what they were."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    weight[:3] = 0
    bias[:3] = 0
    for channel in range(3):
        weight[channel, channel, 1, 1] = 1


def pairs(step: int, side: int, batch: int, shards: range = range(SHARDS)) -> tuple[Tensor, Tensor]:
    """Small crops and the crops they were reduced from by area, bicubically or by Lanczos-like averaging; 0..1."""
    rng = np.random.default_rng(7_000_000 + step)
    cut, held = [], [pictures_of(index) for index in shards]
    for _ in range(batch):
        picture = held[int(rng.integers(len(held)))][int(rng.integers(SHARD))]
        x, y = rng.integers(0, 128 - side + 1, 2)
        cut.append(picture[y : y + side, x : x + side])
    large = here(torch.from_numpy(np.stack(cut))).permute(0, 3, 1, 2).float() / 255
    if rng.random() < 0.5:
        return functional.avg_pool2d(large, SCALE), large
    small = functional.interpolate(large, scale_factor=1 / SCALE, mode="bicubic", antialias=True, align_corners=False)
    return small.clamp(0, 1), large


def train_upscaler(steps: int) -> nn.Module:
    """The upscaler after `steps` batches."""
    model = new_upscaler()

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        small, large = pairs(step, CROP, for_machine(8, 64))
        off = model(small) - large
        edges = (off[..., 1:] - off[..., :-1]).abs().mean() + (off[..., 1:, :] - off[..., :-1, :]).abs().mean()
        return off.abs().mean() + 0.3 * edges, {"l1": off.abs().mean()}

    train("upscaler", model, loss_at, Schedule(steps, 5e-4, hold=0.4, average=0.995))
    return model


@torch.no_grad()
def psnr_against_bicubic(model: nn.Module, count: int = 64) -> tuple[float, float]:
    """Mean PSNR in dB of this upscaler and of bicubic enlargement, on scenes that were not trained on."""
    small, large = pairs(0, 128, count, range(90_000, 90_001))
    ours = torch.cat([model(part) for part in small.split(8)]).clamp(0, 1)
    plain = functional.interpolate(small, scale_factor=SCALE, mode="bicubic", align_corners=False).clamp(0, 1)
    return _psnr(ours, large), _psnr(plain, large)


def _psnr(made: Tensor, wanted: Tensor) -> float:
    return float((-10 * torch.log10((made - wanted).pow(2).mean((1, 2, 3)))).mean())


def upscaler_weights(model: nn.Module) -> dict[str, Tensor]:
    """By the names that the file format knows."""
    return dict(model.state_dict())
