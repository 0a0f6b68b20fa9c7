"""What a worker has to say and has not said yet: lossy, and the newest word counts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Wire

__all__ = ["PendingEvents"]

_HEARTBEAT = "heartbeat of this worker"
"""Never the id of a job, which holds no spaces."""


class PendingEvents:
    """Filled by any thread, emptied by the one that writes."""

    def __init__(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """`on_ready` is called by whichever thread puts something in, and must not block."""
        self._on_ready = on_ready
        self._ready = threading.Condition()
        self._urgent: list[Wire] = []
        self._latest: dict[str, m.Progress | m.Heartbeat] = {}
        self._writing = False

    def put(self, message: Wire) -> None:
        """Never blocks; a newer progress of a job replaces an older one that was not sent."""
        with self._ready:
            match message:
                case m.Progress():
                    earlier = self._latest.get(message.job)
                    if isinstance(earlier, m.Progress) and message.preview is None:
                        # The newest picture of an attempt is news, too, though a step without one came after it.
                        kept = earlier.preview if earlier.attempt == message.attempt else None
                        message = message.model_copy(update={"preview": kept})
                    self._latest[message.job] = message
                case m.Heartbeat():
                    self._latest[_HEARTBEAT] = message
                case _:
                    self._urgent.append(message)
            self._ready.notify_all()
        self._on_ready()

    def drop_progress(self, job: str) -> None:
        """Its end is told."""
        with self._ready:
            self._latest.pop(job, None)

    def take(self) -> list[Wire]:
        """All of it in one go: a heartbeat made after a result must not overtake it, nor be overtaken for ever. What
        was taken before counts as written."""
        with self._ready:
            batch = [*self._urgent, *self._latest.values()]
            self._urgent.clear()
            self._latest.clear()
            self._writing = bool(batch)
            self._ready.notify_all()
        return batch

    def wait(self) -> list[Wire]:
        """Blocks until there is something to `take`."""
        with self._ready:
            self._writing = False
            self._ready.notify_all()
            self._ready.wait_for(lambda: self._urgent or self._latest)
        return self.take()

    def flush(self, timeout_s: float) -> None:
        """Waits until what was put in before is written, or `timeout_s` have passed."""
        with self._ready:
            self._ready.wait_for(lambda: not (self._urgent or self._latest or self._writing), timeout_s)
