"""What the bot remembers of itself and of the speed of its workers."""

from __future__ import annotations

from bot.storage.database import Database

__all__ = ["Facts", "Timings"]

_FORGETTING = 0.2
"""Weight of the newest sample once there are a few: follows a changed card within about ten pictures."""


class Facts:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, key: str) -> str | None:
        row = await self._db.one("SELECT value FROM facts WHERE key = ?", (key,))
        return row["value"] if row else None

    async def put(self, key: str, value: str) -> None:
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )


class Timings:
    """Learnt seconds per work unit (steps x megapixels), by model and device."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: dict[tuple[str, str], tuple[float, int]] = {}

    async def load(self) -> None:
        for row in await self._db.all("SELECT * FROM timings"):
            self._known[row["model"], row["device"]] = (row["unit_s"], row["samples"])

    async def learn(self, model: str, device: str, units: float, run_s: float) -> None:
        if units <= 0 or run_s <= 0:
            return
        sample = run_s / units
        unit_s, samples = self._known.get((model, device), (sample, 0))
        weight = max(_FORGETTING, 1 / (samples + 1))
        known = (unit_s + weight * (sample - unit_s), samples + 1)
        self._known[model, device] = known
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO timings (model, device, unit_s, samples) VALUES (?, ?, ?, ?) ON CONFLICT (model, device) "
                "DO UPDATE SET unit_s = excluded.unit_s, samples = excluded.samples",
                (model, device, *known),
            )

    def estimate_s(self, model: str, units: float) -> float | None:
        """Mean over the devices that have drawn this model; for a new one, over all; None before the first picture."""
        same = [value for (name, _), (value, _) in self._known.items() if name == model]
        values = same or [value for value, _ in self._known.values()]
        return units * sum(values) / len(values) if values else None
