"""Which models a user may name: what the live workers say, and before any has spoken, what the folder's headers say."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.dispatch.dispatcher import Dispatcher
from gpu_worker.language.models import scan_models
from gpu_worker.protocol.messages import ModelFact

__all__ = ["Models"]


class Models:
    def __init__(self, dispatcher: Dispatcher, *, models_dir: Path, demo_dir: Path) -> None:
        self._dispatcher = dispatcher
        self._models_dir = models_dir
        self._demo_dir = demo_dir
        self._scanned: tuple[ModelFact, ...] = ()

    async def load(self) -> None:
        """Reads headers only, off the loop; so /imagine works in the seconds in which the worker still loads torch."""
        self._scanned = await asyncio.to_thread(scan_models, self._models_dir, self._demo_dir)

    def facts(self) -> tuple[ModelFact, ...]:
        return self._dispatcher.models() or self._scanned

    def names(self, kind: str) -> list[str]:
        """Usable ones only."""
        return [fact.name for fact in self.facts() if fact.kind == kind and not fact.problem]
