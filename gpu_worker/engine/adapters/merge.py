"""Merges LoRA-like networks into a checkpoint's weights and takes them out again, bit for bit.

A merged weight is a new tensor; the original is set aside as it is and put back, because subtracting would leave
rounding errors. Switching reads no file and copies nothing but what it computes. Where the card has no room for both,
the original waits in main memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from gpu_worker.engine.adapters.changes import Shape
from gpu_worker.engine.adapters.modules import Changeable, ModuleBook
from gpu_worker.engine.adapters.network_part import NetworkPart
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.adapters.slots import Slot, roomy
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.errors import EngineError

__all__ = ["LATENT_CHANNELS", "MergeOrder", "NetworkMerger", "merge_orders", "merged_networks"]

LATENT_CHANNELS = 4


@dataclass(frozen=True, eq=False)
class _Term:
    part: NetworkPart
    share: Shape
    """What of the weight it is made for."""
    factor: float
    ranks: int | None
    stamp: tuple[str, int, int]

    @property
    def key(self) -> tuple[object, ...]:
        return self.stamp, self.part.key, self.factor, self.ranks


@dataclass
class MergeOrder:
    """What is laid over one module, in order."""

    target: Changeable
    terms: list[_Term] = field(default_factory=list[_Term])

    @property
    def key(self) -> tuple[object, ...]:
        return tuple(term.key for term in self.terms)

    @property
    def changes_weight(self) -> bool:
        return any(term.part.change is not None for term in self.terms)

    @property
    def changes_bias(self) -> bool:
        return any(term.part.bias is not None for term in self.terms)

    def merge_weight(self, total: torch.Tensor) -> None:
        """`total` is the weight in contiguous float32, in its module's shape; it is changed."""
        for term in self.terms:
            _merge_weight(total, term)

    def merge_bias(self, total: torch.Tensor) -> None:
        for term in self.terms:
            if term.part.bias is not None:
                total.add_(term.part.bias.to(total.device).float(), alpha=term.factor)


@dataclass
class _Merged:
    key: tuple[object, ...]
    weight: Slot
    bias: Slot


class NetworkMerger:
    """Belongs to one checkpoint, as long as that is loaded. For one thread at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._book = ModuleBook(checkpoint)
        self._merged: dict[int, _Merged] = {}
        self._key: tuple[object, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """The keys of what is merged now."""
        return self._key

    def apply(self, networks: Sequence[AppliedNetwork]) -> None:
        """Afterwards exactly `networks` are merged, whatever was before; only modules whose share differs are touched.

        Raises EngineError `bad_input` (`lora_misfit`) for a network that does not fit, before any weight is touched.
        After any other failure nothing is merged.
        """
        key = tuple(network.key for network in networks)
        if key == self._key:
            return
        orders = merge_orders(self._book, self._checkpoint.name, networks)
        try:
            with torch.inference_mode(False), torch.no_grad():
                for module in [known for known in self._merged if known not in orders]:
                    self._take_out(module)
                changed = {m: o for m, o in orders.items() if m not in self._merged or self._merged[m].key != o.key}
                # Elsewhere parts come and go, and originals on the card would take the room that was made.
                stays = self._checkpoint.device.memory not in ("medium", "low")
                room = stays and roomy([order.target.module.weight for order in changed.values()])
                for module, order in changed.items():
                    self._merge(module, order, keep=room or not order.target.module.weight.is_cuda)
        except BaseException:
            self.restore()
            raise
        self._key = key

    def restore(self) -> None:
        """Every weight is bit for bit what it was."""
        with torch.inference_mode(False), torch.no_grad():
            for module in list(self._merged):
                self._take_out(module)
        self._key = ()

    def _merge(self, module: int, order: MergeOrder, keep: bool) -> None:
        if module not in self._merged:
            layer = order.target.module
            self._merged[module] = _Merged((), Slot(layer, "weight"), Slot(layer, "bias"))
        merged = self._merged[module]
        merged.key = ()
        device = self._checkpoint.device.torch_device
        if order.changes_weight:
            total = merged.weight.begin(device, keep)
            order.merge_weight(total)
            merged.weight.finish(total)
        else:
            merged.weight.restore()
        if order.changes_bias:
            total = merged.bias.begin(device, keep)
            order.merge_bias(total)
            merged.bias.finish(total)
        else:
            merged.bias.restore()
        merged.key = order.key

    def _take_out(self, module: int) -> None:
        merged = self._merged[module]
        merged.weight.restore()
        merged.bias.restore()
        del self._merged[module]


def merge_orders(book: ModuleBook, checkpoint: str, networks: Sequence[AppliedNetwork]) -> dict[int, MergeOrder]:
    """By the id of the module. Looks at shapes alone. Raises EngineError `bad_input` (`lora_misfit`); `checkpoint` is
    named there."""
    orders: dict[int, MergeOrder] = {}
    for network in networks:
        found = 0
        for part in network.parts:
            target = book.find(part.place)
            if target is None:
                continue
            weight = target.module.weight
            share = None if weight is None else _share(part, tuple(weight.shape))
            if share is None:
                raise _misfit(network, checkpoint, f"{part.key} on {None if weight is None else tuple(weight.shape)}")
            found += 1
            if factor := network.ref.te if target.text else network.ref.unet:
                order = orders.setdefault(id(target.module), MergeOrder(target))
                order.terms.append(_Term(part, share, factor, network.ref.rank, network.stamp))
        if network.parts and not found:
            raise _misfit(network, checkpoint, "no module in common")
    return orders


def _misfit(network: AppliedNetwork, checkpoint: str, why: str) -> EngineError:
    name = network.ref.name
    detail = {"lora": name, "checkpoint": checkpoint, "reason": "lora_misfit"}
    return EngineError("bad_input", f"LoRA {name} does not fit {checkpoint}: {why}", detail)


@contextlib.contextmanager
def merged_networks(checkpoint: Checkpoint, networks: Sequence[AppliedNetwork]) -> Iterator[None]:
    """The checkpoint with `networks` merged in, and without any trace of them afterwards. Raises as `apply` does."""
    merger = NetworkMerger(checkpoint)
    try:
        merger.apply(networks)
        yield
    finally:
        merger.restore()


def _share(part: NetworkPart, shape: Shape) -> Shape | None:
    """The share of a weight of this shape that the part is made for: all, or the latent's channels of an inpainting
    checkpoint's first layer (behaviours §5.5). None where it does not fit."""
    if part.fits(shape):
        return shape
    latent = (shape[0], LATENT_CHANNELS, *shape[2:])
    return latent if len(shape) == 4 and shape[1] > LATENT_CHANNELS and part.fits(latent) else None


def _merge_weight(total: torch.Tensor, term: _Term) -> None:
    if term.share == tuple(total.shape):
        term.part.merge_into(total, term.factor, term.ranks)
        return
    share = total[:, :LATENT_CHANNELS].contiguous()
    term.part.merge_into(share, term.factor, term.ranks)
    total[:, :LATENT_CHANNELS] = share
