"""From the prompts of a spec to timelines of encodings, remembered across jobs."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.adapters.embeddings import Embedding
from gpu_worker.engine.conditioning.encode import Reading, encode_texts
from gpu_worker.engine.conditioning.guide import Encoded, Timeline
from gpu_worker.engine.state import ModelState, ModelStates
from gpu_worker.language.schedule import prompt_schedule, split_and

__all__ = ["Conditioner", "Steps"]

CACHE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Steps:
    """How many model calls a pass makes, as prompt editing counts them (behaviours §2.1, §2.3)."""

    first: int
    second: int | None = None
    """Set for the second pass of a hires fix."""
    old: bool = False


@dataclass(frozen=True)
class _Entry:
    model: weakref.ref[Any]
    encoded: tuple[Encoded, ...]
    used: tuple[Embedding, ...]


class Conditioner:
    """Text encodings by whole call, because A1111's emphasis depends on all the texts of one (behaviours §3.3)."""

    def __init__(self, states: ModelStates, limit_bytes: int = CACHE_BYTES) -> None:
        self._states = states
        self._limit = limit_bytes
        self._held = 0
        self._entries: OrderedDict[tuple[object, ...], _Entry] = OrderedDict()
        self.encodes = 0
        """Calls that really ran a text model; for tests and benchmarks."""

    def positive(
        self,
        state: ModelState,
        prompt: str,
        steps: Steps,
        reading: Reading,
        used: Callable[[Embedding], object],
        states: Sequence[ModelState] = (),
    ) -> tuple[tuple[float, Timeline], ...]:
        """The parts of an AND; `states` are theirs where they differ. `used` is told every textual inversion that is
        read."""
        parts = split_and(prompt)
        return tuple(
            (weight, self.timeline(own, text, steps, reading, used))
            for (text, weight), own in zip(parts, states or (state,) * len(parts), strict=True)
        )

    def timeline(
        self, state: ModelState, prompt: str, steps: Steps, reading: Reading, used: Callable[[Embedding], object]
    ) -> Timeline:
        schedule = prompt_schedule(prompt, steps.first, steps.second, old=steps.old)
        encoded = self._encoded(state, tuple(text for _, text in schedule), reading, used)
        return tuple((end, entry) for (end, _), entry in zip(schedule, encoded, strict=True))

    def clear(self) -> None:
        self._entries.clear()
        self._held = 0

    def _encoded(
        self, state: ModelState, texts: tuple[str, ...], reading: Reading, used: Callable[[Embedding], object]
    ) -> tuple[Encoded, ...]:
        model = state.checkpoint.text_encoders[0].model
        shelf = reading.shelf.key if reading.shelf else None
        merged = tuple((net.stamp, net.ref.te, net.ref.rank) for net in state.networks if net.ref.te)
        key = (id(model), merged, shelf, texts, reading.clip_skip, reading.emphasis, reading.negative)
        entry = self._entries.get(key)
        if entry is None or entry.model() is not model:
            entry = self._encode(state, model, texts, reading)
            self._keep(key, entry)
        self._entries.move_to_end(key)
        for embedding in entry.used:
            used(embedding)
        return entry.encoded

    def _encode(self, state: ModelState, model: Any, texts: tuple[str, ...], reading: Reading) -> _Entry:
        self._states.enter(state)
        self.encodes += 1
        found: dict[str, Embedding] = {}
        encoded = encode_texts(state.checkpoint, texts, reading, lambda read: found.setdefault(read.name, read))
        return _Entry(weakref.ref(model), encoded, tuple(found.values()))

    def _keep(self, key: tuple[object, ...], entry: _Entry) -> None:
        old = self._entries.pop(key, None)
        self._entries[key] = entry
        self._held += _bytes(entry) - (_bytes(old) if old else 0)
        while self._held > self._limit and len(self._entries) > 1:
            _, dropped = self._entries.popitem(last=False)
            self._held -= _bytes(dropped)


def _bytes(entry: _Entry) -> int:
    def size(tensor: torch.Tensor | None) -> int:
        return 0 if tensor is None else tensor.numel() * tensor.element_size()

    # The encodings of one call are views of one tensor; equal texts share theirs.
    return sum(size(encoded.context) + size(encoded.pooled) for encoded in dict.fromkeys(entry.encoded))
