"""Every sampler against a solver in float64 that is written another way, with the same noise: behaviours §7.

Where A1111 departs from the textbook (the half weight of the 3M SDE's second difference), the solver here departs as
well, and says so.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from solvers import (
    CLOSE,
    SEEDS,
    TABLE,
    TOY,
    Dice,
    ancestral,
    apart,
    drawn,
    exponential,
    noise,
    runge_kutta,
    steps,
    walk_eps,
)

from gpu_worker.engine.calls import Prediction
from gpu_worker.engine.sampling.plan import SamplerOptions, SamplingPlan
from gpu_worker.engine.sampling.schedules import schedule_sigmas
from gpu_worker.language.names import BROWNIAN, DISCARDS, SAMPLERS

# torchsde rounds its ends to six digits and then warns of queries at them; A1111's users know the sentence.
pytestmark = pytest.mark.filterwarnings("ignore:Should have t[ab][<>]=t[01] but got:UserWarning")


def brownian(sigmas):
    """torchsde's own trees: what A1111 asks when its noise source is the CPU."""
    import torchsde

    low, high = min(s for s in sigmas if s > 0), max(sigmas)
    trees = [torchsde.BrownianTree(low, torch.zeros(4, 6, 6), high, entropy=seed.seed) for seed in SEEDS]

    def draw(sigma, target):
        walked = torch.stack([tree(target, sigma) for tree in trees]).double().numpy()
        return -walked / math.sqrt(sigma - target)

    return draw


# One-step solvers


def euler(x, sigmas, dice):
    for sigma, target in steps(sigmas):
        x = runge_kutta(TOY.eps, x, sigma, target, [0], [[]], [1])
    return x


def heun(x, sigmas, dice):
    for sigma, target in steps(sigmas):
        if not target:
            return TOY.denoised(x, sigma)
        x = runge_kutta(TOY.eps, x, sigma, target, [0, 1], [[], [1]], [0.5, 0.5])
    return x


def dpm2_step(x, sigma, target):
    share = (math.exp((math.log(sigma) + math.log(target)) / 2) - sigma) / (target - sigma)
    return runge_kutta(TOY.eps, x, sigma, target, [0, share], [[], [share]], [0, 1])


def dpm2(x, sigmas, dice):
    for sigma, target in steps(sigmas):
        x = dpm2_step(x, sigma, target) if target else TOY.denoised(x, sigma)
    return x


def euler_a(x, sigmas, dice):
    for sigma, target in steps(sigmas):
        down, up = ancestral(sigma, target)
        x = runge_kutta(TOY.eps, x, sigma, down, [0], [[]], [1])
        if target:
            x = x + dice.next() * up
    return x


def dpm2_a(x, sigmas, dice):
    for sigma, target in steps(sigmas):
        down, up = ancestral(sigma, target)
        x = dpm2_step(x, sigma, down) + dice.next() * up if target else TOY.denoised(x, sigma)
    return x


def lms(x, sigmas, dice):
    past = []
    for i, (sigma, target) in enumerate(steps(sigmas)):
        past = [*past[-3:], TOY.eps(x, sigma)]
        nodes = np.array(sigmas[i + 1 - len(past) : i + 1])
        # The polynomial through the last slopes, for each cell, by solving for its coefficients around sigma.
        table = np.vander(nodes - sigma, len(past), increasing=True)
        coefficients = np.linalg.solve(table, np.stack(past).reshape(len(past), -1))
        whole = sum(c * (target - sigma) ** (k + 1) / (k + 1) for k, c in enumerate(coefficients))
        x = x + whole.reshape(x.shape)
    return x


# DPM-Solver++


def dpmpp_2m(x, sigmas, dice):
    return multistep(x, sigmas, None, 0.0, middle=True)


def dpmpp_2m_sde(x, sigmas, draw):
    return multistep(x, sigmas, draw, 1.0, middle=True)


def dpmpp_2m_sde_heun(x, sigmas, draw):
    return multistep(x, sigmas, draw, 1.0, middle=False)


def dpmpp_3m_sde(x, sigmas, draw):
    return multistep(x, sigmas, draw, 1.0, middle=False, third=True)


def multistep(x, sigmas, draw, eta, *, middle, third=False):
    """The estimate of x0 as a polynomial through the last ones, held at its value in the middle where `middle`."""
    past = []
    for sigma, target in steps(sigmas):
        now = TOY.denoised(x, sigma)
        if not target:
            return now
        width = math.log(sigma / target)
        at = [math.log(sigma / before) / width for _, before in past]
        """Places of the past estimates, in widths of this step: negative."""
        if third and len(past) == 2:
            table = np.array([[at[0], at[0] ** 2], [at[1], at[1] ** 2]])
            rises = np.stack([past[0][0] - now, past[1][0] - now]).reshape(2, -1)
            line, square = (row.reshape(x.shape) for row in np.linalg.solve(table, rises))
            # A1111 takes the second difference for the second derivative, and so half of its share.
            polynomial = [now, line, square / 2]
        elif past:
            line = (past[0][0] - now) / at[0]
            polynomial = [now + line / 2] if middle else [now, line]
        else:
            polynomial = [now]
        x, deviation = exponential(x, sigma, target, polynomial, eta)
        if eta:
            x = x + draw(sigma, target) * deviation
        past = [(now, sigma), *past[:1]]
    return x


def dpmpp_2s_a(x, sigmas, dice):
    for sigma, target in steps(sigmas):
        now = TOY.denoised(x, sigma)
        if not target:
            return now
        down, up = ancestral(sigma, target)
        middle = math.exp((math.log(sigma) + math.log(down)) / 2)
        half, _ = exponential(x, sigma, middle, [now])
        x, _ = exponential(x, sigma, down, [TOY.denoised(half, middle)])
        x = x + dice.next() * up
    return x


def dpmpp_sde(x, sigmas, draw):
    for sigma, target in steps(sigmas):
        now = TOY.denoised(x, sigma)
        if not target:
            return now
        # Single precision, as the tree is asked in it.
        start, end = (-torch.tensor(s).log() for s in (sigma, target))
        sigma, middle, target = (float((-t).exp()) for t in (start, start + 0.5 * (end - start), end))
        down, up = ancestral(sigma, middle)
        half, _ = exponential(x, sigma, down, [now])
        half = half + draw(sigma, middle) * up
        down, up = ancestral(sigma, target)
        x, _ = exponential(x, sigma, down, [TOY.denoised(half, middle)])
        x = x + draw(sigma, target) * up
    return x


# DPM-Solver


def solver_step(x, sigma, target, order):
    """Lu et al. 2022: eps as a line in ln sigma through the start and one more place, integrated exactly; the second
    order takes its value in the middle for the whole step."""

    def place(share):
        return sigma ** (1 - share) * target**share

    start = TOY.eps(x, sigma)
    if order == 1:
        return walk_eps(x, sigma, target, [start])
    if order == 2:
        middle = place(1 / 2)
        return walk_eps(x, sigma, target, [TOY.eps(walk_eps(x, sigma, middle, [start]), middle)])
    near = TOY.eps(walk_eps(x, sigma, place(1 / 3), [start]), place(1 / 3))
    # The line's slope is in shares of the step to 2/3.
    far = walk_eps(x, sigma, place(2 / 3), [start, 2 * (near - start)])
    return walk_eps(x, sigma, target, [start, 1.5 * (TOY.eps(far, place(2 / 3)) - start)])


def lower_step(x, sigma, target):
    """The second order through 1/3, extended as a line to the middle: the adaptive sampler's other opinion."""
    third = sigma ** (2 / 3) * target ** (1 / 3)
    start = TOY.eps(x, sigma)
    near = TOY.eps(walk_eps(x, sigma, third, [start]), third)
    return walk_eps(x, sigma, target, [start + 1.5 * (near - start)])


def dpm_fast(x, sigmas, dice):
    count = 20
    orders = [3] * 6 + [2]
    levels = np.exp(np.linspace(math.log(TABLE.high), math.log(TABLE.low), len(orders) + 1))
    assert sum(orders) == count
    for order, (sigma, target) in zip(orders, steps(list(levels)), strict=True):
        down, _ = ancestral(sigma, target)
        down = max(down, TABLE.low)
        x = solver_step(x, sigma, down, order) + dice.next() * math.sqrt(max(target**2 - down**2, 0))
    return x


def dpm_adaptive(x, sigmas, dice):
    sigma, end, width, before = TABLE.high, TABLE.low, 0.05, x
    while math.log(sigma / end) > 1e-5:
        target = max(end, sigma * math.exp(-width))
        down = max(ancestral(sigma, target)[0], end)
        lower, higher = lower_step(x, sigma, down), solver_step(x, sigma, down, 3)
        bound = np.maximum(0.0078, 0.05 * np.maximum(np.abs(lower), np.abs(before)))
        error = math.sqrt((((lower - higher) / bound) ** 2).mean())
        factor = 1 + math.atan((error + 1e-8) ** (-1 / 1.5) - 1)
        if factor >= 0.81:
            x, before = higher + dice.next() * math.sqrt(max(target**2 - down**2, 0)), lower
            sigma = target
        width *= factor
    return x


# The rest


def restart(x, sigmas, dice):
    def karras(n, low, high):
        return [(high ** (1 / 7) + i / (n - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(n)]

    # 20 steps: 11 of the schedule and, from the level next to 0.1 back up to that next to 2, 9 more.
    main = [*karras(11, sigmas[-2], sigmas[0]), 0.0]
    low, high = (int(np.argmin(np.abs(np.array(main) - level))) for level in (0.1, 2.0))
    x = heun(x, main[: low + 1], dice)
    x = x + dice.next() * math.sqrt(main[high] ** 2 - main[low] ** 2)
    x = heun(x, karras(10, main[low], main[high]), dice)
    return heun(x, main[low:], dice)


def lcm(x, sigmas, dice):
    for i, (sigma, target) in enumerate(steps(sigmas)):
        t = 19 + 20 * int(np.argmin(np.abs(np.log(TOY.sigmas[19::20]) - math.log(sigma))))
        now = TOY.denoised(x, sigma, t)
        root = math.hypot(10 * t, 0.5)
        x = 10 * t / root * now + (0.5 / root) ** 2 * x
        if i < len(sigmas) - 2:
            x = x + dice.next() * target
    return x


REFERENCES = {
    "DPM++ 2M": dpmpp_2m, "DPM++ SDE": dpmpp_sde, "DPM++ 2M SDE": dpmpp_2m_sde, "DPM++ 2M SDE Heun": dpmpp_2m_sde_heun,
    "DPM++ 2S a": dpmpp_2s_a, "DPM++ 3M SDE": dpmpp_3m_sde, "Euler a": euler_a, "Euler": euler, "LMS": lms,
    "Heun": heun, "DPM2": dpm2, "DPM2 a": dpm2_a, "DPM fast": dpm_fast, "DPM adaptive": dpm_adaptive,
    "Restart": restart, "LCM": lcm,
}  # fmt: skip
BY_TIMESTEPS = {"DDIM", "DDIM CFG++", "PLMS", "UniPC"}


def test_every_sampler_has_a_reference():
    assert set(SAMPLERS) == set(REFERENCES) | BY_TIMESTEPS


@pytest.mark.parametrize("schedule", ["Automatic", "Uniform", "Exponential"])
@pytest.mark.parametrize("sampler", REFERENCES)
def test_a_whole_pass_of_20_steps(sampler, schedule):
    plan = SamplingPlan(sampler, schedule, TABLE)
    table = plan._table
    sigmas = schedule_sigmas(sampler, schedule, 20, table, discard_penultimate=sampler in DISCARDS)
    dice = Dice()
    draw = brownian(sigmas) if sampler in BROWNIAN else dice
    expected = REFERENCES[sampler](dice.first * sigmas[0], sigmas, draw)
    assert apart(drawn(plan.from_noise(20, noise())), expected) < CLOSE


@pytest.mark.parametrize("sampler", [s for s in REFERENCES if s not in {"DPM fast", "DPM adaptive", "Restart"}])
def test_the_end_of_a_pass(sampler):
    # 0.6 of 20 steps: A1111 runs 13, from the eighth level on; the Brownian path is that of the whole schedule.
    plan = SamplingPlan(sampler, "Automatic", TABLE)
    whole = schedule_sigmas(sampler, "Automatic", 20, plan._table, discard_penultimate=sampler in DISCARDS)
    latent = torch.linspace(-1, 1, 2 * 4 * 6 * 6).reshape(2, 4, 6, 6)
    dice = Dice()
    x = latent.double().numpy() + dice.first * 0.9 * whole[7] + dice.first * 0.9 * 0.05
    expected = REFERENCES[sampler](x, whole[7:], brownian(whole) if sampler in BROWNIAN else dice)
    sampling = plan.from_latent(
        latent, noise(), steps=20, strength=0.6, exact=False, noise_multiplier=0.9, extra_noise=0.05
    )
    assert apart(drawn(sampling), expected) < CLOSE


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM2"])
def test_churn(sampler):
    options = SamplerOptions(s_churn=6.0, s_tmin=0.3, s_tmax=5.0, s_noise=1.01)
    sigmas = schedule_sigmas(sampler, "Karras", 20, TABLE, discard_penultimate=sampler in DISCARDS)
    dice = Dice()
    x = dice.first * sigmas[0]
    step = {"Euler": euler, "Heun": heun, "DPM2": dpm2}[sampler]
    for sigma, target in steps(sigmas):
        # A draw is used up below 0.3 and above 5 as well.
        fresh, raised = dice.next(), sigma
        if 0.3 <= sigma <= 5:
            raised = sigma * (1 + min(6 / 20, math.sqrt(2) - 1))
            x = x + fresh * 1.01 * math.sqrt(raised**2 - sigma**2)
        x = step(x, [raised, target], dice)
    assert apart(drawn(SamplingPlan(sampler, "Karras", TABLE, options).from_noise(20, noise())), x) < CLOSE


@pytest.mark.parametrize("steps_", [20, 35, 36, 50])
def test_restarts_come_where_a1111_has_them(steps_):
    levels = [call.sigma for call in calls(SamplingPlan("Restart", "Karras", TABLE).from_noise(steps_, noise()))][::2]
    up = [(a, b) for a, b in pairwise(levels) if b > a]
    assert len(up) == (1 if steps_ < 36 else 2)
    for a, b in up:
        # The step before ends at the level next to 0.1.
        assert 0.1 < a < 0.5
        assert 1 < b < 3
    # The way up is walked once more than its levels say; the number of steps is what was asked for.
    assert len(levels) == steps_


def calls(sampling):
    answer = None
    while True:
        try:
            call = sampling.send(answer)
        except StopIteration:
            return
        yield call
        answer = Prediction(call.x * 0)


def test_below_20_steps_restart_is_heun():
    got, heuns = (drawn(SamplingPlan(s, "Karras", TABLE).from_noise(19, noise())) for s in ("Restart", "Heun"))
    assert apart(got, heuns) == 0
