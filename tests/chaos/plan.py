"""What happens in one run, all of it drawn from its seed: who asks for what and when, and what breaks when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FULL", "SHORT", "Clocks", "Fault", "Kind", "Order", "Plan", "plan_of"]


@dataclass(frozen=True, slots=True)
class Clocks:
    """Everything that is measured in leases shrinks with them."""

    lease_s: float
    work_s: float
    """Within this time all is ordered and all breaks."""

    @property
    def scale(self) -> float:
        """Of every time that the product counts in; 1 is what it has outside of tests."""
        return self.lease_s / 15.0

    @property
    def silence_s(self) -> float:
        """A link that is silent for a minute, at this scale."""
        return 60.0 * self.scale


SHORT = Clocks(lease_s=2.0, work_s=9.0)
FULL = Clocks(lease_s=15.0, work_s=70.0)


class Kind(StrEnum):
    BOT_KILLED = "bot killed"
    BOT_ENDED = "bot told to end"
    BOT_STOPPED = "bot stopped for a while"
    MACHINE_KILLED = "machine killed"
    MACHINE_ENDED = "machine told to end"
    MACHINE_STOPPED = "machine stopped for a while"
    CARD_KILLED = "card's process killed"
    CARD_STOPPED = "card's process stopped for a while"
    BROKER_KILLED = "broker killed"
    BROKER_EMPTIED = "broker killed and its disk emptied"
    BROKER_STOPPED = "broker stopped for a while"
    MACHINE_SILENT = "machine's link silent"
    BOT_SILENT = "bot's link silent"
    RESET = "connections reset"
    SLOW = "link of 200 ms"
    MEDDLED = "messages doubled and out of order"
    MACHINE_FULL = "machine's disk full"
    BOT_FULL = "bot's disk full"
    BROKER_FULL = "broker's disk full"
    CLOCK = "clock set"


FULL_DISKS = frozenset({Kind.MACHINE_FULL, Kind.BOT_FULL, Kind.BROKER_FULL})
DEADLY = frozenset(
    {Kind.MACHINE_KILLED, Kind.MACHINE_STOPPED, Kind.CARD_KILLED, Kind.CARD_STOPPED, Kind.MACHINE_SILENT}
)
"""A job may be blamed for these: it was being drawn when its worker went. After three it is given up."""
DEADLY_MOST = 2


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for. `label` is the picture's name, too."""

    label: str
    at_s: float
    user: int
    words: str
    model: str
    lane: str
    count: int
    cancel_after_s: float | None = None
    fails: str = ""
    """The kind of failure that its user has to be told of, in the end."""
    poison: bool = False
    given_kb: int = 0
    """Of the picture to start from, in thousands of bytes; 0: without one."""
    steps: int = 0
    """Of a training; 0: it is a drawing."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    at_s: float
    for_s: float
    """Until it is mended, or what was killed is started again."""
    machine: int
    """Whose; -1 for the bot's, where a fault can be of either."""
    lost: bool
    """Of a silent link: whether its bytes are lost, or come when it speaks again."""
    seconds: int
    """By which a clock is set."""


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    clocks: Clocks
    cards: tuple[int, ...]
    """Of each machine."""
    orders: tuple[Order, ...]
    faults: tuple[Fault, ...]
    skews: tuple[int, ...]
    """Of the wall clocks, in seconds: the bot's first, then each machine's."""

    @property
    def machines(self) -> int:
        return len(self.cards)


def plan_of(seed: int, clocks: Clocks = SHORT, *, without: frozenset[Kind] = frozenset()) -> Plan:
    """`without`: what cannot be done on this machine."""
    dice = random.Random(f"chaos {seed}")
    machines = dice.choice((1, 2, 2, 3))
    orders = [_order(dice, number, clocks) for number in range(dice.randint(10, 22))]
    kinds = _kinds(dice, without)
    return Plan(
        seed, clocks, tuple(dice.choice((1, 1, 2)) for _ in range(machines)),
        tuple(sorted(orders, key=lambda order: order.at_s)),
        tuple(sorted((_fault(dice, kind, clocks, machines) for kind in kinds), key=lambda fault: fault.at_s)),
        tuple(dice.choice((0, 0, -5, 40, -3600, 86400, 30 * 86400)) for _ in range(machines + 1)),
    )  # fmt: skip


def _order(dice: random.Random, number: int, clocks: Clocks) -> Order:
    label = f"j{number}"
    longer = 1 + (clocks.scale > 0.5) * 3
    sleep_s = round(dice.choice((0.05, 0.2, 0.5, 1.2)) * longer, 2)
    words, fails, poison, given_kb, steps = f"sleep:{sleep_s}", "", False, 0, 0
    match dice.choices(
        ("plain", "big", "given", "parts", "train", "flaky", "block", "fail", "bug", "poison"),
        (40, 10, 12, 8, 5, 5, 6, 6, 3, 5),
    )[0]:
        case "big":
            words += f" big:{dice.choice((300, 1200, 2500))}"
        case "given":
            given_kb = dice.choice((2, 700, 1800))
        case "train":
            words, steps = "", dice.choice((30, 60, 90))
        case "parts":
            words = f"parts:{dice.randint(2, 4)} slow:{sleep_s / 2:.2f}"
        case "flaky":
            words += " flaky:1"
        case "block":
            words = f"block:{sleep_s}"
        case "fail":
            fails = dice.choice(("bad_input", "missing_model"))
            words = f"fail:{fails}"
        case "bug":
            words, fails = "bug", "other"
        case "poison":
            words, fails, poison = "sleep:0.1 dies", "crash", True
        case _:
            pass
    return Order(
        label, round(dice.uniform(0, clocks.work_s), 3), dice.randint(1, 4), words, dice.choice(("m1", "m1", "m2")),
        dice.choice(("interactive", "interactive", "batch")), dice.choice((1, 1, 2)),
        round(dice.uniform(0, 2.0 * longer), 3) if dice.random() < 0.15 else None, fails, poison,
        given_kb, steps,
    )  # fmt: skip


def _kinds(dice: random.Random, without: frozenset[Kind]) -> list[Kind]:
    """Three to seven, of which few take a worker away: a job that loses three by bad luck is rightly given up."""
    kinds: list[Kind] = []
    possible = [kind for kind in Kind if kind not in without]
    for _ in range(dice.randint(3, 7)):
        kind = dice.choice(possible)
        if kind in DEADLY and sum(one in DEADLY for one in kinds) >= DEADLY_MOST:
            continue
        kinds.append(kind)
    return kinds


def _fault(dice: random.Random, kind: Kind, clocks: Clocks, machines: int) -> Fault:
    lease_s = clocks.lease_s
    match kind:
        case Kind.BOT_STOPPED | Kind.MACHINE_STOPPED | Kind.CARD_STOPPED | Kind.BROKER_STOPPED:
            for_s = dice.uniform(0.3, 2.5) * lease_s
        case Kind.MACHINE_SILENT | Kind.BOT_SILENT:
            for_s = dice.choice((0.05, 0.3, 1.0, 1.0)) * clocks.silence_s
        case Kind.SLOW | Kind.MEDDLED | Kind.MACHINE_FULL | Kind.BOT_FULL | Kind.BROKER_FULL:
            for_s = dice.uniform(0.5, 3.0) * lease_s
        case _:
            for_s = dice.choice((0.1, 0.5, 1.5)) * lease_s
    of_either = kind in (Kind.SLOW, Kind.MEDDLED, Kind.RESET, Kind.CLOCK)
    return Fault(
        kind, round(dice.uniform(0.2, clocks.work_s), 3), round(for_s, 3), dice.randrange(-of_either, machines),
        dice.random() < 0.5, dice.choice((-7200, -30, 30, 7200, 400 * 86400)),
    )  # fmt: skip
