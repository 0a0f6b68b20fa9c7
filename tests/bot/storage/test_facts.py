from __future__ import annotations

import asyncio
import sys

import pytest

from bot.storage.facts import Facts, Timings


async def test_fact_is_kept_and_replaced(database):
    facts = Facts(database)
    assert await facts.get("commands") is None
    await facts.put("commands", "a")
    await facts.put("commands", "b")
    assert await facts.get("commands") == "b"


async def test_nothing_learnt_is_no_estimate(database):
    timings = Timings(database)
    assert timings.estimate_s("m1", 3) is None
    await timings.learn("m1", "gpu", 0, 5)
    await timings.learn("m1", "gpu", 5, 0)
    assert timings.estimate_s("m1", 3) is None


async def test_estimate_follows_a_changed_card_within_about_ten_pictures(database):
    timings = Timings(database)
    for _ in range(20):
        await timings.learn("m1", "gpu", 10, 20)
    assert timings.estimate_s("m1", 1) == pytest.approx(2)
    for _ in range(10):
        await timings.learn("m1", "gpu", 10, 5)
    assert timings.estimate_s("m1", 1) == pytest.approx(0.5, abs=0.2)


async def test_new_model_takes_the_mean_of_the_known_and_all_survives_a_restart(database):
    timings = Timings(database)
    await timings.learn("m1", "gpu", 1, 1)
    await timings.learn("m2", "gpu", 1, 3)
    again = Timings(database)
    await again.load()
    assert again.estimate_s("m1", 2) == pytest.approx(2)
    assert again.estimate_s("new", 2) == pytest.approx(4)


async def test_a_card_has_a_pace_beside_the_others_also_for_a_model_it_never_drew(database):
    timings = Timings(database)
    assert timings.pace("m1", "slow") == 1
    await timings.learn("m1", "slow", 1, 9)
    assert timings.pace("m1", "slow") == 1
    await timings.learn("m1", "fast", 1, 1)
    assert (timings.pace("m1", "slow"), timings.pace("m1", "fast")) == pytest.approx((1.8, 0.2))
    assert timings.pace("m1", "slow") * timings.estimate_s("m1", 2) == pytest.approx(18)
    assert timings.pace("m2", "slow") == pytest.approx(1.8)
    assert timings.pace("m1", "never seen") == 1


async def test_estimates_are_asked_for_beside_the_loop_while_it_learns(database):
    timings = Timings(database)
    await timings.learn("m1", "gpu", 1, 1)
    over = False

    def ask() -> int:
        count = 0
        while not over:
            timings.estimate_s("m1", 1)
            timings.estimate_s("new", 1)
            timings.pace("new", "gpu")
            count += 1
        return count

    between_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        asking = asyncio.create_task(asyncio.to_thread(ask))
        for n in range(300):
            await timings.learn(f"m{n}", f"gpu {n}", 1, 1)
        over = True
        assert await asking
    finally:
        over = True
        sys.setswitchinterval(between_s)
