"""The simulation keeps what it says of the policy, at its smallest."""

from __future__ import annotations

import collections

from bench import dispatching
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
