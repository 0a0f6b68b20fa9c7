"""Which of several workers a job is for: whoever would finish it first. Pure.

Workers ask for jobs one at a time (bot/dispatch/waiting.py says who is next). Where another would finish that job
sooner, although it must end something first, the job is left to it, and so much of its time counts as taken when the
next one is looked at. So a slow card gets the small jobs, a checkpoint is not read again where it is in memory next
door, and what a worker would have to fetch goes to whoever has it on disk. Among few jobs a slow worker rather waits;
where so many wait that the others could not be done with them any sooner, it takes the one that loses least.

A fetch is worth it where the others would take as long again as the fetch does: the card that fetches is lost to
whoever comes meanwhile.

Nothing is left for ever: a job that was first left as long ago as it would take here, or `MAX_WAIT_S` ago, is taken. So
a wrong guess, or others that went before it, cost a job at most as much again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from bot.dispatch.fair import MAX_WAIT_S, Candidate, Choice, FairClock
from bot.dispatch.hands import MARGIN_S, Hand, Hands
from bot.dispatch.waiting import SLACK_S, Waiting
from bot.domain.ids import JobId
from bot.domain.job import Lane

__all__ = ["LEAVES_MAX", "LOOKS_MAX", "MARGIN_S", "Hand", "Hands", "Offer", "Stop", "first_taker", "offer"]

LEAVES_MAX = 8
"""After so many it is asked whether leaving still gains anybody anything."""
LOOKS_MAX = 4096
"""So many jobs are looked at for one worker. Those behind them wait where all are left, though cards may be idle."""

Stop = Callable[[str, Candidate], bool]
"""Whether the worker of that name can be given that job at once."""


def _nobody(name: str, job: Candidate) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Offer:
    choice: Choice | None
    """None: nothing is for this worker now."""
    left: tuple[JobId, ...] = ()
    """What would have been its turn and is for a worker that finishes it sooner."""
    first: str | None = None
    """Who is to be asked before anything else is looked at: it can be given the last of those at once."""


def offer(
    waiting: Waiting,
    clock: FairClock,
    mine: Hand,
    hands: Hands,
    *,
    lanes: frozenset[str] = frozenset(),
    draws: Callable[[str], bool],
    takes: Callable[[Candidate], bool] | None = None,
    stop: Stop = _nobody,
) -> Offer:
    """What `mine`, one of `hands`, is given now. Nothing is started by that; what is left has its place in `hands`
    from then on. Nothing is looked at behind a job whose worker `stop` says yes to."""
    # Reading another checkpoint keeps everybody waiting for that long: users within it are level.
    slack_s = SLACK_S + mine.load_s(mine.planned_model) if mine.planned_model is not None else SLACK_S
    first = waiting.choose(clock, mine.planned_model, lanes, draws, takes, slack_s=slack_s)
    if first is None:
        return Offer(None)
    left, least = list[JobId](), None
    for choice in _in_turn(waiting, clock, first, mine, lanes, draws, takes, slack_s):
        job = choice.job
        worth_s = mine.worth_s(job)
        waited = job.left_s >= min(MAX_WAIT_S, worth_s)
        place = None if job.lane is Lane.TRAINING or job.overdue or waited else hands.sooner(job, mine)
        if place is None:
            return Offer(choice, tuple(left))
        name, at_s = place
        if least is None or worth_s - at_s < least[0]:
            least = (worth_s - at_s, choice)
        left.append(job.id)
        if stop(name, job):
            return Offer(None, tuple(left), first=name)
        if len(left) == LEAVES_MAX and _gains_nobody(waiting, hands, mine, least[1].job):
            break
        if len(left) >= LOOKS_MAX:
            break
    if least is not None and _gains_nobody(waiting, hands, mine, least[1].job):
        choice = least[1]
        return Offer(choice, tuple(job_id for job_id in left if job_id != choice.job.id))
    return Offer(None, tuple(left))


def _gains_nobody(waiting: Waiting, hands: Hands, mine: Hand, job: Candidate) -> bool:
    """So much waits that all together are done with it later than `mine` would be with that job."""
    return waiting.cost_s / hands.throughput(job.model) > mine.worth_s(job)


def _in_turn(
    waiting: Waiting,
    clock: FairClock,
    first: Choice,
    mine: Hand,
    lanes: frozenset[str],
    draws: Callable[[str], bool],
    takes: Callable[[Candidate], bool] | None,
    slack_s: float,
) -> Iterator[Choice]:
    """What would be its turn after each other if the one before were gone: the first few with affinity."""
    seen, choice, ahead = set[JobId](), first, clock.copy()
    while True:
        yield choice
        seen.add(choice.job.id)
        if len(seen) >= LEAVES_MAX:
            break
        ahead.started(choice)
        found = waiting.choose(
            ahead, mine.planned_model, lanes, draws,
            lambda job: job.id not in seen and (takes is None or takes(job)),
            slack_s=slack_s, supposed=True,
        )  # fmt: skip
        if found is None:
            return
        choice = Choice(found.job, first.virtual_s, found.passed_over, found.payer)
    for job in waiting.in_turn(clock, lanes, draws, takes):
        if job.id not in seen:
            yield Choice(job, first.virtual_s)


def first_taker(
    ready: Sequence[str],
    ask: Callable[[str, Stop], Offer],
    alike: Callable[[str], Hashable] = lambda _: None,
    may: Stop = lambda name, job: True,
) -> tuple[str, Choice] | None:
    """Asks these workers in that order, but whoever a job was left to before the others. `may` says whether one of
    them can be given that job at once.

    Where one has left all it looked at, no more of those that may be given the same jobs (`alike`) are asked: whoever
    they are for was named. So of a thousand idle slow cards a few are asked, not all each time.
    """
    rest, following = iter(ready), list[str]()
    everybody, asked, leavers = set(ready), set[str](), set[Hashable]()

    def stop(name: str, job: Candidate) -> bool:
        return name in everybody and name not in asked and may(name, job)

    while True:
        if following:
            name = following.pop()
        else:
            name = next((one for one in rest if one not in asked and alike(one) not in leavers), None)
        if name is None:
            return None
        asked.add(name)
        found = ask(name, stop)
        if found.choice is not None:
            return name, found.choice
        if found.first is not None:  # it is asked again where that one takes nothing
            following += (name, found.first)
        elif found.left:
            leavers.add(alike(name))
