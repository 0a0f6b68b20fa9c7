"""Starting, ready or away: what a waiting user is told of the drawing machine."""

from bot.delivery.machine import START_WITHIN_S, Machine, MachineState


class Bench:
    def __init__(self, *, expected=True):
        self.workers, self.now = False, 0.0
        self.machine = Machine(lambda: self.workers, expected=expected, clock=lambda: self.now)

    @property
    def state(self):
        return self.machine.state


def test_it_starts_then_it_is_ready():
    bench = Bench()
    assert bench.state is MachineState.STARTING
    bench.workers = True
    assert bench.state is MachineState.READY


def test_it_is_away_once_a_start_has_failed_until_one_comes():
    bench = Bench()
    bench.machine.start_failed()
    assert bench.state is MachineState.AWAY
    bench.workers = True
    assert bench.state is MachineState.READY
    bench.workers = False  # it has died; its successor loads
    assert bench.state is MachineState.STARTING


def test_a_start_that_takes_for_ever_is_none():
    bench = Bench()
    assert bench.state is MachineState.STARTING
    bench.now = START_WITHIN_S + 1
    assert bench.state is MachineState.AWAY


def test_a_bot_without_workers_of_its_own_waits_for_one():
    bench = Bench(expected=False)
    assert bench.state is MachineState.AWAY
    bench.workers = True
    assert bench.state is MachineState.READY
