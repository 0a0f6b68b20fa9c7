"""Where the networks are trained: on a GPU where there is one, with larger batches there."""

from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["for_machine", "here", "on_gpu", "stored", "use_best_device"]

T = TypeVar("T")
_gpu = False


def use_best_device() -> None:
    """Make a GPU, where there is one, the place of all tensors made from here on."""
    torch.set_flush_denormal(True)
    global _gpu
    _gpu = torch.cuda.is_available()
    if _gpu:
        torch.set_default_device("cuda")
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def on_gpu() -> bool:
    """Whether tensors are made on a GPU now."""
    return _gpu


def for_machine(processor: T, gpu: T) -> T:
    """The setting for a processor, or the one for a GPU."""
    return gpu if on_gpu() else processor


def here(tensor: Tensor) -> Tensor:
    """The tensor where the networks are."""
    return tensor.to(torch.get_default_device(), non_blocking=True)


def stored(path: Any) -> Any:
    """What torch.save wrote, wherever its tensors were then."""
    return torch.load(path, weights_only=True, map_location=torch.get_default_device())
