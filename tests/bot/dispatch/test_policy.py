"""Who is next: shares, lanes, affinity and its bounds; and the plan that people are shown."""

from __future__ import annotations

import collections
import itertools
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.dispatch.hands import KINDS_MAX, MARGIN_S
from bot.dispatch.policy import (
    BATCH_SHARE,
    LOOK_AHEAD,
    MAX_SKIPS,
    MAX_WAIT_S,
    PLANNED_EXACTLY,
    Candidate,
    FairClock,
    Hand,
    Hands,
    Line,
    Offer,
    Stop,
    Waiting,
    choose,
    first_taker,
    offer,
    plan,
)
from bot.domain.ids import JobId, UserId
from bot.domain.job import Lane
from bot.domain.queue_rules import Move

# Two cores are shared by every test: how long one example takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

counter = itertools.count()


def job(user: int, model: str = "m1", lane: Lane = Lane.INTERACTIVE, cost: float = 1.0, **facts) -> Candidate:
    return Candidate(JobId(f"job{next(counter)}"), UserId(user), lane, model, cost, **facts)


def work_off(
    queue: list[Candidate], clock: FairClock | None = None, model: str | None = None, starts: int = 10_000
) -> list[Candidate]:
    """Starts everything (or the first `starts`) on one worker, counting skips as the table does."""
    clock, rest, order = clock or FairClock(), list(queue), []
    while rest and len(order) < starts:
        choice = choose(rest, clock, planned_model=model)
        assert choice is not None
        clock.started(choice)
        model = choice.job.model
        rest.remove(choice.job)
        for place, candidate in enumerate(rest if choice.passed_over else ()):
            if candidate.id in choice.passed_over:
                rest[place] = replace(candidate, skipped=candidate.skipped + 1)
        order.append(choice.job)
    return order


def jain(shares: list[float]) -> float:
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


queues = st.lists(
    st.builds(
        job,
        user=st.integers(1, 6),
        model=st.sampled_from(["m1", "m2", "m3"]),
        lane=st.sampled_from([Lane.INTERACTIVE, Lane.BATCH, Lane.TRAINING]),
        cost=st.floats(0.01, 50),
        skipped=st.integers(0, MAX_SKIPS + 2),
        passed_over_s=st.floats(0, 2 * MAX_WAIT_S),
    ),
    max_size=40,
)


@given(queues)
def test_every_job_is_chosen_exactly_once(queue):
    assert collections.Counter(c.id for c in work_off(queue)) == collections.Counter(c.id for c in queue)


@given(queues, st.lists(st.sampled_from(["m1", "m2", None]), max_size=3))
def test_plan_is_a_permutation_with_growing_times_per_line(queue, models):
    planned = plan(queue, FairClock(), [Line(model) for model in models])
    assert sorted(c.id for c, _ in planned) == sorted(c.id for c in queue)
    assert all(ready_s >= c.cost_s for c, ready_s in planned[:1])


@given(queues)
def test_plan_of_one_worker_is_the_real_order(queue):
    # Skips are counted in the table while the plan looks ahead without it, so leave them out of reach of their bound.
    queue = [job(c.user_id, c.model, c.lane, c.cost_s) for c in queue[:MAX_SKIPS]]
    planned = plan(queue, FairClock(), [Line("m1", free_in_s=5)])
    assert [c.id for c, _ in planned] == [c.id for c in work_off(queue, model="m1")]
    times = [ready_s for _, ready_s in planned]
    assert times == sorted(times)


@given(queues)
def test_one_users_jobs_of_one_model_keep_their_order(queue):
    order = {c.id: place for place, c in enumerate(work_off(queue))}
    groups = collections.defaultdict(list)
    for candidate in queue:
        groups[candidate.user_id, candidate.lane, candidate.model].append(order[candidate.id])
    assert all(places == sorted(places) for places in groups.values())


@given(st.integers(1, 60), st.integers(1, 20))
def test_batch_is_not_starved(interactive, batch):
    queue = [job(n % 7, lane=Lane.INTERACTIVE) for n in range(interactive)]
    queue += [job(n % 3, lane=Lane.BATCH) for n in range(batch)]
    lanes = [c.lane for c in work_off(queue)]
    while Lane.BATCH in lanes and Lane.INTERACTIVE in lanes:
        assert Lane.BATCH in lanes[:BATCH_SHARE]
        lanes = lanes[lanes.index(Lane.BATCH) + 1 :]


def test_interactive_goes_before_batch_but_for_that_share():
    queue = [job(1, lane=Lane.BATCH) for _ in range(200)] + [job(2) for _ in range(50)]
    ranks = [rank for rank, c in enumerate(work_off(queue)) if c.lane is Lane.INTERACTIVE]
    assert ranks[-1] == 50 + 50 // (BATCH_SHARE - 1) - 1


@given(queues)
def test_training_begins_when_nothing_else_can_and_takes_nothing_from_batch(queue):
    lanes = [c.lane for c in work_off(queue)]
    trainings = lanes.count(Lane.TRAINING)
    assert Lane.TRAINING not in lanes[: len(lanes) - trainings]
    clock = FairClock(since_batch=3)
    training = job(1, lane=Lane.TRAINING)
    work_off([training], clock)
    assert clock.since_batch == 3


def test_a_training_is_moved_among_trainings_alone():
    front = job(1, lane=Lane.TRAINING, moved=Move.FRONT, joined_at=9.0)
    queue = [job(1, lane=Lane.TRAINING), job(2, lane=Lane.TRAINING), front, job(3)]
    order = work_off(queue)
    assert order[0].lane is Lane.INTERACTIVE
    assert order[1] is front


def test_training_that_was_broken_off_is_charged_for_what_it_ran():
    clock, long, short = FairClock(), job(1, lane=Lane.TRAINING, cost=9000.0), job(2, lane=Lane.TRAINING, cost=60.0)
    choice = choose([long, short], clock, planned_model=None)
    assert choice is not None
    clock.started(choice)
    clock.charge_used(long, 100.0)
    assert work_off([long, short], clock, starts=1) == [short]
    clock.charge_used(short, 200.0)
    assert work_off([long, short], clock, starts=1) == [long]


def test_only_trainings_wait_for_the_one_that_runs():
    picture, training = job(1, cost=2.0), job(2, lane=Lane.TRAINING, cost=50.0)
    planned = plan([picture, training], FairClock(), [Line(trains_for_s=1000.0)])
    assert [(c.id, ready_s) for c, ready_s in planned] == [(picture.id, 2.0), (training.id, 1052.0)]


def test_shares_inside_the_batch_lane_hold_while_interactive_runs_ahead():
    heavy, light = [job(1, lane=Lane.BATCH) for _ in range(50)], job(2, lane=Lane.BATCH)
    order = work_off([*heavy, light, *(job(3, cost=5) for _ in range(300))])
    batch = [c for c in order if c.lane is Lane.BATCH]
    assert batch.index(light) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_fifty_users_share_alike(seed):
    chance = random.Random(seed)
    queue = [job(n % 50, cost=chance.choice((0.1, 0.2, 0.4))) for n in range(1500)]
    chance.shuffle(queue)
    used = collections.Counter()
    for candidate in work_off(queue, starts=700):
        used[candidate.user_id] += candidate.cost_s
    assert jain([used[UserId(user)] for user in range(50)]) >= 0.99


def test_light_user_is_not_behind_a_heavy_one():
    queue = [job(1) for _ in range(100)] + [job(2)]
    assert [c.user_id for c in work_off(queue)].index(2) == 1


def test_costs_count_not_jobs():
    queue = [job(1, cost=10) for _ in range(20)] + [job(2, cost=1) for _ in range(40)]
    started = work_off(queue)[:22]
    assert sum(c.user_id == 2 for c in started) >= 18


def test_returning_user_has_saved_nothing_up():
    clock = FairClock()
    work_off([job(1) for _ in range(50)], clock)
    order = work_off([*(job(2) for _ in range(10)), *(job(1) for _ in range(10))], clock)
    assert abs(sum(c.user_id == 1 for c in order[:10]) - 5) <= 1


def test_affinity_saves_switches_and_keeps_shares():
    queue = [job(user, f"m{(user + n // 2) % 4}", cost=1.0) for n in range(30) for user in range(20)]
    order = work_off(queue, starts=300)
    switches = sum(a.model != b.model for a, b in itertools.pairwise(order))
    assert switches <= 60  # in order of fair shares alone it is over 200
    used = collections.Counter(c.user_id for c in order[:300])
    assert jain([used[UserId(user)] for user in range(20)]) >= 0.97


def test_affinity_does_not_take_away_a_claim():
    """Whoever was passed over is still first when the others have had their turn."""
    clock = FairClock({(Lane.INTERACTIVE, UserId(2)): 1.5}, {})
    first, other = job(1, "m2", cost=1.0), job(2, "m1", cost=1.0)
    choice = choose([first, other], clock, planned_model="m1")
    assert choice is not None
    assert (choice.job, choice.passed_over) == (other, (first.id,))
    clock.started(choice)
    assert clock.start_of(Lane.INTERACTIVE, UserId(1)) == 0.0


@given(st.integers(1, 5))
def test_affinity_starves_nobody(users):
    """However many jobs for the loaded model come in, the other one starts within its bound."""
    clock, waiting = FairClock(), job(99, "rare")
    skipped = 0
    for _ in range(200):
        queue = [replace(waiting, skipped=skipped), *(job(user, cost=0.01) for user in range(users))]
        choice = choose(queue, clock, planned_model="m1")
        assert choice is not None
        clock.started(choice)
        if choice.job.id == waiting.id:
            break
        skipped += waiting.id in choice.passed_over
    else:
        raise AssertionError("never started")
    assert skipped <= MAX_SKIPS


def test_job_passed_over_for_too_long_ends_affinity():
    old = job(1, "m2", passed_over_s=MAX_WAIT_S)
    choice = choose([old, job(2, "m1")], FairClock(), planned_model="m1")
    assert choice is not None
    assert choice.job is old


def test_look_ahead_is_bounded_and_counts_those_it_jumps():
    mine = [job(1, "m2") for _ in range(LOOK_AHEAD - 1)]
    match = job(1, "m1")
    choice = choose([*mine, match], FairClock(), planned_model="m1")
    assert choice is not None
    assert (choice.job, choice.passed_over) == (match, tuple(c.id for c in mine))
    far = choose([*mine, job(1, "m2"), match], FairClock(), planned_model="m1")
    assert far is not None
    assert far.job is mine[0]


def test_worker_gets_only_its_lanes_and_models():
    queue = [job(1, "m1"), job(2, "m2", Lane.BATCH)]
    assert choose(queue, FairClock(), planned_model=None, lanes=("batch",)).job is queue[1]
    assert choose(queue, FairClock(), planned_model=None, draws=lambda model: model == "m2").job is queue[1]
    assert choose(queue, FairClock(), planned_model="m9", draws=lambda model: False) is None


def test_refund_gives_back_and_resume_starts_level():
    clock = FairClock()
    choice = choose([job(1, cost=5)], clock, planned_model=None)
    assert choice is not None
    clock.started(choice)
    clock.refund(choice.job)
    assert clock.start_of(Lane.INTERACTIVE, UserId(1)) == 0
    clock.resume({(Lane.INTERACTIVE, UserId(1)): 30.0, (Lane.INTERACTIVE, UserId(2)): 10.0})
    assert clock.start_of(Lane.INTERACTIVE, UserId(3)) == 10.0
    assert clock.start_of(Lane.BATCH, UserId(1)) == 0.0


def test_plan_takes_whoever_is_free_first_and_leaves_out_who_may_not():
    queue = [job(1, "m1", cost=4), job(2, "m2", cost=1), job(3, "m1", cost=1)]
    lines = [Line("m1", 0.0, refuses=frozenset({"m2"})), Line("m2", 10.0, refuses=frozenset({"m1"}))]
    assert [(c.user_id, ready_s) for c, ready_s in plan(queue, FairClock(), lines)] == [(1, 4.0), (3, 5.0), (2, 11.0)]


def test_long_queue_is_planned_to_its_end_without_taking_for_ever():
    queue = [job(user, f"m{user % 4}") for user in range(1500) for _ in range(2)]
    before = time.process_time()
    planned = plan(queue, FairClock(), [Line("m1")])
    assert len(planned) == len(queue) > PLANNED_EXACTLY
    times = [ready_s for _, ready_s in planned]
    assert times == sorted(times)
    assert time.process_time() - before < 20  # squared it would be minutes


def test_clock_forgets_users_long_gone():
    clock = FairClock({(Lane.INTERACTIVE, UserId(n)): 1.0 for n in range(10_001)}, {Lane.INTERACTIVE: 5.0})
    choice = choose([job(1)], clock, planned_model=None)
    assert choice is not None
    clock.started(choice)
    assert len(clock.virtual) == 1


# --- speed ------------------------------------------------------------------------------------------------------------


def hand(name: str, pace: float = 1.0, free: float = 0.0, model: str | None = "m1", load: float = 0.0) -> Hand:
    return Hand(name, free, model, pace=lambda _: pace, load_s=lambda _: load)


def asked(queue: list[Candidate], mine: Hand, *others: Hand, clock: FairClock | None = None) -> Offer:
    clock = clock or FairClock()
    return offer(Waiting(queue, clock), clock, mine, Hands([mine, *others]), draws=lambda _: True)


def test_slow_card_gets_the_small_job_and_leaves_the_large_one():
    large, small = job(1, cost=10), job(2, cost=1)
    found = asked([large, small], hand("slow", 4), hand("fast", free=3))
    assert (found.choice.job, found.left) == (small, (large.id,))
    assert asked([large, small], hand("fast"), hand("slow", 4, free=3)).choice.job is large


def test_what_is_left_to_another_takes_its_time():
    """The second large job would wait for the first there, and is done sooner here."""
    first, second = job(1, cost=10), job(2, cost=10)
    assert asked([first], hand("slow", 1.9), hand("fast", free=2)).choice is None
    assert asked([first, second], hand("slow", 1.9), hand("fast", free=2)).choice.job is second


def test_loaded_model_goes_before_one_on_disk_and_that_before_one_elsewhere():
    queue = [job(1, "m2")]
    loaded, disk, none = hand("a", model="m2"), hand("b", load=5), hand("c", load=125)
    assert asked(queue, disk, loaded).choice is None
    assert asked(queue, none, disk).choice is None
    assert asked(queue, disk, none).choice is not None
    assert asked(queue, disk, replace(loaded, free_in_s=30)).choice is not None
    assert asked(queue, disk, replace(loaded, takes=lambda _: False)).choice is not None


def test_long_queue_keeps_the_slow_card_busy_too():
    found = asked([job(n, cost=10) for n in range(200)], hand("slow", 4), *(hand(f"f{n}", free=1) for n in range(20)))
    assert found.choice is not None
    assert asked([job(n, cost=10) for n in range(20)], hand("s", 4), *(hand(f"f{n}") for n in range(20))).choice is None


def test_nothing_is_left_for_ever():
    found = asked([job(1, cost=10, left_s=MAX_WAIT_S)], hand("slow", 100), hand("fast"))
    assert (found.choice is not None, found.left) == (True, ())


def test_job_that_was_left_does_not_move_the_clock_past_those_who_wait():
    clock = FairClock()
    found = asked([job(1, cost=10), job(2, cost=1)], hand("slow", 4), hand("fast", free=3), clock=clock)
    assert found.choice.virtual_s == 0.0
    assert clock == FairClock()


paces = st.lists(st.floats(0.1, 20), min_size=1, max_size=5)


@given(queues, paces, st.floats(0, 10))
def test_every_job_is_done_whatever_the_speeds(queue, speeds, load):
    """Workers ask when they are free, and once a second while they wait, as the dispatcher has them do."""
    clock, now = FairClock(), 0.0
    waiting, left_at, started = Waiting(queue, clock), {}, []
    free_at, planned = [0.0] * len(speeds), [None] * len(speeds)
    bound = 2 * MAX_WAIT_S + sum((c.cost_s + load) * max(speeds) for c in queue)
    while len(waiting):
        now = min(free_at)
        index = free_at.index(now)
        hands = [hand(str(n), pace, free_at[n] - now, planned[n], load) for n, pace in enumerate(speeds)]
        found = offer(waiting, clock, hands[index], Hands(hands), draws=lambda _: True)
        assert not found.left or len(speeds) > 1
        for job_id in found.left:
            left_at.setdefault(job_id, now)
        if found.choice is None:
            assert found.left
            free_at[index] = now + 1.0
            for candidate in queue:
                if candidate.id in left_at and candidate.id in waiting:
                    waiting.remove(candidate)
                    waiting.add(replace(candidate, left_s=now + 1.0 - left_at[candidate.id]), clock)
            continue
        clock.started(found.choice)
        waiting.remove(found.choice.job)
        waiting.skip(found.choice.passed_over)
        started.append(found.choice.job.id)
        assert now <= bound
        free_at[index] = now + hands[index].finish_s(found.choice.job)
        planned[index] = found.choice.job.model
    assert sorted(started) == sorted(c.id for c in queue)


@given(queues, st.lists(st.floats(0, 50), max_size=4))
def test_workers_alike_leave_each_other_nothing(queue, free):
    """Whoever is free takes what it would get alone: the others would only start it later."""
    mine = hand("mine")
    clock = FairClock()
    alone = choose(queue, clock, planned_model="m1")
    assert asked(queue, mine, *(hand(str(n), free=s) for n, s in enumerate(free))).choice == alone


@given(queues, paces, st.lists(st.floats(0, 50), min_size=5, max_size=5))
def test_first_job_is_left_only_to_whoever_finishes_it_sooner(queue, speeds, free):
    mine = hand("mine", 5)
    others = [hand(str(n), pace, free[n]) for n, pace in enumerate(speeds)]
    alone = choose(queue, FairClock(), planned_model="m1")
    found = asked(queue, mine, *others)
    if alone is not None and alone.job.id in found.left:
        assert min(other.finish_s(alone.job) for other in others) < mine.finish_s(alone.job)
    elif alone is not None and found.choice is not None and alone.job.lane is not Lane.TRAINING:
        assert found.choice == alone


@given(queues, st.data())
def test_kept_order_is_that_of_a_queue_read_anew(queue, data):
    """A `Waiting` that is taken from and added to chooses as one made of the same jobs would."""
    clock, rest = FairClock(), []
    kept = Waiting([], clock)
    for candidate in queue:
        kept.add(candidate, clock)
        rest.append(candidate)
        if data.draw(st.booleans()):
            model = data.draw(st.sampled_from(["m1", "m2", None]))
            choice = kept.choose(clock, model, frozenset(), lambda _: True)
            assert choice == choose(rest, clock, planned_model=model)
            clock.started(choice)
            kept.remove(choice.job)
            rest = [other for other in rest if other.id != choice.job.id]


def test_plan_waits_for_the_fast_card():
    queue = [job(1, cost=10), job(2, cost=1)]
    lines = [Line("m1", pace=lambda _: 4.0), Line("m1", 3.0)]
    assert [(c.user_id, ready_s) for c, ready_s in plan(queue, FairClock(), lines)] == [(2, 4.0), (1, 13.0)]


def test_a_fetch_waits_until_the_others_would_take_as_long_again():
    """Else each burst has idle machines fetch what the others would have drawn before the next picture came."""
    mine = replace(hand("mine", model="m2", load=64), fetch_s=lambda _: 60.0)
    assert asked([job(1, cost=10)], mine, hand("other", free=100)).choice is None
    assert asked([job(1, cost=10)], mine, hand("other", free=130)).choice is not None
    assert asked([job(1, cost=10, left_s=119)], mine, hand("other", free=100)).choice is None
    assert asked([job(1, cost=10, left_s=120)], mine, hand("other", free=100)).choice is not None
    reads = replace(mine, fetch_s=lambda _: 0.0)
    assert asked([job(1, cost=10)], reads, hand("other", free=100)).choice is not None


def test_where_each_machine_holds_other_models_families_are_looked_at_not_each_machine():
    """A hundred jobs that are left to others would else be asked about of each of a thousand."""
    asked_of: list[int] = []

    def one(n: int) -> Hand:
        return Hand(
            f"w{n}", 1 + n / 100, "other", kind=n, family="card",
            takes=lambda _: asked_of.append(n) is None, load_s=lambda _: 60.0 if n < 2 else 5.0,
        )  # fmt: skip

    mine = Hand("mine", 0.0, "other", pace=lambda _: 10.0, load_s=lambda _: 5.0, kind="mine", family="mine")
    assert Hands([mine, *map(one, range(KINDS_MAX - 1))]).sooner(job(1, cost=10), mine) == ("w2", pytest.approx(16.02))
    asked_of.clear()
    many = Hands([mine, *map(one, range(10 * KINDS_MAX))])
    assert many.sooner(job(1, cost=10), mine) == ("w2", pytest.approx(16.02))
    assert asked_of == [0, 1, 2, 3, 4]


def test_whoever_a_job_is_left_to_is_asked_next():
    """Of a thousand idle workers not all are asked before the one that it is for."""
    queue, clock, asked_names = [job(1, "m9")], FairClock(), []
    known = Hands(hand(f"w{n}", model="m9" if n == 50 else "m1", load=5) for n in range(100))
    waiting = Waiting(queue, clock)

    def ask(name: str, stop: Stop) -> Offer:
        asked_names.append(name)
        return offer(waiting, clock, known[name], known, draws=lambda _: True, stop=stop)

    found = first_taker([f"w{n}" for n in range(100)], ask)
    assert found is not None
    assert (found[0], asked_names) == ("w50", ["w0", "w50"])
    assert first_taker(["w1", "w2"], lambda _, __: Offer(None)) is None


def test_one_of_its_kind_is_asked_for_what_none_of_them_should_take():
    asked_names: list[str] = []

    def ask(name: str, stop: Stop) -> Offer:
        asked_names.append(name)
        return Offer(None, (JobId("j"),))

    assert first_taker([f"w{n}" for n in range(100)], ask, lambda name: name == "w7") is None
    assert asked_names == ["w0", "w7"]


def test_who_left_a_job_to_one_that_takes_nothing_is_asked_again():
    """Two that name each other end, too."""
    asked_names: list[str] = []

    def ask(name: str, stop: Stop) -> Offer:
        asked_names.append(name)
        other = "b" if name == "a" else "a"
        return Offer(None, (JobId("j"),), first=other) if stop(other, job(1)) else Offer(None, (JobId("j"),))

    assert first_taker(["a", "b"], ask) is None
    assert asked_names == ["a", "b", "a"]


def test_idle_card_takes_what_it_would_finish_sooner_than_its_place_elsewhere():
    """However many are left before it: two fast cards that end something have hundreds to draw first."""
    queue = [job(n, cost=10) for n in range(40)]
    fast = [hand(f"f{n}", free=1) for n in range(30)]
    found = asked(queue, hand("slow", 2), *fast)
    assert found.choice is not None
    assert (found.choice.job.user_id, len(found.left)) == (30, 30)


def test_job_that_has_its_place_is_left_there_until_that_one_holds_something_else():
    first, second = job(1, cost=10), job(2, cost=10)
    slow, fast = hand("slow", 4), hand("fast", free=2)
    known = Hands([slow, fast])
    assert known.sooner(first, slow) == ("fast", 12)
    assert known.sooner(second, slow) == ("fast", 22)
    assert known.sooner(first, slow) == ("fast", 12)
    assert known.sooner(first, fast) is None
    known.given(first, replace(fast, free_in_s=12))
    assert known.sooner(second, slow) == ("fast", 22)
    known.update(replace(fast, free_in_s=32))
    assert known.sooner(second, slow) is None
    # Taken by another than it was left to: its time there is free again.
    known = Hands([slow, fast])
    assert known.sooner(first, slow) == ("fast", 12)
    known.given(first, replace(slow, free_in_s=40))
    assert known.sooner(second, slow) == ("fast", 12)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30), st.sampled_from(["m1", "m2", None])), min_size=1),
    st.lists(st.tuples(st.floats(0.1, 30), st.sampled_from(["m1", "m2"])), max_size=6),
)
def test_who_finishes_first_of_their_kinds_is_who_does_of_all(workers, jobs):
    """The index finds what looking through everybody would find."""
    paces, loads = (1.0, 2.0, 6.0), (4.0, 5.0, 9.0)
    all_hands = [
        Hand(
            f"w{n}", free, model, takes=lambda c, n=n: n % 4 != 3, pace=lambda _, k=kind: paces[k],
            load_s=lambda _, k=kind: loads[k], kind=(kind, n % 4 == 3),
        )
        for n, (kind, free, model) in enumerate(workers)
    ]  # fmt: skip
    known, mine = Hands(all_hands), hand("mine", 10, model=None, load=10)
    state = {one.name: one for one in all_hands}
    for n, (cost, model) in enumerate(jobs):
        wanted = job(n, model, cost=cost)
        best = min((one.finish_s(wanted) for one in state.values() if one.takes(wanted)), default=1e9)
        place = known.sooner(wanted, mine)
        if place is None:
            assert best >= mine.finish_s(wanted) - MARGIN_S
            continue
        name, at_s = place
        assert at_s == pytest.approx(best)
        assert state[name].finish_s(wanted) == pytest.approx(best)
        state[name] = replace(state[name], free_in_s=at_s, planned_model=model)


@given(queues)
def test_each_waiting_job_has_its_turn_once_and_in_the_order_of_a_worker_without_affinity(queue):
    clock = FairClock()
    waiting = Waiting(queue, clock)
    order = list(waiting.in_turn(clock, frozenset(), lambda _: True))
    expected: list[Candidate] = []
    for _ in queue:
        choice = waiting.choose(clock, None, frozenset(), lambda _: True)
        assert choice is not None
        expected.append(choice.job)
        clock.started(choice)
        waiting.remove(choice.job)
    assert order == expected
