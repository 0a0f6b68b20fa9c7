"""The sampler loops, against diffusers' schedulers fed the same noise levels, and against an exact solution.

Stock diffusers schedulers round timesteps and end elsewhere than A1111; with its levels set by hand they are an
independent reference.
"""

import math

import pytest
import torch

from gpu_worker.engine.calls import Prediction
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed
from gpu_worker.engine.sampling.plan import SamplingPlan
from gpu_worker.engine.sampling.samplers import ddim, dpmpp_2m, euler_ancestral
from gpu_worker.engine.sampling.sigmas import SigmaTable, ddim_timesteps, schedule_sigmas

# diffusers' schedulers hand a tensor to numpy's older protocol.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TABLE = SigmaTable.scaled_linear()
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def noise_estimate(x, timestep):
    """A toy network that bends: x in the variance-preserving scale."""
    return torch.tanh(0.9 * x) + 0.1 * math.sin(timestep / 100)


def run(sampling, denoise):
    calls, answer = 0, None
    while True:
        try:
            call = sampling.send(answer)
        except StopIteration as stop:
            return stop.value, calls
        calls += 1
        answer = Prediction(denoise(call.x, call.sigma))


def toy(x, sigma):
    return x - sigma * noise_estimate(x / math.sqrt(sigma**2 + 1), TABLE.timestep(sigma))


def start(seed=0):
    return torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("label", ["Karras", "Uniform", "Exponential"])
def test_dpmpp_2m(label):
    from diffusers import DPMSolverMultistepScheduler

    sigmas = schedule_sigmas("DPM++ 2M", label, 12, TABLE)
    got, calls = run(dpmpp_2m(start() * sigmas[0], sigmas, start, "sampling"), toy)
    reference = DPMSolverMultistepScheduler(**BETAS, final_sigmas_type="zero")
    reference.set_timesteps(12)
    reference.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    x = start() * sigmas[0] / math.sqrt(sigmas[0] ** 2 + 1)
    for sigma in sigmas[:-1]:
        estimate = noise_estimate(x, TABLE.timestep(sigma))
        x = reference.step(estimate, reference.timesteps[reference.step_index or 0], x).prev_sample
    assert calls == 12
    torch.testing.assert_close(got, x, atol=1e-6, rtol=1e-6)


def test_euler_a():
    from diffusers import EulerAncestralDiscreteScheduler

    sigmas = schedule_sigmas("Euler a", "Uniform", 12, TABLE)
    dice = torch.Generator().manual_seed(5)
    sampling = euler_ancestral(
        start() * sigmas[0], sigmas, lambda: torch.randn((2, 4, 8, 8), generator=dice, dtype=torch.float64), "sampling"
    )
    got, calls = run(sampling, toy)
    reference = EulerAncestralDiscreteScheduler(**BETAS)
    reference.set_timesteps(12)
    reference.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    reference.is_scale_input_called = True
    x, same_dice = start() * sigmas[0], torch.Generator().manual_seed(5)
    for step, sigma in enumerate(sigmas[:-1]):
        estimate = noise_estimate(x / math.sqrt(sigma**2 + 1), TABLE.timestep(sigma))
        x = reference.step(estimate, reference.timesteps[step], x, generator=same_dice).prev_sample
    assert calls == 12
    torch.testing.assert_close(got, x, atol=1e-6, rtol=1e-6)


def test_ddim():
    from diffusers import DDIMScheduler

    timesteps = ddim_timesteps(20)
    sigmas = [float(TABLE.sigmas[t]) for t in reversed(timesteps)]
    got, calls = run(ddim(start() * math.sqrt(1 + sigmas[0] ** 2), sigmas, start, "sampling"), toy)
    reference = DDIMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
    reference.set_timesteps(20)
    x = start()
    for timestep in list(reversed(timesteps))[:-1]:
        x = reference.step(noise_estimate(x, timestep), timestep, x).prev_sample
    assert calls == 19
    torch.testing.assert_close(got, x, atol=1e-5, rtol=1e-5)


def test_on_gaussian_data_the_second_order_sampler_comes_near_the_exact_solution():
    def denoise(x, sigma):  # the best estimate for data of standard deviation 1/2
        return x * 0.25 / (0.25 + sigma**2)

    sigmas = schedule_sigmas("DPM++ 2M", "Karras", 20, TABLE)
    x = start() * sigmas[0]
    exact = x * 0.5 / math.sqrt(0.25 + sigmas[0] ** 2)
    second, first = (
        ((run(loop(x, sigmas, start, "sampling"), denoise)[0] - exact).norm() / exact.norm())
        for loop in (dpmpp_2m, ddim)
    )
    assert second < 0.02
    assert second < first / 2


def noise():
    return ImageNoise((ImageSeed(3),), (4, 8, 8), torch.device("cpu"))


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "Euler a", "DDIM"])
def test_a_model_that_knows_the_picture_ends_at_the_picture(sampler):
    picture = torch.full((1, 4, 8, 8), 0.7)
    plan = SamplingPlan(sampler, "Automatic", TABLE)
    for sampling in (plan.from_noise(9, noise()), plan.from_latent(torch.zeros(1, 4, 8, 8), 9, 0.5, noise())):
        got, _ = run(sampling, lambda x, sigma: picture.expand_as(x))
        # DDIM keeps the little noise of timestep 1, as in A1111.
        torch.testing.assert_close(got, picture, atol=0.2 if sampler == "DDIM" else 1e-5, rtol=0)


@pytest.mark.parametrize(("sampler", "calls"), [("DPM++ 2M", 10), ("Euler a", 10), ("DDIM", 8)])
def test_the_second_pass_runs_the_exact_steps_from_the_right_level(sampler, calls):
    plan = SamplingPlan(sampler, "Automatic", TABLE)
    levels = []
    _, made = run(
        plan.from_latent(torch.zeros(1, 4, 8, 8), 10, 0.5, noise()), lambda x, sigma: levels.append(sigma) or x * 0
    )
    assert made == calls
    assert 0.5 < levels[0] < 2.5
    assert levels == sorted(levels, reverse=True)
