"""Merges LoRAs into a checkpoint's weights for one job and takes them out again, bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from gpu_worker.engine.adapters.lora_file import LoraPart
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.networks import LoraRef

__all__ = ["AppliedLora", "merged_loras"]


@dataclass(frozen=True)
class AppliedLora:
    ref: LoraRef
    parts: Sequence[LoraPart]


@contextlib.contextmanager
def merged_loras(checkpoint: Checkpoint, loras: Sequence[AppliedLora]) -> Iterator[None]:
    """The checkpoint with `loras` merged in. Raises EngineError `bad_input` for one that does not fit, before any
    weight is touched. The originals are kept and copied back, because subtracting would leave rounding errors."""
    changes = _changes(checkpoint, loras)
    originals: list[tuple[torch.Tensor, torch.Tensor]] = []
    try:
        with torch.no_grad():
            for weight, terms in changes.values():
                total = weight.float()
                for part, ref in terms:
                    factor = ref.te if part.text else ref.unet
                    total = total + factor * part.change(ref.rank, weight.device).reshape(weight.shape)
                originals.append((weight, weight.detach().to("cpu", copy=True)))
                weight.copy_(total)
        yield
    finally:
        with torch.no_grad():
            for weight, original in originals:
                weight.copy_(original)


_Terms = list[tuple[LoraPart, LoraRef]]


def _changes(checkpoint: Checkpoint, loras: Sequence[AppliedLora]) -> dict[int, tuple[torch.Tensor, _Terms]]:
    if not loras:
        return {}
    weights = {True: _weights(checkpoint.text_encoders[0].model), False: _weights(checkpoint.unet)}
    changes: dict[int, tuple[torch.Tensor, _Terms]] = {}
    for lora in loras:
        fitting = 0
        for part in lora.parts:
            weight = weights[part.text].get(part.module)
            if weight is None:
                continue
            if not _fits(part, weight):
                raise _misfit(lora, checkpoint, f"{part.module}: {tuple(part.up.shape)} {tuple(part.down.shape)}")
            fitting += 1
            if lora.ref.te if part.text else lora.ref.unet:
                changes.setdefault(id(weight), (weight, []))[1].append((part, lora.ref))
        if not fitting:
            raise _misfit(lora, checkpoint, "no module in common")
    return changes


def _weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights of linear and convolution layers by module name with `_` for `.`."""
    return {
        name.replace(".", "_").removeprefix("text_model_"): module.weight
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    }


def _fits(part: LoraPart, weight: torch.Tensor) -> bool:
    """Shapes agree; a 1x1 convolution and a linear layer stand for each other."""
    rank = part.down.shape[0]
    if part.mid is not None:
        shape = (part.up.shape[0], part.down.shape[1], *part.mid.shape[2:])
    else:
        shape = (part.up.shape[0], *part.down.shape[1:])
        if part.up.shape[1] != rank:
            return False
    return _plain(shape) == _plain(tuple(weight.shape))


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if shape[2:] == (1, 1) else shape


def _misfit(lora: AppliedLora, checkpoint: Checkpoint, why: str) -> EngineError:
    detail = {"lora": lora.ref.name, "checkpoint": checkpoint.name, "reason": "lora_misfit"}
    return EngineError("bad_input", f"LoRA {lora.ref.name} does not fit {checkpoint.name}: {why}", detail)
