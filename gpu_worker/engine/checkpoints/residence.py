"""Which networks are on the card: budgets, the memory modes, and a UNet that visits the card block by block.

A1111's medvram and lowvram (behaviours §26). Where the card is the machine's own memory (CPU) nothing really moves, but
every decision is the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gpu_worker.engine.checkpoints.checkpoint import Part
from gpu_worker.engine.device import Device
from gpu_worker.engine.memory import free, is_out_of_memory

__all__ = ["Card", "Mover", "Resident", "move_network"]

Mover = Callable[[nn.Module, torch.device], None]
RAM = torch.device("cpu")
THREADS = 4

_TOGETHER = ({"unet", "control"}, {"control"})
"""Parts that a step needs side by side."""
_UNITS = frozenset({"ResnetBlock2D", "BasicTransformerBlock", "Downsample2D", "Upsample2D"})
"""What visits the card alone in mode `low`; everything else of a UNet is small and stays."""


def move_network(network: nn.Module, to: torch.device) -> None:
    """Parameters and buffers stay the same objects. Several copies to a card are under way at once, because each waits
    for its pages of the file."""
    tensors = [*network.parameters(), *network.buffers()]
    if to.type == "cpu":
        moved = [tensor.data.to(to) for tensor in tensors]
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            moved = list(pool.map(lambda tensor: tensor.data.to(to), tensors))
    for tensor, data in zip(tensors, moved, strict=True):
        tensor.data = data


@dataclass(eq=False)
class Resident:
    """The networks of one part, which move together."""

    part: Part
    networks: Sequence[Any]
    leave: Callable[[Resident], None] = field(default=lambda _: None)
    """Called before it goes from the card to memory."""
    borrowed: Callable[[], bool] = field(default=lambda: False)
    hooks: list[Any] = field(default_factory=list)
    """While it is on the card block by block."""

    @property
    def size_bytes(self) -> int:
        return sum(
            tensor.numel() * tensor.element_size()
            for network in self.networks
            for tensor in (*network.parameters(), *network.buffers())
        )

    def detach(self) -> None:
        """Memory of its own in place of the mapped file, before the file may change or go."""
        for network in self.networks:
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.data = tensor.data.clone()


class Card:
    """Keeps what was needed last. `high` never sends away what a job has borrowed; `auto` does when the budget is
    exceeded, and takes a UNet beyond the whole budget block by block; `medium` keeps one part at a time; `low` takes
    every UNet block by block besides."""

    def __init__(self, device: Device, budget_bytes: int | None, move: Mover = move_network) -> None:
        """Without a budget nothing is ever too much."""
        self._device = device
        self._budget = budget_bytes
        self._move = move
        self._here: OrderedDict[Resident, None] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        return sum(resident.size_bytes for resident in self._here if not resident.hooks)

    def holds(self, resident: Resident) -> bool:
        return resident in self._here

    def fits(self, size_bytes: int) -> bool:
        return self._budget is None or self.used_bytes + size_bytes <= self._budget

    def need(self, resident: Resident) -> None:
        """Brings it to the card. Raises torch.OutOfMemoryError where even alone it has no room."""
        if resident in self._here:
            self._here.move_to_end(resident)
            return
        for other in self._leaving(resident):
            self.release(other)
        try:
            self._enter(resident)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        for other in list(self._here):
            self.release(other)
        free(self._device.torch_device)
        self._enter(resident)

    def release(self, resident: Resident) -> None:
        """Sends it back to memory; nothing happens where it is not on the card."""
        if resident not in self._here:
            return
        resident.leave(resident)
        del self._here[resident]
        for hook in resident.hooks:
            hook.remove()
        resident.hooks.clear()
        for network in resident.networks:
            self._move(network, RAM)

    def forget(self, resident: Resident) -> None:
        """It will not be used again, so it is not worth a journey."""
        self._here.pop(resident, None)

    def _leaving(self, resident: Resident) -> list[Resident]:
        if self._device.memory in {"medium", "low"}:
            return [other for other in self._here if {resident.part, other.part} not in _TOGETHER]
        if self._budget is None:
            return []
        size = 0 if self._streams(resident) else resident.size_bytes
        used, leaving = self.used_bytes, []
        for borrowed in (False, True):
            for other in self._here:
                if used + size <= self._budget:
                    return leaving
                if other.borrowed() == borrowed and not other.hooks:
                    leaving.append(other)
                    used -= other.size_bytes
            if self._device.memory == "high":
                break
        return leaving

    def _streams(self, resident: Resident) -> bool:
        if resident.part != "unet":
            return False
        over = self._budget is not None and resident.size_bytes > self._budget
        return self._device.memory == "low" or (self._device.memory == "auto" and over)

    def _enter(self, resident: Resident) -> None:
        target = self._device.torch_device
        try:
            for network in resident.networks:
                if self._streams(resident):
                    self._stream(resident, network, target)
                else:
                    self._move(network, target)
        except BaseException:
            # Half of a network on each side would fail at its next use.
            for hook in resident.hooks:
                hook.remove()
            resident.hooks.clear()
            for network in resident.networks:
                self._move(network, RAM)
            raise
        self._here[resident] = None

    def _stream(self, resident: Resident, network: nn.Module, target: torch.device) -> None:
        units = list(_units(network))
        inside = {id(module) for unit in units for module in unit.modules()}
        for module in network.modules():
            if id(module) not in inside and not any(True for _ in module.children()):
                self._move(module, target)
        visit = _Visit(self._move, target)
        for unit in units:
            resident.hooks.append(unit.register_forward_pre_hook(visit.enter))
            resident.hooks.append(unit.register_forward_hook(visit.leave, always_call=True))


class _Visit:
    """One unit's stay on the card during its forward pass. Its tensors in memory are kept and simply put back, since a
    forward pass changes no weight."""

    def __init__(self, move: Mover, target: torch.device) -> None:
        self._move = move
        self._target = target
        self._kept: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def enter(self, unit: nn.Module, _args: Any) -> None:
        self._kept[id(unit)] = [(tensor, tensor.data) for tensor in (*unit.parameters(), *unit.buffers())]
        with torch.inference_mode(False):
            self._move(unit, self._target)

    def leave(self, unit: nn.Module, _args: Any, _output: Any) -> None:
        for tensor, data in self._kept.pop(id(unit), []):
            tensor.data = data


def _units(network: nn.Module) -> Iterator[nn.Module]:
    for child in network.children():
        if type(child).__name__ in _UNITS:
            yield child
        else:
            yield from _units(child)
