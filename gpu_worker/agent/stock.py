"""What jobs read, brought to this machine before they begin: model files within a budget, and pictures.

A child draws with fetched files alone (`--fetched`), under the bot's names for them, so that a seed means one picture
on every machine. Files of the machine's own are used where their bytes are the same: linked, not fetched.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.agent.getting import Get
from gpu_worker.agent.inputs import InputStore
from gpu_worker.agent.models import ModelsFrom, ModelStore
from gpu_worker.agent.own import OwnFiles
from gpu_worker.agent.refusals import StockError
from gpu_worker.agent.shelf import Shelf
from gpu_worker.agent.source import SourceRules
from gpu_worker.language.image_refs import images_in, texts_in
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef

__all__ = ["ModelsFrom", "Stock", "StockError", "StockPlaces", "StockRules"]

TELL_EVERY_S = 0.5
MB = 2**20


@dataclass(frozen=True, slots=True)
class StockPlaces:
    fetched: Path
    """For fetched model files, a folder for each kind; a child is started with `--fetched` and this, and without
    `--models`. All that this machine's agent did not put there goes."""
    inputs: Path
    """For pictures, by the hash of their bytes: where a child's pipe transport looks for them."""
    models: Path
    """The machine's own: `models` of its data folder."""
    more: tuple[Path, ...] = ()
    """Further folders of its own (PINCEL_MODEL_FOLDERS)."""


@dataclass(frozen=True, slots=True)
class StockRules:
    budget_mb: int | None = None
    """For fetched model files; None: as much as the disk has, but for `spare_mb`."""
    models_from: ModelsFrom = "auto"
    """`auto`: large files from where they were published, and from the bot where that fails; `source`: small ones, too;
    `bot`: everything through the bot's own connection."""
    spare_mb: int = 2048
    """Of the disk, left to others."""
    inputs_mb: int = 1024
    retry_s: float = 1.0
    rest_s: float = 30.0
    """How long this machine takes no other work after its disk had no room: it would fail one job after the other."""


class Stock:
    """One for all cards of a machine, used on one event loop. Nothing needs to be closed."""

    def __init__(
        self, get: Get, places: StockPlaces, rules: StockRules | None = None, source: SourceRules | None = None
    ) -> None:
        """Blocks for a moment. Raises OSError where the folders cannot be made."""
        rules = rules or StockRules()
        shelf = Shelf(places.fetched)
        shelf.open()
        places.inputs.mkdir(parents=True, exist_ok=True)
        self._models = ModelStore(
            get, shelf, OwnFiles(places.models, places.more, places.fetched / "own.json"),
            budget_bytes=None if rules.budget_mb is None else rules.budget_mb * MB, spare_bytes=rules.spare_mb * MB,
            models_from=rules.models_from, source=source or SourceRules(), retry_s=rules.retry_s,
        )  # fmt: skip
        self._inputs = InputStore(places.inputs, get, budget_bytes=rules.inputs_mb * MB, retry_s=rules.retry_s)
        self._held: dict[Hashable, tuple[str, ...]] = {}
        """Addresses of inputs, by holder."""
        self._numbers = itertools.count()
        self._rest_s, self._rests_until = rules.rest_s, float("-inf")

    @property
    def rests(self) -> bool:
        """Its disk had no room just now."""
        return time.monotonic() < self._rests_until

    def room_mb(self) -> int:
        """For `Hello.models_room_mb`; looks at the disk."""
        return self._models.room_bytes() // MB

    def with_hashes(self, models: Sequence[m.ModelFact]) -> tuple[m.ModelFact, ...]:
        """For `Hello.models`: a child's list, with the hashes that are known here and not yet there."""
        return tuple(
            fact.model_copy(update={"sha256": sha256}) if (sha256 := self._models.hash_of(fact)) else fact
            for fact in models
        )

    async def ready(self, message: m.Assign | m.Prepare, tell: Callable[[int, int], None]) -> bool:
        """All that it needs lies here when this returns, and stays until `release`. True: new model files came, so
        every child has to `rescan` before it is given the message. `tell(done, of)` is called with thousandths, now and
        then, where something is fetched. Waits for a bot that is away; cancelling it ends it, and what had come stays
        for the next try. Raises StockError; then, or cancelled, nothing is held."""
        assigned = isinstance(message, m.Assign)
        holder: Hashable = (message.job, message.attempt) if assigned else next(self._numbers)
        try:
            images = images_in(message) if assigned else {}
            self._inputs.hold(images)
            self._held[holder] = tuple(images)
            await self._models.claim(holder, message.needs)
            if assigned:
                await self._models.drop_strays(message.needs, texts_in(message))
            found = await self._bring(message.needs, list(images.values()), tell)
        except BaseException as error:
            self._let_go(holder)
            if isinstance(error, StockError) and error.no_room:
                self._rests_until = time.monotonic() + self._rest_s
            raise
        if not assigned:
            self._let_go(holder)
        return found

    def release(self, job: str, attempt: int) -> None:
        """An `Assign` for which `ready` was called is over, however; also where that raised, or nothing was held."""
        self._let_go((job, attempt))

    def _let_go(self, holder: Hashable) -> None:
        self._models.release(holder)
        self._inputs.release(self._held.pop(holder, ()))

    async def _bring(
        self, needs: Sequence[m.ModelRef], images: Sequence[ImageRef], tell: Callable[[int, int], None]
    ) -> bool:
        models = await self._models.missing(needs)
        inputs = await self._inputs.missing(images)
        if not models and not inputs:
            return False
        bar = _Bar(sum(ref.size_bytes for ref in (*models, *inputs)), tell)
        try:
            async with asyncio.TaskGroup() as group:
                for ref in inputs:
                    group.create_task(self._inputs.bring(ref, bar.part()))
                group.create_task(self._one_after_the_other(models, bar))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        await self._inputs.make_room()
        return bool(models)

    async def _one_after_the_other(self, models: Sequence[m.ModelRef], bar: _Bar) -> None:
        for ref in models:
            await self._models.bring(ref, bar.part())


class _Bar:
    """Bytes of several files as thousandths of all, told twice a second."""

    def __init__(self, total: int, tell: Callable[[int, int], None]) -> None:
        self._total = max(1, total)
        self._tell = tell
        self._parts: list[int] = []
        self._told_at = time.monotonic()
        tell(0, 1000)

    def part(self) -> Callable[[int], None]:
        number = len(self._parts)
        self._parts.append(0)

        def told(size: int) -> None:
            self._parts[number] = size
            now = time.monotonic()
            if now - self._told_at >= TELL_EVERY_S:
                self._told_at = now
                self._tell(min(1000, sum(self._parts) * 1000 // self._total), 1000)

        return told
