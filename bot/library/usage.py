"""How often each model was used, and by whom: counted in memory, stored within a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from bot.storage.library import LibraryStore, Usage
from gpu_worker.protocol.messages import ModelKind

__all__ = ["UsageCounter"]


class UsageCounter:
    def __init__(self, store: LibraryStore) -> None:
        self.totals: dict[tuple[ModelKind, str], Usage] = {}
        """Over all users, without what is not stored yet."""
        self._store = store
        self._pending: Counter[tuple[ModelKind, str, int]] = Counter()

    async def load(self) -> None:
        self.totals = await self._store.usage()

    def note(self, names: Sequence[tuple[ModelKind, str]], user_id: int) -> None:
        for kind, name in dict.fromkeys(names):
            self._pending[kind, name, user_id] += 1

    async def of(self, user_id: int) -> Mapping[tuple[ModelKind, str], int]:
        found = await self._store.usage_of(user_id)
        for (kind, name, user), times in self._pending.items():
            if user == user_id:
                found[kind, name] = found.get((kind, name), 0) + times
        return found

    async def flush(self) -> Mapping[tuple[ModelKind, str], Usage]:
        """The new totals of what was used. Raises StorageFullError; then it is kept for the next time."""
        if not self._pending:
            return {}
        used, self._pending = self._pending, Counter()
        now = time.time()
        try:
            await self._store.add_usage(used, now)
        except BaseException:
            self._pending.update(used)
            raise
        for (kind, name, _), times in used.items():
            before = self.totals.get((kind, name))
            self.totals[kind, name] = Usage((before.times if before else 0) + times, now)
        return {(kind, name): self.totals[kind, name] for kind, name, _ in used}
