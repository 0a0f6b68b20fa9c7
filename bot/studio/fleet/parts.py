"""Wires what operators see and do of the machines that draw."""

from __future__ import annotations

from collections.abc import Mapping

from bot.broker.keys import Keys
from bot.dispatch.dispatcher import Dispatcher
from bot.storage.administration import AdminAudit
from bot.storage.machines import Machines
from bot.studio.fleet.desk import WORKER_VERBS, FleetDesk
from bot.studio.fleet.roll import Roll
from bot.studio.stewards import Stewards
from bot.studio.wiring.kept import Kept
from bot.ui.client import Presses

__all__ = ["FleetParts"]


class FleetParts:
    presses: Mapping[str, Presses]
    """Who answers which verb."""

    def __init__(self, *, kept: Kept, dispatcher: Dispatcher, keys: Keys | None, stewards: Stewards) -> None:
        machines = Machines(kept.database)
        self.roll = Roll(machines=machines, dispatcher=dispatcher, timings=kept.timings, keys=keys)
        dispatcher.on_distrust(self.roll.put_out)
        self.desk = FleetDesk(roll=self.roll, audit=AdminAudit(kept.database), stewards=stewards)
        self.presses = dict.fromkeys(WORKER_VERBS, self.desk)
