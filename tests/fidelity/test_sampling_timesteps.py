"""DDIM, DDIM CFG++, PLMS and UniPC against solvers in float64 and in the variance-preserving scale of their papers.

As in A1111 (behaviours §7.4) they stop at timestep 1, and UniPC takes 1/2 where it has one weight to choose.
"""

import math

import numpy as np
import pytest
import torch
from solvers import CLOSE, TABLE, TOY, Dice, Toy, apart, drawn, moments, noise, steps

from gpu_worker.engine.calls import Prediction
from gpu_worker.engine.sampling.plan import SamplerOptions, SamplingPlan
from gpu_worker.engine.sampling.sigmas import ddim_timesteps


def ddim(x, timesteps, dice, eta=0.0):
    for t, after in steps(timesteps):
        bar, bar_after = TOY.bars[t], TOY.bars[after]
        eps = TOY.output(x, t)
        deviation = eta * math.sqrt((1 - bar_after) / (1 - bar) * (1 - bar / bar_after))
        x0 = (x - math.sqrt(1 - bar) * eps) / math.sqrt(bar)
        x = math.sqrt(bar_after) * x0 + math.sqrt(1 - bar_after - deviation**2) * eps
        if eta:
            x = x + deviation * dice.next()
    return x


def plms(x, timesteps, dice):
    def moved(x, t, after, eps):
        bar, bar_after = TOY.bars[t], TOY.bars[after]
        x0 = (x - math.sqrt(1 - bar) * eps) / math.sqrt(bar)
        return math.sqrt(bar_after) * x0 + math.sqrt(1 - bar_after) * eps

    past = []
    for t, after in steps(timesteps):
        past = [TOY.output(x, t), *past[:3]]
        if len(past) == 1:
            mean = (past[0] + TOY.output(moved(x, t, after, past[0]), after)) / 2
        else:
            # Adams-Bashforth: integrate over the next step the polynomial through the last values, one step apart.
            table = np.vander(-np.arange(len(past)), len(past), increasing=True)
            weights = np.linalg.solve(table.T, [1 / (k + 1) for k in range(len(past))])
            mean = sum(w * e for w, e in zip(weights, past, strict=True))
        x = moved(x, t, after, mean)
    return x


def unipc(x, start, count, network=None):
    """Zhao et al. 2023 for estimates of x0, by the conditions its weights have to meet: exact for polynomials in
    lambda as far as there are values, and half where there is one."""

    def level(place):
        low = int(place)
        share = place - low
        log_bar = math.log(TOY.bars[low]) * (1 - share) + math.log(TOY.bars[min(low + 1, 999)]) * share
        return math.exp(log_bar / 2), math.sqrt(1 - math.exp(log_bar))

    def estimate(x, place):
        alpha, sigma = level(place)
        eps = (network or TOY.output)(x, place)
        return (x - sigma * eps) / alpha

    def weights(places, width):
        if len(places) == 1:
            return [width / 2]
        # The integral of (rate * exp(-rate(1-s)) * s^n) for a correction of s^n.
        table = [[place ** (n - 1) for place in places] for n in range(1, len(places) + 1)]
        return np.linalg.solve(table, [moments(width, n) for n in range(1, len(places) + 1)])

    places = np.linspace(start, 0, count + 1)
    known = []
    for i in range(1, count + 1):
        if not known:
            known = [(places[0], estimate(x, places[0]))]
        alpha, sigma = level(places[i])
        alpha_before, sigma_before = level(places[i - 1])
        width = math.log(alpha / sigma) - math.log(alpha_before / sigma_before)
        order = min(i, 3, count + 1 - i)
        newest = known[0][1]
        ratios = []
        for place, _ in known[1:order]:
            a, s = level(place)
            ratios.append((math.log(a / s) - math.log(alpha_before / sigma_before)) / width)
        rises = [(old - newest) / r for (_, old), r in zip(known[1:order], ratios, strict=True)]
        base = sigma / sigma_before * x + alpha * moments(width, 0) * newest
        x = base
        if rises:
            x = base + alpha * sum(w * r for w, r in zip(weights(ratios, width), rises, strict=True))
        if i < count:
            now = estimate(x, places[i])
            rises = [*rises, now - newest]
            x = base + alpha * sum(w * r for w, r in zip(weights([*ratios, 1.0], width), rises, strict=True))
            known = [(places[i], now), *known[:2]]
    return x


def root(t):
    return math.sqrt(TOY.bars[t])


@pytest.mark.parametrize("count", [20, 30])
@pytest.mark.parametrize("sampler", ["DDIM", "DDIM eta", "PLMS", "UniPC"])
def test_a_whole_pass_on_timesteps(sampler, count):
    options = SamplerOptions(eta=0.6 if sampler == "DDIM eta" else None)
    timesteps = ddim_timesteps(count)[::-1]
    dice = Dice()
    if sampler == "UniPC":
        expected = unipc(dice.first, 999, len(timesteps))
    elif sampler == "PLMS":
        expected = plms(dice.first, timesteps, dice)
    else:
        expected = ddim(dice.first, timesteps, dice, options.eta or 0.0)
    plan = SamplingPlan(sampler.split()[0], "Automatic", TABLE, options)
    assert apart(drawn(plan.from_noise(count, noise())), expected) < CLOSE


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("sampler", ["DDIM", "PLMS", "UniPC"])
def test_the_end_of_a_pass_on_timesteps(sampler, exact):
    # Exact: 20 steps of 33; else 12 of 20. One timestep is left out, and its noise is laid on all the same.
    ascending = ddim_timesteps(33 if exact else 20)
    encoded = 19 if exact else 12
    latent = torch.linspace(-1, 1, 2 * 4 * 6 * 6).reshape(2, 4, 6, 6)
    dice = Dice()
    mixed = ascending[encoded]
    x = root(mixed) * (latent.double().numpy() + 0.05 * dice.first) + math.sqrt(1 - TOY.bars[mixed]) * dice.first
    walked = ascending[:encoded][::-1]
    if sampler == "UniPC":
        expected = unipc(x, walked[0], len(walked))
    else:
        expected = {"DDIM": ddim, "PLMS": plms}[sampler](x, walked, dice)
    plan = SamplingPlan(sampler, "Automatic", TABLE)
    sampling = plan.from_latent(latent, noise(), steps=20, strength=0.6, exact=exact, extra_noise=0.05)
    assert apart(drawn(sampling), expected) < CLOSE


def test_ddim_cfgpp():
    """Chung et al. 2024: x0 by guidance with a small scale, noise put back as seen without the prompt."""
    scale, other = 7.0, Toy(seed=2)
    timesteps = ddim_timesteps(20)[::-1]
    x = Dice().first
    for t, after in steps(timesteps):
        bar, bar_after = TOY.bars[t], TOY.bars[after]
        without = other.output(x, t)
        guided = without + scale / 12.5 * (TOY.output(x, t) - without)
        x0 = (x - math.sqrt(1 - bar) * guided) / math.sqrt(bar)
        x = math.sqrt(bar_after) * x0 + math.sqrt(1 - bar_after) * without

    def answers(toy, x, call):
        assert call.wants_uncond
        uncond = other.denoised(x, call.sigma, call.timestep)
        guided = uncond + scale * call.cfg_multiplier * (toy.denoised(x, call.sigma, call.timestep) - uncond)
        return Prediction(torch.from_numpy(guided).float(), torch.from_numpy(uncond).float())

    got = drawn(SamplingPlan("DDIM CFG++", "Automatic", TABLE).from_noise(20, noise()), answers=answers)
    assert apart(got, x) < CLOSE


def test_unipc_reads_v_as_a1111_does():
    """A network that speaks v: A1111 makes eps of it by alpha-bar of the timestep rounded down."""

    def network(x, place):
        bar = TOY.bars[int(place)]
        return math.sqrt(bar) * TOY.output(x, place) + math.sqrt(1 - bar) * x

    def answers(toy, x, call):
        alpha, sigma = 1 / math.sqrt(1 + call.sigma**2), call.sigma / math.sqrt(1 + call.sigma**2)
        v = toy.output(alpha * x, call.timestep)
        return Prediction(torch.from_numpy(alpha * alpha * x - sigma * v).float())

    got = drawn(SamplingPlan("UniPC", "Automatic", TABLE, velocity=True).from_noise(20, noise()), answers=answers)
    assert apart(got, unipc(Dice().first, 999, 20, network)) < 1e-4
