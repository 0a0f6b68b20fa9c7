"""The real bot in a process of its own, with a painter instead of workers, and a watch on its event loop."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from bot import __main__ as composition
from bot.dispatch.dispatcher import Leases
from bot.playground.redirect import Endpoints, point_discord_at
from gpu_worker.protocol.specs import DRAW_TASKS
from tests.stage.painter import Painter

LONG_S = 0.1
LOOK_S = 0.07
DEPTH = 4
WRITE_EVERY_S = 1.0


class LoopWatch:
    """How long each callback kept the loop from everything else: by the clock, and in CPU time of the loop's thread,
    which a busy machine does not stretch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.turns = 0
        self.longest_cpu_s = 0.0
        self.slow: list[dict[str, Any]] = []
        self._begun: float | None = None
        self._looked_at: tuple[float, str] = (0.0, "")
        self._loop_thread = threading.get_ident()

    def install(self) -> None:
        run, watch = asyncio.Handle._run, self

        def timed(handle: Any) -> None:
            clock, cpu = time.perf_counter(), time.thread_time()
            watch._begun = clock
            run(handle)
            watch._begun = None
            took_s, cpu_s = time.perf_counter() - clock, time.thread_time() - cpu
            watch.turns += 1
            watch.longest_cpu_s = max(watch.longest_cpu_s, cpu_s)
            if took_s > LONG_S:
                when, where = watch._looked_at
                what = where if when == clock else repr(handle)[:400]
                watch.slow.append({"what": what, "took_s": round(took_s, 3), "cpu_s": round(cpu_s, 3)})

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        threading.Thread(target=self._write, name="loop-watch", daemon=True).start()
        threading.Thread(target=self._look, name="loop-look", daemon=True).start()

    def _look(self) -> None:
        """What a callback that takes long is doing, looked at once from outside."""
        while True:
            time.sleep(LOOK_S / 4)
            begun = self._begun
            if begun is None or begun == self._looked_at[0] or time.perf_counter() - begun < LOOK_S:
                continue
            frame = sys._current_frames().get(self._loop_thread)
            lines = traceback.format_stack(frame) if frame is not None else []
            lines = [line for line in lines if "importlib" not in line][-DEPTH:]
            self._looked_at = (begun, " < ".join(" ".join(line.split()) for line in reversed(lines)))

    def _write(self) -> None:
        while True:
            time.sleep(WRITE_EVERY_S)
            slow = sorted(self.slow, key=lambda found: -found["cpu_s"])
            text = json.dumps({"turns": self.turns, "longest_cpu_s": self.longest_cpu_s, "slow": slow})
            part = self._path.with_suffix(".part")
            part.write_text(text, encoding="utf-8")
            part.replace(self._path)


def main() -> int:
    told = json.loads(os.environ.pop("SOAK"))
    point_discord_at(Endpoints(**told["endpoints"]))
    painter = Painter(Path(told["painter"]))
    painter.tasks = DRAW_TASKS
    composition._transport = lambda *_: painter  # pyright: ignore[reportAttributeAccessIssue]
    parts = composition.StudioParts
    patient = Leases(heartbeat_s=3600, lease_s=3600)  # the painter sends no heartbeats
    composition.StudioParts = lambda *given, **more: parts(*given, leases=patient, **more)  # pyright: ignore[reportAttributeAccessIssue]
    LoopWatch(Path(told["watch"])).install()
    return composition.main()


if __name__ == "__main__":
    sys.exit(main())
