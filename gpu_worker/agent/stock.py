"""What jobs read, brought to this machine before they begin: model files within a budget, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gpu_worker.agent.getting import Get
from gpu_worker.protocol import messages as m

__all__ = ["ModelsFrom", "Stock", "StockError", "StockPlaces", "StockRules"]

ModelsFrom = Literal["auto", "bot", "source"]


class StockError(Exception):
    """This job cannot have what it needs; its `Failed` is made of this."""

    def __init__(self, kind: m.FailureKind, message: str, detail: Mapping[str, Any] | None = None) -> None:
        """`message`: for the log; `detail`: what the user's sentence may show."""
        super().__init__(message)
        self.kind = kind
        self.detail = dict(detail or {})


@dataclass(frozen=True, slots=True)
class StockPlaces:
    fetched: Path
    """For fetched model files, a folder for each kind; a child is started with `--fetched` and this."""
    inputs: Path
    """For pictures, by the hash of their bytes: where a child's pipe transport looks for them."""
    models: Path
    """The machine's own: `models` of its data folder."""
    demo: Path
    more: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class StockRules:
    budget_mb: int | None = None
    """For fetched model files; None: as much as the disk has, but for `spare_mb`."""
    models_from: ModelsFrom = "auto"
    spare_mb: int = 2048
    """Of the disk, left to others."""
    inputs_mb: int = 1024


class Stock:
    """One for all cards of a machine, used on one event loop. Nothing needs to be closed."""

    def __init__(self, get: Get, places: StockPlaces, rules: StockRules | None = None) -> None: ...

    def room_mb(self) -> int:
        """For `Hello.models_room_mb`; looks at the disk."""
        raise NotImplementedError

    async def ready(self, message: m.Assign | m.Prepare, tell: Callable[[int, int], None]) -> bool:
        """All that it needs lies here when this returns, and stays until `release`. True: new model files came, so
        every child has to `rescan` before it is given the message. `tell(done, of)` is called with thousandths, now and
        then, where something is fetched. Waits for a bot that is away; cancelling it ends it, and what had come stays
        for the next try. Raises StockError."""
        raise NotImplementedError

    def release(self, job: str, attempt: int) -> None:
        """An `Assign` for which `ready` was called is over, however; also where that raised, or nothing was held."""
        raise NotImplementedError
