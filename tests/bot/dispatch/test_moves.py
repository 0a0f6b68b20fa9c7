"""Moves of admins over the fair order, and a line that is paused: in the policy, the plan and the dispatcher."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bot.dispatch.policy import Candidate, FairClock, choose, plan
from bot.domain.ids import GuildId, JobId, UserId
from bot.domain.job import JobStatus, Lane
from bot.domain.queue_rules import ALL_SERVERS, GateState, Move
from bot.storage.queue_gates import QueueGates
from gpu_worker.protocol import messages as m
from tests.contract.farm import new_job

counter = itertools.count()


def job(user: int, guild: int | None = 1, at: float = 0.0, move: Move | None = None, lane: Lane = Lane.INTERACTIVE):
    return Candidate(
        JobId(f"m{next(counter)}"), UserId(user), lane, "m1", 1.0, guild_id=guild, joined_at=at, moved=move
    )


def order(queue: list[Candidate], clock: FairClock | None = None) -> list[Candidate]:
    clock, rest, found = clock or FairClock(), list(queue), []
    while rest:
        choice = choose(rest, clock, planned_model="m1")
        assert choice is not None
        clock.started(choice)
        rest.remove(choice.job)
        found.append(choice.job)
    return found


def test_an_operators_front_goes_before_every_lane_and_the_newest_first():
    first, batch, newest = job(1), job(2, at=5, move=Move.FRONT, lane=Lane.BATCH), job(3, at=9, move=Move.FRONT)
    assert order([first, batch, newest]) == [newest, batch, first]


def test_a_servers_front_takes_no_turn_of_another_server():
    ours = [job(1, 1) for _ in range(3)]
    moved = job(2, 1, at=9, move=Move.SERVER_FRONT)
    theirs = [job(3, 2) for _ in range(3)]
    busy = FairClock({(Lane.INTERACTIVE, UserId(2)): 50.0})  # they had much lately, so alone they would come last
    found = order([*ours, *theirs, moved], busy)
    assert found.index(moved) < min(found.index(one) for one in ours)
    # Without the move the other server would have been served at the same places.
    plain = order([*ours, *theirs, job(2, 1)], FairClock({(Lane.INTERACTIVE, UserId(2)): 50.0}))
    assert [at for at, one in enumerate(found) if one in theirs] == [
        at for at, one in enumerate(plain) if one in theirs
    ]


def test_what_is_moved_back_waits_for_those_who_were_there_and_not_for_those_who_come():
    back = job(1, at=10, move=Move.BACK)
    there, later = job(2, at=3), job(2, at=20)
    assert order([back, there, later]) == [there, back, later]


def test_a_servers_back_waits_for_its_own_server_alone():
    back = job(1, 1, at=10, move=Move.SERVER_BACK)
    own, foreign = job(2, 1, at=3), job(3, 2, at=4)
    found = order([back, own, foreign, foreign_late := job(3, 2, at=5)])
    assert found.index(own) < found.index(back) < found.index(foreign_late)


@given(
    st.lists(
        st.builds(
            job, st.integers(1, 4), st.sampled_from([None, 1, 2]), st.floats(0, 9), st.sampled_from([None, *Move]),
            st.sampled_from([Lane.INTERACTIVE, Lane.BATCH]),
        ),
        max_size=25,
    )
)  # fmt: skip
def test_every_job_is_started_once_whatever_was_moved_and_the_plan_says_the_same(queue):
    clock = FairClock()
    planned = [candidate.id for candidate, _ in plan(queue, clock, [])]
    assert sorted(planned) == sorted(one.id for one in queue)
    assert planned == [one.id for one in order(queue, clock)]


async def test_a_move_is_durable_and_reorders_what_waits(desk):
    first, second = await desk.submit("a", user=1), await desk.submit("b", user=2)
    assert await desk.dispatcher.move(second, Move.FRONT)
    standings = await desk.dispatcher.standings()
    assert standings[second].position < standings[first].position
    await desk.hello()
    assert desk.transport.assigned[0].job == second
    assert not await desk.dispatcher.move(second, Move.BACK), "it waits no longer"


async def test_a_paused_server_waits_and_the_others_go_on(desk):
    gates = QueueGates(desk.database)
    desk.dispatcher._floor.gates = gates
    assert await gates.put(1, GateState.PAUSED, by=5)
    assert not await gates.put(1, GateState.PAUSED, by=6), "pressed twice"
    held, _ = await desk.dispatcher.submit(replace(new_job("a"), guild_id=GuildId(1)))
    free, _ = await desk.dispatcher.submit(replace(new_job("b"), guild_id=GuildId(2)))
    standing = (await desk.dispatcher.standings())[held]
    assert (standing.paused, standing.eta_s, standing.position) == (True, None, 2)
    await desk.hello()
    assert [sent.job for sent in desk.transport.assigned] == [free]

    again = QueueGates(desk.database)  # after a restart
    await again.load()
    assert again.holds(1)
    assert not again.holds(2)
    await gates.put(1, GateState.RUNNING, by=5)
    await desk.dispatcher.gates_changed()
    await desk.quiet()
    assert (await desk.job(held)).status is JobStatus.ASSIGNED


async def test_a_pause_takes_back_what_a_worker_only_holds(desk):
    gates = QueueGates(desk.database)
    desk.dispatcher._floor.gates = gates
    await desk.hello()
    drawn, held = await desk.submit("a"), await desk.submit("b")
    await desk.beat("w1", (drawn, 1, "sampling"), (held, 1, "queued"))
    await gates.put(ALL_SERVERS, GateState.PAUSED, by=5)
    await desk.dispatcher.gates_changed()
    await desk.quiet()
    assert desk.transport.cancels("w1") == [(held, 1, "paused")]
    assert (await desk.job(held)).status is JobStatus.QUEUED
    assert (await desk.job(drawn)).status is JobStatus.ASSIGNED
    await desk.dispatcher.on_message(m.Cancelled(worker="w1", job=held, attempt=1))
    assert (await desk.job(held)).status is JobStatus.QUEUED, "nobody asked for that cancel"
    await desk.done("w1", drawn, 1)
    assert len(desk.transport.assigned) == 2, "paused"
    await gates.put(ALL_SERVERS, GateState.RUNNING, by=5)
    await desk.dispatcher.gates_changed()
    await desk.quiet()
    assert (desk.transport.assigned[-1].job, desk.transport.assigned[-1].attempt) == (held, 2)
    await desk.done("w1", held, 2)
    assert (await desk.job(held)).status is JobStatus.DONE


async def test_a_late_picture_of_what_was_taken_back_counts(desk):
    gates = QueueGates(desk.database)
    desk.dispatcher._floor.gates = gates
    await desk.hello()
    job = await desk.submit("a")
    await gates.put(ALL_SERVERS, GateState.PAUSED, by=5)
    await desk.dispatcher.gates_changed()
    await desk.done("w1", job, 1)
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_of_two_who_pause_at_once_one_does_it(desk):
    gates = QueueGates(desk.database)
    done = await asyncio.gather(*(gates.put(1, GateState.PAUSED, by=who) for who in range(5)))
    assert sorted(done) == [False] * 4 + [True]


async def test_the_operators_pause_holds_direct_messages_too(desk):
    gates = QueueGates(desk.database)
    await gates.put(ALL_SERVERS, GateState.PAUSED, by=5)
    assert gates.holds(None)
    assert gates.holds(7)
