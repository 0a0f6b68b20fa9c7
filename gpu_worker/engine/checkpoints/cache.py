"""Keeps what was used last loaded, on the card and in memory, within budgets."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from gpu_worker.engine.checkpoints.budgets import card_budget, memory_budget
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, Prediction
from gpu_worker.engine.checkpoints.folder import load_folder_networks, load_folder_vae, load_tokenizer
from gpu_worker.engine.checkpoints.hashes import HashBook
from gpu_worker.engine.checkpoints.networks import Networks
from gpu_worker.engine.checkpoints.residence import Card, Mover, Resident, move_network
from gpu_worker.engine.checkpoints.single_file import load_networks, load_vae
from gpu_worker.engine.control.network import ControlModel, LoadedControl
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import ModelFile

__all__ = ["ModelCache"]

Stamp = tuple[str, str, int, int]
"""What of a file (`networks` or `vae`), path, size and modification time: another stamp is another model."""


@dataclass(eq=False)
class _Item:
    payload: Any
    """Networks, or a VAE."""
    residents: tuple[Resident, ...]
    borrowed: int = 0


@dataclass
class _Shelf:
    items: OrderedDict[Stamp, _Item] = field(default_factory=OrderedDict)
    pairs: dict[tuple[Stamp, Stamp], Checkpoint] = field(default_factory=dict)


class ModelCache:
    """Checkpoints and VAEs, each loaded once. What is borrowed is never dropped; of the rest the least recently used
    goes first, from the card to memory, from memory for good. A file that changed is loaded anew. Its methods may be
    called from several threads."""

    def __init__(
        self,
        device: Device,
        options: EngineOptions,
        vocabulary: Path | None,
        book: HashBook | None = None,
        move: Mover = move_network,
    ) -> None:
        """`vocabulary` is a folder with CLIP's tokenizer, which single files lack; `book` remembers what probing found.
        Nothing is loaded yet."""
        self._device = device
        self._vocabulary = vocabulary
        self._book = book
        self._memory_budget = memory_budget(options)
        self._card = Card(device, card_budget(device, options), move)
        self._shelf = _Shelf()
        self._lock = threading.RLock()
        self._tokenizer: Any = None

    def holds(self, model: ModelFile, vae: ModelFile | None = None) -> bool:
        """Whether borrowing this would load nothing. Raises EngineError `missing_model`."""
        items = self._shelf.items
        return _stamp("networks", model) in items and _stamp("vae", vae or model) in items

    @contextlib.contextmanager
    def borrow(self, model: ModelFile, vae: ModelFile | None = None) -> Iterator[Checkpoint]:
        """Loads what is missing. With another VAE the text models and the UNet are the same objects. Raises EngineError
        `missing_model`, or `bad_model` with a `problem`."""
        with self._lock, torch.inference_mode(False):
            stamps = _stamp("networks", model), _stamp("vae", vae or model)
            items: list[_Item] = []
            try:
                items.append(self._item(stamps[0], lambda: self._networks(model)))
                networks = cast("Networks", items[0].payload)
                items.append(self._item(stamps[1], lambda: self._vae(model, vae, networks)))
                checkpoint = self._pair(stamps, model.fact.name, items[0], items[1])
            except BaseException:
                self._give_back(items)
                raise
        try:
            yield checkpoint
        finally:
            with self._lock:
                self._give_back(items)
                self._trim(0, keep=items)  # even where one alone exceeds the budget, the next job most likely wants it

    @contextlib.contextmanager
    def borrow_control(
        self, file: ModelFile, of: ModelFile | None, load: Callable[[], LoadedControl], *, visits: bool
    ) -> Iterator[ControlModel]:
        """A control model. `of` is the checkpoint that its weights are reckoned from, if any; one that `visits` leaves
        the card after each use. Raises EngineError `missing_model` and what `load` raises."""
        what = "control" if of is None else "control of {} {} {} {}".format(*_stamp("networks", of))

        def item() -> _Item:
            loaded = load()
            return self._made(loaded, Resident("control", [loaded.network]))

        with self._lock, torch.inference_mode(False):
            held = self._item(_stamp(what, file), item)
        resident = held.residents[0]
        visits = visits or self._device.memory == "low"
        try:
            yield ControlModel(
                file.fact.name,
                held.payload,
                bring=lambda: self._bring(resident),
                leave=(lambda: self._release(resident)) if visits else lambda: None,
            )
        finally:
            with self._lock:
                self._give_back([held])
                self._trim(0, keep=[held])

    def clear(self) -> None:
        """Drops everything that is not borrowed."""
        with self._lock:
            for stamp in list(self._shelf.items):
                if not self._shelf.items[stamp].borrowed:
                    self._drop(stamp)
            gc.collect()
            free(self._device.torch_device)

    def _item(self, stamp: Stamp, load: Callable[[], _Item]) -> _Item:
        """Borrowed already when it is returned."""
        items = self._shelf.items
        if stamp not in items:
            for other in [s for s in items if s[:2] == stamp[:2] and not items[s].borrowed]:
                self._drop(other)  # the file as it was before
            if not self._device.is_cuda:
                self._trim(stamp[2])  # about what it will need: the size of its file
            try:
                item = load()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                item = None
            if item is None:
                self.clear()
                item = load()
            items[stamp] = item
            self._settle(item)
            self._trim(0, keep=[item])
        items.move_to_end(stamp)
        items[stamp].borrowed += 1
        return items[stamp]

    def _pair(self, stamps: tuple[Stamp, Stamp], name: str, first: _Item, second: _Item) -> Checkpoint:
        pairs = self._shelf.pairs
        if stamps not in pairs:
            networks = cast("Networks", first.payload)
            residents = {resident.part: resident for resident in (*first.residents, *second.residents)}
            pairs[stamps] = Checkpoint(
                name=name,
                family=networks.family,
                unet=networks.unet,
                vae=second.payload,
                text_encoders=networks.text_encoders,
                latent_scale=networks.latent_scale,
                table=networks.table,
                device=self._device,
                prediction=networks.prediction,
                concat=networks.concat,
                bring=lambda part: self._bring(residents[part]),
            )
        return pairs[stamps]

    def _bring(self, resident: Resident) -> None:
        # Weights made in inference mode could never be changed outside it again.
        with self._lock, torch.inference_mode(False):
            self._card.need(resident)

    def _release(self, resident: Resident) -> None:
        with self._lock, torch.inference_mode(False):
            self._card.release(resident)

    def _networks(self, model: ModelFile) -> _Item:
        detail = {"checkpoint": model.fact.name}
        if model.path.is_dir():
            networks = load_folder_networks(model.path, detail, self._device)
        else:
            networks = load_networks(model.path, detail, self._words(detail), self._device, self._probe(model))
        texts = [encoder.model for encoder in networks.text_encoders]
        return self._made(networks, Resident("text", texts), Resident("unet", [networks.unet]))

    def _vae(self, model: ModelFile, vae: ModelFile | None, networks: Networks) -> _Item:
        detail = {"checkpoint": model.fact.name} if vae is None else {"vae": vae.fact.name}
        path = (vae or model).path
        load = load_folder_vae if path.is_dir() else load_vae
        loaded = load(path, detail, networks.latent_scale, self._device)
        if loaded.config.latent_channels != networks.unet.config.out_channels:
            raise EngineError(
                "bad_model", f"{path}: other latents than the UNet's", {**detail, "problem": "unsupported"}
            )
        return self._made(loaded, Resident("vae", [loaded]))

    def _made(self, payload: Any, *residents: Resident) -> _Item:
        item = _Item(payload, residents)
        for resident in residents:
            resident.borrowed = lambda: item.borrowed > 0
            if self._device.is_cuda:
                resident.leave = lambda resident: self._trim(resident.size_bytes, keep=[item])
        return item

    def _words(self, detail: dict[str, str]) -> Any:
        if self._vocabulary is None:
            raise EngineError(
                "bad_model",
                "the demo checkpoint, whose CLIP vocabulary single files use, is gone",
                {**detail, "problem": "no_tokenizer"},
            )
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._vocabulary)
        return self._tokenizer

    def _probe(self, model: ModelFile) -> Callable[[Callable[[], Prediction]], Prediction]:
        def answer(ask: Callable[[], Prediction]) -> Prediction:
            if self._book is None:
                return ask()
            noted = self._book.noted(model.weights, "prediction")
            if noted not in {"epsilon", "v"}:
                noted = ask()
                self._book.note(model.weights, "prediction", noted)
            return cast("Prediction", noted)

        return answer

    def _settle(self, item: _Item) -> None:
        """Straight to the card with what fits beside the rest."""
        if self._device.memory in {"medium", "low"}:
            if self._device.is_cuda:
                for resident in item.residents:
                    resident.detach()
            return
        for resident in item.residents:
            if self._card.fits(resident.size_bytes):
                self._card.need(resident)
            elif self._device.is_cuda:
                resident.detach()

    def _memory_used(self) -> int:
        residents = [resident for item in self._shelf.items.values() for resident in item.residents]
        return sum(r.size_bytes for r in residents if not self._device.is_cuda or not self._card.holds(r) or r.hooks)

    def _trim(self, coming_bytes: int, keep: Sequence[_Item] = ()) -> None:
        """Drops what was not used for longest until memory has room for `coming_bytes`, or all that is left is
        borrowed."""
        items = self._shelf.items
        for stamp in list(items):
            if self._memory_used() + coming_bytes <= self._memory_budget:
                return
            if not items[stamp].borrowed and items[stamp] not in keep:
                self._drop(stamp)

    def _drop(self, stamp: Stamp) -> None:
        item = self._shelf.items.pop(stamp)
        for pair in [pair for pair in self._shelf.pairs if stamp in pair]:
            del self._shelf.pairs[pair]
        for resident in item.residents:
            self._card.forget(resident)

    def _give_back(self, items: list[_Item]) -> None:
        for item in items:
            item.borrowed -= 1


def _stamp(what: str, model: ModelFile) -> Stamp:
    try:
        stat = model.weights.stat()
    except OSError as error:
        raise EngineError("missing_model", f"{model.weights}: {error!r}", {model.fact.kind: model.fact.name}) from error
    return what, str(model.path), stat.st_size, stat.st_mtime_ns
