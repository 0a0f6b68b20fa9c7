"""What holds for every sampler, whatever its numbers: limits, exact solutions, batches, degenerate wishes; and three of
them against diffusers' schedulers fed the same noise levels.

Stock diffusers schedulers round timesteps and end elsewhere than A1111; with its levels set by hand they are an
independent reference. A1111's own numbers are in tests/fidelity.
"""

import math
from itertools import pairwise

import pytest
import torch

from gpu_worker.engine.calls import Prediction
from gpu_worker.engine.sampling.brownian import BrownianTree
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed
from gpu_worker.engine.sampling.philox import card_normals, processor_normals
from gpu_worker.engine.sampling.plan import SamplerOptions, SamplingPlan
from gpu_worker.engine.sampling.schedules import schedule_sigmas
from gpu_worker.engine.sampling.sigmas import SigmaTable, ddim_timesteps
from gpu_worker.language.names import BROWNIAN, SAMPLERS, SCHEDULES
from gpu_worker.protocol.specs import Txt2Img, Variation

# diffusers' schedulers hand a tensor to numpy's older protocol.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TABLE = SigmaTable.scaled_linear()
CPU = torch.device("cpu")
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
BY_TIMESTEPS = {"DDIM", "DDIM CFG++", "PLMS", "UniPC"}
ENDS_LOW = {"DPM fast", "DPM adaptive"}
"""Their result keeps the noise of the lowest level."""


def run(sampling, denoise):
    """The sampler's latent, and the calls it made."""
    calls, answer = [], None
    while True:
        try:
            call = sampling.send(answer)
        except StopIteration as stop:
            return stop.value, calls
        calls.append(call)
        denoised = denoise(call.x, call.sigma)
        answer = Prediction(denoised, denoised)


def noise_estimate(x, timestep):
    """A toy network that bends: x in the variance-preserving scale."""
    return torch.tanh(0.9 * x) + 0.1 * math.sin(timestep / 100)


def toy(x, sigma):
    return x - sigma * noise_estimate(x / math.sqrt(sigma**2 + 1), TABLE.timestep(sigma))


def gaussian(x, sigma):
    """The best estimate for data of standard deviation 1/2; from it the flow is x / sqrt(1/4 + sigma^2) = constant."""
    return x * 0.25 / (0.25 + sigma**2)


def noise(*seeds, shape=(4, 8, 8)):
    return ImageNoise(tuple(map(ImageSeed, seeds or (3, 4))), shape, CPU)


# Against diffusers


@pytest.mark.parametrize("label", ["Karras", "Uniform", "Exponential"])
def test_dpmpp_2m(label):
    from diffusers import DPMSolverMultistepScheduler

    sigmas = schedule_sigmas("DPM++ 2M", label, 12, TABLE)
    got, calls = run(SamplingPlan("DPM++ 2M", label, TABLE).from_noise(12, noise()), toy)
    reference = DPMSolverMultistepScheduler(**BETAS, final_sigmas_type="zero")
    reference.set_timesteps(12)
    reference.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    x = noise().first().double() * sigmas[0] / math.sqrt(sigmas[0] ** 2 + 1)
    for sigma in sigmas[:-1]:
        estimate = noise_estimate(x, TABLE.timestep(sigma))
        x = reference.step(estimate, reference.timesteps[reference.step_index or 0], x).prev_sample
    assert len(calls) == 12
    torch.testing.assert_close(got.double(), x, atol=1e-5, rtol=1e-5)


def test_euler_a():
    from diffusers import EulerAncestralDiscreteScheduler

    sigmas = schedule_sigmas("Euler a", "Uniform", 12, TABLE)
    source = ImageNoise((ImageSeed(3),), (4, 8, 8), CPU, source="CPU")
    got, calls = run(SamplingPlan("Euler a", "Uniform", TABLE).from_noise(12, source), toy)
    reference = EulerAncestralDiscreteScheduler(**BETAS)
    reference.set_timesteps(12)
    reference.sigmas = torch.tensor(sigmas)
    reference.is_scale_input_called = True
    dice = torch.Generator().manual_seed(3)
    x = torch.randn((1, 4, 8, 8), generator=dice) * sigmas[0]
    for step, sigma in enumerate(sigmas[:-1]):
        estimate = noise_estimate(x / math.sqrt(sigma**2 + 1), TABLE.timestep(sigma))
        x = reference.step(estimate, reference.timesteps[step], x, generator=dice).prev_sample
    assert len(calls) == 12
    torch.testing.assert_close(got, x, atol=1e-4, rtol=1e-4)


def test_ddim():
    from diffusers import DDIMScheduler

    got, calls = run(SamplingPlan("DDIM", "Automatic", TABLE).from_noise(20, noise()), toy)
    reference = DDIMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
    reference.set_timesteps(20)
    x = noise().first().double()
    for timestep in ddim_timesteps(20)[:0:-1]:
        x = reference.step(noise_estimate(x, timestep), timestep, x).prev_sample
    assert len(calls) == 19
    torch.testing.assert_close(got.double(), x, atol=2e-5, rtol=2e-5)


def test_unipc():
    from diffusers import UniPCMultistepScheduler

    got, calls = run(SamplingPlan("UniPC", "Automatic", TABLE).from_noise(20, noise()), toy)
    reference = UniPCMultistepScheduler(**BETAS, solver_order=3, solver_type="bh1", final_sigmas_type="sigma_min")
    reference.set_timesteps(20)
    levels = [call.sigma for call in calls]
    reference.sigmas = torch.tensor([*levels, TABLE.low], dtype=torch.float64)
    x = noise().first().double()
    for step, level in enumerate(levels):
        x = reference.step(noise_estimate(x, TABLE.timestep(level)), reference.timesteps[step], x).prev_sample
    assert len(calls) == 20
    torch.testing.assert_close(got.double(), x, atol=1e-4, rtol=1e-4)


# Exact solutions and limits


def error(sampler, steps, schedule="Karras"):
    """Relative, of the latent: the flow scales x with the standard deviation of data and noise together."""
    x = noise().first()
    plan = SamplingPlan(sampler, schedule, TABLE, SamplerOptions(eta=0.0))
    got, calls = run(plan.from_noise(steps, noise()), gaussian)
    high = calls[0].sigma
    first = x * (math.sqrt(1 + high**2) if sampler in BY_TIMESTEPS else high)
    low = 0.0
    scale = 1.0
    if sampler in ENDS_LOW:
        low = TABLE.low
    elif sampler in BY_TIMESTEPS:
        low = TABLE.low if sampler == "UniPC" else float(TABLE.sigmas[1])
        scale = 1 / math.sqrt(1 + low**2)
    exact = first * math.sqrt((0.25 + low**2) / (0.25 + high**2)) * scale
    return ((got - exact).norm() / exact.norm()).item()


FLOWS = sorted(set(SAMPLERS) - {"LCM", "Restart", "DPM adaptive"})


@pytest.mark.parametrize("sampler", FLOWS)
def test_without_fresh_noise_every_sampler_comes_to_the_exact_flow(sampler):
    coarse, fine = error(sampler, 25), error(sampler, 200)
    # The step from the lowest level to 0 is of first order whatever comes before, and leaves 0.0018.
    assert fine < max(coarse / 4, 0.0019)
    assert fine < 0.02


@pytest.mark.parametrize("sampler", ["Heun", "DPM2", "DPM++ 2M", "DPM++ 2S a", "DPM fast", "LMS", "PLMS", "UniPC"])
def test_higher_order_samplers_are_nearer_with_the_same_steps(sampler):
    other = "DDIM" if sampler in BY_TIMESTEPS else "Euler"
    assert error(sampler, 30, "Exponential") < error(other, 30, "Exponential") / 2


def test_the_adaptive_sampler_keeps_its_tolerance():
    assert error("DPM adaptive", 1) < 0.03


ALIKE = [
    ("Euler a", "Euler"), ("DPM2 a", "DPM2"), ("DPM++ 2M SDE", "DPM++ 2M"), ("DPM++ SDE", "DPM++ 2S a"),
]  # fmt: skip


@pytest.mark.parametrize(("stochastic", "flow"), ALIKE)
def test_without_eta_a_stochastic_sampler_is_its_flow(stochastic, flow):
    options = SamplerOptions(eta=0.0)
    got, expected = (
        run(SamplingPlan(name, "Karras", TABLE, options).from_noise(15, noise()), toy)[0] for name in (stochastic, flow)
    )
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=2e-5)


def test_ddim_with_full_eta_is_euler_a():
    levels = [float(TABLE.sigmas[t]) for t in ddim_timesteps(20)[::-1]]
    source = noise()
    x = source.first() * math.sqrt(1 + levels[0] ** 2)
    for sigma, target in pairwise(levels):
        up = target * math.sqrt(1 - (target / sigma) ** 2)
        down = target**2 / sigma
        x = x + (x - toy(x, sigma)) * ((down - sigma) / sigma) + source.next() * up
    got, _ = run(SamplingPlan("DDIM", "Automatic", TABLE, SamplerOptions(eta=1.0)).from_noise(20, noise()), toy)
    torch.testing.assert_close(got, x / math.sqrt(1 + levels[-1] ** 2), atol=2e-5, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler", ["Euler a", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 3M SDE", "DPM fast", "Restart"]
)
def test_with_fresh_noise_the_pictures_spread_as_the_data_does(sampler):
    got, _ = run(SamplingPlan(sampler, "Karras", TABLE).from_noise(60, noise(1, shape=(4, 32, 32))), gaussian)
    assert got.std().item() == pytest.approx(0.5, rel=0.08)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_model_that_knows_the_picture_ends_at_the_picture(sampler):
    picture = torch.full((1, 4, 8, 8), 0.7)
    plan = SamplingPlan(sampler, "Automatic", TABLE)
    tail = plan.from_latent(torch.zeros(1, 4, 8, 8), noise(3), steps=9, strength=0.5, exact=True)
    for sampling in (plan.from_noise(9, noise(3)), tail):
        got, _ = run(sampling, lambda x, sigma: picture.expand_as(x))
        # What ends above 0 keeps the little noise there, as in A1111.
        loose = sampler in BY_TIMESTEPS | ENDS_LOW
        torch.testing.assert_close(got, picture, atol=0.2 if loose else 1e-5, rtol=0)


# Batches


@pytest.mark.parametrize("source", ["GPU", "CPU"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_of_a_batch_is_the_picture_alone(sampler, source):
    seeds = (ImageSeed(3), ImageSeed(9, (Variation(seed=4, strength=0.3),)), ImageSeed(2**63))
    plan = SamplingPlan(sampler, "Automatic", TABLE)

    def drawn(seeds):
        source_ = ImageNoise(seeds, (4, 8, 8), CPU, source=source, ensd=31337)
        return run(plan.from_noise(8, source_), toy)[0]

    if plan.one_at_a_time:
        assert sampler == "DPM adaptive"
        return
    batch = drawn(seeds)
    for i, seed in enumerate(seeds):
        torch.testing.assert_close(batch[i], drawn((seed,))[0], atol=2e-5, rtol=2e-5)
    assert not torch.allclose(batch[0], batch[1], atol=0.1)


def test_brownian_noise_follows_the_seed_alone():
    plain, other = noise(5), ImageNoise((ImageSeed(5, (Variation(seed=4, strength=0.3),)),), (4, 8, 8), CPU, ensd=7)
    other.first()
    other.next()
    one, two = plain.brownian(0.03, 14.0), other.brownian(0.03, 14.0)
    assert torch.equal(one(2.0, 1.0), two(2.0, 1.0))
    assert not torch.equal(one(2.0, 1.0), one(2.0, 1.1))


def test_brownian_steps_add_up_and_spread_as_they_should():
    draw = noise(1, shape=(4, 32, 32)).brownian(0.03, 14.0)
    whole = draw(9.0, 4.0) * math.sqrt(5)
    parts = draw(9.0, 6.5) * math.sqrt(2.5) + draw(6.5, 4.0) * math.sqrt(2.5)
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-5)
    assert whole.std().item() == pytest.approx(math.sqrt(5), rel=0.05)
    assert draw(0.05, 0.04).std().item() == pytest.approx(1, rel=0.05)
    torch.testing.assert_close(draw(4.0, 9.0), -draw(9.0, 4.0))
    assert not draw(4.0, 4.0).any()


@pytest.mark.filterwarnings("ignore:Should have t[ab][<>]=t[01] but got:UserWarning")
@pytest.mark.parametrize("seed", [0, 7, 2**63 + 1])
def test_the_tree_is_torchsdes(seed):
    import torchsde

    low, high = TABLE.low, TABLE.high
    other = torchsde.BrownianTree(low, torch.zeros(4, 3, 3), high, entropy=seed)
    tree = BrownianTree(seed, (4, 3, 3), low, high, source="CPU", device=CPU)
    levels = schedule_sigmas("DPM++ SDE", "Karras", 30, TABLE)[:-1]
    for sigma, target in [*pairwise(levels), (levels[0], levels[-1]), (levels[7], levels[3] + 1e-6)]:
        low, high = sorted((sigma, target))
        assert torch.equal(tree.increment(low, high), other(low, high))


def test_cards_and_processors_draw_alike():
    seeds = [0, 5, 2**32 + 3, 2**64 - 1]
    for call in (0, 3):
        card = card_normals(seeds, call, 9000, CPU)
        for row, seed in zip(card, seeds, strict=True):
            torch.testing.assert_close(row, torch.from_numpy(processor_normals(seed, call, 9000)), atol=2e-6, rtol=2e-6)


# Wishes at the edge


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [(a, b) for a in SAMPLERS for b in (SCHEDULES if a not in BY_TIMESTEPS else SCHEDULES[:1])],
)
def test_no_number_of_steps_and_no_strength_breaks_a_sampler(sampler, schedule):
    latent = torch.full((1, 2, 4, 4), 0.3)
    plan = SamplingPlan(sampler, schedule, TABLE)

    def fresh():
        return noise(3, shape=(2, 4, 4))

    for steps in (1, 2, 5):
        got, calls = run(plan.from_noise(steps, fresh()), toy)
        assert calls
        assert torch.isfinite(got).all()
        for strength in (0.0, 0.05, 1.0):
            for exact in (True, False):
                sampling = plan.from_latent(latent, fresh(), steps=steps, strength=strength, exact=exact)
                got, calls = run(sampling, toy)
                assert torch.isfinite(got).all()
                assert torch.equal(got, latent) or calls
                assert all(0 <= call.step < call.of for call in calls)


@pytest.mark.parametrize("sampler", sorted({"Euler", "DPM++ 2M", "LMS", "DDIM", "UniPC", *BROWNIAN}))
@pytest.mark.parametrize("schedule", ["Simple", "Karras", "DDIM"])
def test_a_schedule_longer_than_the_model_was_trained_on(sampler, schedule):
    plan = SamplingPlan(sampler, schedule, TABLE)
    sampling = plan.from_latent(torch.zeros(1, 1, 2, 2), noise(3, shape=(1, 2, 2)), steps=12, strength=0.01, exact=True)
    got, calls = run(sampling, toy)
    assert calls
    assert torch.isfinite(got).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("table", [TABLE.downcast(), TABLE.zero_terminal_snr(), SigmaTable.linear(1e-4, 0.02, 100)])
def test_other_tables(sampler, table):
    got, _ = run(SamplingPlan(sampler, "Automatic", table).from_noise(12, noise(3)), gaussian)
    assert torch.isfinite(got).all()
    assert got.abs().max() < 20


def test_nothing_is_done_without_strength():
    latent = torch.rand(1, 4, 8, 8)
    for sampler in SAMPLERS:
        sampling = SamplingPlan(sampler, "Automatic", TABLE).from_latent(
            latent, noise(3), steps=20, strength=0, exact=True
        )
        got, calls = run(sampling, toy)
        assert not calls
        assert torch.equal(got, latent)


def test_a_model_that_answers_nan_ends_the_adaptive_sampler():
    _, calls = run(SamplingPlan("DPM adaptive", "Automatic", TABLE).from_noise(5, noise(3)), lambda x, _: x * math.nan)
    assert len(calls) < 3000


def test_options_are_those_of_the_spec():
    spec = Txt2Img(
        prompt="", checkpoint="", width=64, height=64, seed=1, eta=0.5, s_churn=1, s_tmin=2, s_tmax=3, s_noise=1.5,
        sigma_min=0.1, sigma_max=9, rho=5, discard_penultimate=True,
    )  # fmt: skip
    assert SamplerOptions.of(spec) == SamplerOptions(0.5, 1, 2, 3, 1.5, 0.1, 9, 5, True)
    plain = SamplerOptions.of(Txt2Img(prompt="", checkpoint="", width=64, height=64, seed=1))
    assert plain == SamplerOptions()


def test_which_samplers_show_the_picture_to_the_model():
    assert {s for s in SAMPLERS if SamplingPlan(s, "Automatic", TABLE).timestep_based} == BY_TIMESTEPS


@pytest.mark.parametrize(("sampler", "calls"), [("DPM++ 2M", 10), ("Euler a", 10), ("DDIM", 8), ("PLMS", 9)])
def test_the_second_pass_runs_the_exact_steps_from_the_right_level(sampler, calls):
    plan = SamplingPlan(sampler, "Automatic", TABLE)
    sampling = plan.from_latent(torch.zeros(1, 4, 8, 8), noise(3), steps=10, strength=0.5, exact=True, phase="hires")
    _, made = run(sampling, lambda x, sigma: x * 0)
    levels = [call.sigma for call in made]
    assert len(made) == calls
    assert {call.phase for call in made} == {"hires"}
    assert 0.5 < levels[0] < 2.5
    assert levels == sorted(levels, reverse=True)
