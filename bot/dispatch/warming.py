"""What a fresh worker loads while it waits, so that the first picture need not pay for it."""

from __future__ import annotations

import logging

from bot.dispatch.entitled import Entitled
from bot.dispatch.floor import Floor
from bot.dispatch.needs import NotHashedError
from bot.dispatch.workers import WorkerView
from gpu_worker.language.models import default_checkpoint
from gpu_worker.protocol import messages as m

__all__ = ["Warming"]

log = logging.getLogger(__name__)


class Warming:
    def __init__(self, floor: Floor, entitled: Entitled) -> None:
        self._floor = floor
        self._entitled = entitled

    async def warm(self, view: WorkerView) -> None:
        """The default checkpoint; a machine that lacks it fetches it, where it has the room."""
        if view.set_aside or not view.takes_work or view.hello.loaded is not None:
            return
        known = self._floor.workers.needs if view.hello.fetches else None
        default = default_checkpoint(self._floor.workers.models() if known is not None else view.hello.models)
        if default is None or not self._floor.workers.can_draw(view, default):
            return
        try:
            needs = await known.of_checkpoint(default) if known is not None else ()
        except NotHashedError:
            return
        self._entitled.note_prepare(view.name, needs)
        refs = tuple(needed.ref for needed in needs)
        await self._floor.transport.send(view.name, m.Prepare(worker=view.name, model=default, needs=refs))
