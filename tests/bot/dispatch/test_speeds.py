"""Workers of different speed: who is given what, as the dispatcher learns how fast they are."""

from __future__ import annotations

from bot.dispatch.policy import MAX_WAIT_S


async def teach(desk, card: str, unit_s: float, model: str = "m1") -> None:
    for _ in range(5):
        await desk.timings.learn(model, card, 1.0, unit_s)


async def test_slow_card_leaves_a_large_job_to_the_fast_one_and_takes_a_small_one(desk):
    await teach(desk, "slow", 100.0)
    await teach(desk, "fast", 10.0)
    await desk.hello("quick", gpu="fast", loaded="m1", prefetch=0)
    first = await desk.submit(steps=150)
    assert (await desk.job(first)).worker == "quick"
    await desk.hello("old", gpu="slow", loaded="m1", prefetch=0)
    large = await desk.submit(steps=150, user=2)
    assert (await desk.job(large)).worker is None
    small = await desk.submit(steps=1, user=3)
    assert (await desk.job(small)).worker == "old"
    await desk.done("old", small, 1)
    assert (await desk.job(large)).worker is None
    standing = (await desk.dispatcher.standings())[large]
    assert standing.position == 2  # behind the first, which has not said that it began
    assert standing.eta_s < 20  # as the fast one will have it
    await desk.done("quick", first, 1)
    assert (await desk.job(large)).worker == "quick"


async def test_what_the_fast_one_does_not_get_to_goes_to_the_slow_one_in_the_end(desk):
    await teach(desk, "slow", 1000.0)
    await teach(desk, "fast", 100.0)
    await desk.hello("quick", gpu="fast", loaded="m1", prefetch=0)
    first = await desk.submit(steps=150)
    await desk.beat("quick", (first, 1, "sampling"))
    await desk.hello("old", gpu="slow", loaded="m1", prefetch=0)
    large = await desk.submit(steps=150, user=2)
    for _ in range(int(MAX_WAIT_S) - 1):
        desk.now += 1.0
        await desk.beat("quick", (first, 1, "sampling"))
        await desk.beat("old")
        await desk.lapse(0.0)
    assert (await desk.job(large)).worker is None
    await desk.beat("old")
    await desk.lapse(2.0)
    assert (await desk.job(large)).worker == "old"


async def test_model_that_is_loaded_next_door_is_not_read_again(desk):
    await desk.hello("w1", loaded="m1", prefetch=0)
    await desk.hello("w2", loaded="m1", prefetch=0)
    switched = await desk.submit(model="m2")
    assert (await desk.job(switched)).worker == "w1"
    await desk.done("w1", switched, 1, load_s=5.0, run_s=6.0)
    again = await desk.submit(model="m1")
    assert (await desk.job(again)).worker == "w2"
    await desk.done("w2", again, 1, run_s=1.0)
    assert (await desk.job(await desk.submit(model="m2"))).worker == "w1"
