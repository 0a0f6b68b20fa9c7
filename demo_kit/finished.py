"""The kit's finished checkpoint, read back into the networks that the other parts start from."""

from collections.abc import Callable, Mapping

import torch
from safetensors import safe_open
from torch import Tensor, nn

from demo_kit.folders import KIT

__all__ = ["CHECKPOINT", "read_back"]

CHECKPOINT = KIT / "checkpoints" / "pincel-demo.safetensors"


def read_back(module: nn.Module, renamed: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> None:
    """Fill a network with its weights in the checkpoint. `renamed` gives names, and shapes, as files have them.

    Ends the program with a sentence where there is no checkpoint yet.
    """
    if not CHECKPOINT.is_file():
        raise SystemExit(f"{CHECKPOINT} is not there yet. Train it first: python -m demo_kit vae base decoder")
    with safe_open(CHECKPOINT, "pt", device=str(torch.get_default_device())) as file:
        state = module.state_dict()
        # What is renamed, or another shape of it, lies where the weight lies.
        theirs = {value.data_ptr(): key for key, value in renamed(state).items()}
        for value in state.values():
            value.copy_(file.get_tensor(theirs[value.data_ptr()]).view_as(value))
