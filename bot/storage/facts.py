"""What the bot remembers of itself and of the speed of its workers."""

from __future__ import annotations

import statistics

from bot.domain.job import TASK_MODEL, TRAIN_MODEL
from bot.storage.database import Database

__all__ = ["Facts", "Timings"]

TRAINING = "train:"
"""Before a checkpoint: what stands for its training."""
TRAINING_FACTOR = 2.0
"""Learning from a megapixel costs about so much of drawing it for a step, until it is known better."""
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
        self._paces: dict[tuple[str, str], float] = {}
        """What `pace` found, until something is learnt."""

    async def load(self) -> None:
        for row in await self._db.all("SELECT * FROM timings"):
            self._known[row["model"], row["device"]] = (row["unit_s"], row["samples"])
        self._paces.clear()

    async def learn(self, model: str, device: str, units: float, run_s: float) -> None:
        if units <= 0 or run_s <= 0:
            return
        sample = run_s / units
        unit_s, samples = self._known.get((model, device), (sample, 0))
        weight = max(_FORGETTING, 1 / (samples + 1))
        known = (unit_s + weight * (sample - unit_s), samples + 1)
        self._known[model, device] = known
        self._paces.clear()
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO timings (model, device, unit_s, samples) VALUES (?, ?, ?, ?) ON CONFLICT (model, device) "
                "DO UPDATE SET unit_s = excluded.unit_s, samples = excluded.samples",
                (model, device, *known),
            )

    async def learn_training(self, checkpoint: str, device: str, units: float, run_s: float) -> None:
        """Beside drawing: with that checkpoint, and as any training."""
        await self.learn(f"{TRAINING}{checkpoint}", device, units, run_s)
        await self.learn(TRAIN_MODEL, device, units, run_s)

    def estimate_s(self, model: str, units: float) -> float | None:
        """Mean over the devices that have drawn this model; for a new one, over all; None before the first picture."""
        if model == TRAIN_MODEL:
            return _mean(self._of(model), units) or _mean(self._of_drawing(), units * TRAINING_FACTOR)
        return _mean(self._of(model) or self._of_drawing(), units)

    def pace(self, model: str, device: str) -> float:
        """How many times as long as `estimate_s` says that device takes: by that model, else by all that it and others
        have drawn; 1 where nothing is known."""
        key = (model, device)
        if key not in self._paces:
            self._paces[key] = self._relative(model, device) or self._general(device) or 1.0
        return self._paces[key]

    def drawing_s(self, device: str, preferred: str | None) -> tuple[str, float] | None:
        """Learnt seconds per work unit on that device: with the preferred checkpoint, else with the one that was drawn
        with most. None before its first picture."""
        found = {
            model: known
            for (model, its), known in self._known.items()
            if its == device and not model.startswith((TRAINING, TASK_MODEL))
        }
        if not found:
            return None
        model = preferred if preferred in found else max(found, key=lambda model: found[model][1])
        return model, found[model][0]

    def _relative(self, model: str, device: str) -> float | None:
        own, of_all = self._known.get((model, device)), self._of(model)
        return own[0] * len(of_all) / sum(of_all) if own is not None else None

    def _general(self, device: str) -> float | None:
        """The middle one, so that an odd model says little."""
        shared = [model for model, its in self._known if its == device and len(self._of(model)) > 1]
        found = [found for model in shared if (found := self._relative(model, device)) is not None]
        return statistics.median(found) if found else None

    def training_s(self, checkpoint: str, units: float) -> float | None:
        """As `estimate_s`, for a training beside that checkpoint: by what was learnt of it, else by how fast it draws,
        else as any training."""
        learnt = _mean(self._of(f"{TRAINING}{checkpoint}"), units)
        draws = _mean(self._of(checkpoint), units * TRAINING_FACTOR)
        return learnt or draws or self.estimate_s(TRAIN_MODEL, units)

    def _of(self, model: str) -> list[float]:
        return [unit_s for (name, _), (unit_s, _) in self._known.items() if name == model]

    def _of_drawing(self) -> list[float]:
        """Of all, but no training says how fast a checkpoint draws."""
        return [
            unit_s
            for (name, _), (unit_s, _) in self._known.items()
            if name != TRAIN_MODEL and not name.startswith(TRAINING)
        ]


def _mean(unit_s: list[float], units: float) -> float | None:
    return units * sum(unit_s) / len(unit_s) if unit_s else None
