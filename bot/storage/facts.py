"""What the bot remembers of itself and of the speed of its workers."""

from __future__ import annotations

import itertools
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
    """Learnt seconds per work unit (steps x megapixels), by model and device. Estimates are asked for beside the event
    loop, too, and of each waiting job: they look up what was reckoned when something was learnt."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: dict[tuple[str, str], tuple[float, int]] = {}
        self._by_model: dict[str, dict[str, float]] = {}
        """The same seconds, by device."""
        self._means: dict[str, float] = {}
        """Over the devices of a model."""
        self._drawing: float | None = None
        """Over all, but no training says how fast a checkpoint draws."""
        self._generals: dict[str, float | None] = {}
        """How many times as long as the others a device takes, in general; until something is learnt."""

    async def load(self) -> None:
        for row in await self._db.all("SELECT * FROM timings"):
            self._know(row["model"], row["device"], row["unit_s"], row["samples"])
        self._reckon()

    def _know(self, model: str, device: str, unit_s: float, samples: int) -> None:
        self._known[model, device] = (unit_s, samples)
        own = self._by_model[model] = {**self._by_model.get(model, {}), device: unit_s}
        self._means[model] = statistics.fmean(own.values())

    def _reckon(self) -> None:
        drawing = (its.values() for name, its in self._by_model.items() if _draws(name))
        every = list(itertools.chain.from_iterable(drawing))
        self._drawing = statistics.fmean(every) if every else None
        self._generals = {}

    async def learn(self, model: str, device: str, units: float, run_s: float) -> None:
        if units <= 0 or run_s <= 0:
            return
        sample = run_s / units
        unit_s, samples = self._known.get((model, device), (sample, 0))
        weight = max(_FORGETTING, 1 / (samples + 1))
        known = (unit_s + weight * (sample - unit_s), samples + 1)
        self._know(model, device, *known)
        self._reckon()
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
        own = self._means.get(model)
        if model == TRAIN_MODEL:
            return _times(own, units) or _times(self._drawing, units * TRAINING_FACTOR)
        return _times(own if own is not None else self._drawing, units)

    def pace(self, model: str, device: str) -> float:
        """How many times as long as `estimate_s` says that device takes: by that model, else by all that it and others
        have drawn; 1 where nothing is known."""
        return self._relative(model, device) or self._general(device) or 1.0

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
        own = self._known.get((model, device))
        return own[0] / self._means[model] if own is not None else None

    def _general(self, device: str) -> float | None:
        """The middle one, so that an odd model says little."""
        generals = self._generals
        if device not in generals:
            shared = [model for model, its in list(self._by_model.items()) if device in its and len(its) > 1]
            found = [found for model in shared if (found := self._relative(model, device)) is not None]
            generals[device] = statistics.median(found) if found else None
        return generals[device]

    def training_s(self, checkpoint: str, units: float) -> float | None:
        """As `estimate_s`, for a training beside that checkpoint: by what was learnt of it, else by how fast it draws,
        else as any training."""
        learnt = _times(self._means.get(f"{TRAINING}{checkpoint}"), units)
        draws = _times(self._means.get(checkpoint), units * TRAINING_FACTOR)
        return learnt or draws or self.estimate_s(TRAIN_MODEL, units)


def _draws(model: str) -> bool:
    return model != TRAIN_MODEL and not model.startswith(TRAINING)


def _times(unit_s: float | None, units: float) -> float | None:
    return units * unit_s if unit_s is not None else None
