"""LoRA (arXiv:2106.09685) and LoHa (arXiv:2108.06098) as changes of a network's weights, with their file keys."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from demo_kit.networks import Diffusion

__all__ = ["adapt", "file_weights"]

_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
_TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class _LoRA(nn.Module):
    def __init__(self, shape: torch.Size, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.down = nn.Parameter(torch.randn(rank, math.prod(shape[1:])) / rank)
        self.up = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight)

    def file_weights(self, shape: torch.Size) -> dict[str, Tensor]:
        square = (1, 1) if len(shape) == 4 else ()
        return {
            "lora_down.weight": self.down.detach().reshape(*self.down.shape, *square),
            "lora_up.weight": self.up.detach().reshape(*self.up.shape, *square),
            "alpha": torch.tensor(float(self.rank)),
        }


class _LoHa(nn.Module):
    """Starts as LyCORIS starts it: with a smaller second product it hardly leaves zero."""

    def __init__(self, shape: torch.Size, rank: int) -> None:
        super().__init__()
        self.rank, wide = rank, math.prod(shape[1:])
        self.w1_a, self.w1_b = nn.Parameter(torch.randn(shape[0], rank) * 0.1), nn.Parameter(torch.randn(rank, wide))
        self.w2_a, self.w2_b = nn.Parameter(torch.zeros(shape[0], rank)), nn.Parameter(torch.randn(rank, wide))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + ((self.w1_a @ self.w1_b) * (self.w2_a @ self.w2_b)).view_as(weight)

    def file_weights(self, _shape: torch.Size) -> dict[str, Tensor]:
        parts = {name: getattr(self, name).detach() for name in ("w1_a", "w1_b", "w2_a", "w2_b")}
        return {f"hada_{name}": value for name, value in parts.items()} | {"alpha": torch.tensor(float(self.rank))}


def adapt(model: Diffusion, rank: int, kind: str = "lora", text: bool = False) -> None:
    """Freeze the networks and give their attention layers trainable changes; `text` those of the text encoder, too."""
    model.requires_grad_(False)
    made = {"lora": _LoRA, "loha": _LoHa}[kind]
    for _, module in _places(model, text):
        change = made(module.weight.shape, rank)
        parametrize.register_parametrization(module, "weight", change)
        change.requires_grad_(True)


def file_weights(model: Diffusion) -> dict[str, Tensor]:
    """The changes under kohya's names."""
    found: dict[str, Tensor] = {}
    for name, module in _places(model, text=True):
        if parametrize.is_parametrized(module, "weight"):
            change = module.parametrizations["weight"][0]
            found |= {f"{name}.{key}": value for key, value in change.file_weights(module.weight.shape).items()}
    return found


def _places(model: Diffusion, text: bool) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.unet.named_modules():
        if name.endswith(_TARGETS) and "attentions" in name:
            yield f"lora_unet_{name.replace('.', '_')}", module
    if text:
        for name, module in model.text.named_modules():
            if name.endswith(_TEXT_TARGETS):
                yield f"lora_te_text_model_{name.removeprefix('text_model.').replace('.', '_')}", module
