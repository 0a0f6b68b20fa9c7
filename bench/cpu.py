"""Who used the processor meanwhile: a time means little without it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from bench.product import Product
from bench.report import Figure

__all__ = ["Cores", "CpuWatch", "cpu_s"]


@dataclass(frozen=True)
class Cores:
    """Cores in use, on average over the time watched."""

    worker: float
    bot: float
    playground: float
    others: float
    """Programs that have nothing to do with the measurement; near 0 on a quiet machine."""

    def figures(self, topic: str) -> list[Figure]:
        return [
            Figure(topic, "cores the worker kept busy", self.worker),
            Figure(topic, "cores the bot used", self.bot),
            Figure(topic, "cores the playground used", self.playground),
            Figure(topic, "cores other programs used", self.others),
        ]


class CpuWatch:
    """Starts with its making, ends with `stop`."""

    def __init__(self, product: Product) -> None:
        self._processes = (product.worker, product.bot, product.playground, psutil.Process())
        self._before = self._now()

    def stop(self) -> Cores:
        took = [after - before for before, after in zip(self._before, self._now(), strict=True)]
        wall_s, machine_s, *own = took
        worker, bot, playground, ours = (s / wall_s for s in own)
        return Cores(worker, bot, playground, max(0.0, machine_s / wall_s - worker - bot - playground - ours))

    def _now(self) -> list[float]:
        times = psutil.cpu_times()
        machine_s = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        return [time.monotonic(), machine_s, *(cpu_s(process) for process in self._processes)]


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
