"""The kit's checkpoint, read back into the networks that other parts, and a further training, start from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import load
from torch import Tensor, nn

from demo_kit.folders import KIT

__all__ = ["CHECKPOINT", "START", "read_back"]

CHECKPOINT = KIT / "checkpoints" / "pincel-demo.safetensors"
START = Path(__file__).parent / "start" / "checkpoints" / "pincel-demo.safetensors"
"""Of the kit that is in the making: where trainings begin until it ships."""


def read_back(module: nn.Module, renamed: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]) -> None:
    """Fill a network with its weights in the checkpoint. `renamed` gives names, and shapes, as files have them.

    Ends the program with a sentence where there is no checkpoint yet.
    """
    path = next((path for path in (CHECKPOINT, START) if path.is_file()), None)
    if path is None:
        raise SystemExit(f"{CHECKPOINT} is not there yet. Train it first: python -m demo_kit vae base decoder")
    file, state = load(path.read_bytes()), module.state_dict()
    # What is renamed, or another shape of it, lies where the weight lies.
    theirs = {value.data_ptr(): key for key, value in renamed(state).items()}
    for value in state.values():
        value.copy_(file[theirs[value.data_ptr()]].view_as(value))
