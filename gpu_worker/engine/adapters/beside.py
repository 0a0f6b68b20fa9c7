"""LoRAs that some rows of a batch have and others do not: added to what a layer answers, beside its weights.

Merging them would mean other weights for each region's text within each step. A product of two small matrices costs
next to nothing, and all rows stay in one batch: x W + (x A) B for the rows that have it (Hu et al., 2021).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.adapters.changes import LowRank, Shape
from gpu_worker.engine.adapters.merge import merge_orders
from gpu_worker.engine.adapters.modules import ModuleBook
from gpu_worker.engine.adapters.network_part import NetworkPart
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint

__all__ = ["NetworksBeside", "runs_beside"]

Tensor = torch.Tensor


def runs_beside(network: AppliedNetwork) -> bool:
    """Plain LoRAs, in linear layers and convolutions; every other kind has to be merged."""
    return all(
        isinstance(part.change, LowRank) and part.change.mid is None and part.magnitude is None
        and part.addend is None and part.bias is None
        for part in network.parts
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Term:
    part: NetworkPart
    share: Shape
    factor: float
    ranks: int | None


@dataclass(frozen=True, eq=False)
class _Layer:
    module: Any
    terms: tuple[_Term, ...]


class NetworksBeside:
    """Of one checkpoint, as long as it is loaded. For one thread at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._book: ModuleBook | None = None
        self._layers: dict[tuple[object, ...], tuple[_Layer, ...]] = {}
        self._factors: dict[tuple[int, torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    @contextlib.contextmanager
    def of_rows(self, rows: Sequence[tuple[AppliedNetwork, ...]]) -> Iterator[None]:
        """Inside, the UNet answers row i of a batch with the networks `rows[i]` beside what is merged. All of them can
        run so. Raises EngineError `bad_input` (`lora_misfit`)."""
        places: dict[tuple[object, ...], list[int]] = {}
        networks: dict[tuple[object, ...], tuple[AppliedNetwork, ...]] = {}
        for place, own in enumerate(rows):
            if own:
                key = tuple(network.key for network in own)
                places.setdefault(key, []).append(place)
                networks[key] = own
        handles: list[Any] = []
        try:
            for key, own in networks.items():
                layers = self._found(key, own)
                # One at a time: those that are there are removed, whatever happens to the next.
                for layer in layers:
                    handle = layer.module.register_forward_hook(self._hook(layer, places[key]))
                    handles += [handle]
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _found(self, key: tuple[object, ...], own: tuple[AppliedNetwork, ...]) -> tuple[_Layer, ...]:
        if key not in self._layers:
            self._book = self._book or ModuleBook(self._checkpoint)
            orders = merge_orders(self._book, self._checkpoint.name, own)
            self._layers[key] = tuple(
                _Layer(
                    order.target.module,
                    tuple(_Term(term.part, term.share, term.factor, term.ranks) for term in order.terms),
                )
                for order in orders.values()
                if not order.target.text
            )
        return self._layers[key]

    def _hook(self, layer: _Layer, places: list[int]) -> Any:
        runs = _runs(places)

        def add(module: Any, given: tuple[Any, ...], answer: Tensor) -> None:
            # A layer's answer is its own tensor, so it can be written to; views of rows copy nothing.
            for start, end in runs:
                x, own = given[0][start:end], answer[start:end]
                for term in layer.terms:
                    own += self._change(module, x, term)

        return add

    def _change(self, module: Any, x: Tensor, term: _Term) -> Tensor:
        up, down = self._factors_of(module, term, x)
        if isinstance(module, torch.nn.Conv2d):
            # An inpainting checkpoint's first layer may have a LoRA for the latent's channels alone.
            seen = x[:, : term.share[1]]
            inner = module._conv_forward(seen, down, None)  # pyright: ignore[reportPrivateUsage] (knows how it pads)
            return torch.nn.functional.conv2d(inner, up[:, :, None, None])
        return torch.nn.functional.linear(torch.nn.functional.linear(x, down), up)

    def _factors_of(self, module: Any, term: _Term, x: Tensor) -> tuple[Tensor, Tensor]:
        key = (id(term), x.device, x.dtype)
        if key not in self._factors:
            change = term.part.change
            assert isinstance(change, LowRank), "asked before"
            up, down = change.factors(module.weight, term.ranks)
            scaled = (up * (term.factor * term.part.scale)).to(x.device, x.dtype)
            shape = term.share[1:] if isinstance(module, torch.nn.Conv2d) else (down.shape[1],)
            self._factors[key] = scaled, down.reshape(down.shape[0], *shape).to(x.device, x.dtype)
        return self._factors[key]


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges: start and end."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs
