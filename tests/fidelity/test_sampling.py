"""Noise, seeds, noise levels and steps, against what A1111 itself computed."""

import math

import numpy as np
import pytest
import torch
from reference import vectors

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed, image_seeds, slerp
from gpu_worker.engine.sampling.plan import SamplerOptions, SamplingPlan, img2img_steps
from gpu_worker.engine.sampling.schedules import schedule_sigmas
from gpu_worker.engine.sampling.sigmas import LcmTable, SigmaTable, ddim_timesteps
from gpu_worker.engine.sampling.streams import Stream
from gpu_worker.language.names import SCHEDULES, effective_schedule
from gpu_worker.protocol.specs import Img2Img, Txt2Img, Variation

TABLE = SigmaTable.scaled_linear()
CPU = torch.device("cpu")


# Noise


@pytest.mark.parametrize(("given", "expected"), vectors("philox_nv_rng"))
@pytest.mark.parametrize("source", ["GPU", "NV"])
def test_philox_is_cudas_noise(given, expected, source):
    stream = Stream(source, given["seed"], CPU)
    for values in expected:
        np.testing.assert_allclose(stream.normal(tuple(given["shape"])), values, atol=2e-6)


@pytest.mark.parametrize(("given", "expected"), vectors("image_rng_cpu"))
def test_the_cpu_source(given, expected):
    noise = ImageNoise(tuple(map(ImageSeed, given["seeds"])), tuple(given["shape"]), CPU, source="CPU")
    for values, wanted in zip([noise.first(), noise.next()], expected, strict=True):
        np.testing.assert_allclose(values.flatten(), wanted, atol=2e-6)


@pytest.mark.parametrize(("given", "expected"), vectors("image_rng"))
def test_first_and_later_draws(given, expected):
    small = given.get("seed_resize_from_h", 0) // 8, given.get("seed_resize_from_w", 0) // 8
    path = ()
    if given.get("subseed_strength"):
        path = (Variation(seed=given["subseeds"][0], strength=given["subseed_strength"]),)
    noise = ImageNoise(
        tuple(ImageSeed(seed, path) for seed in given["seeds"]),
        tuple(given["shape"]),
        CPU,
        source=given["randn_source"],
        ensd=given["ensd"],
        resize_from=small if all(small) else None,
    )
    got = [noise.first(), *(noise.next() for _ in expected[1:])]
    for values, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(values.flatten(), wanted, atol=2e-6)


@pytest.mark.parametrize(("given", "expected"), vectors("slerp"))
def test_slerp(given, expected):
    got = slerp(given["val"], torch.tensor(given["low"]), torch.tensor(given["high"]))
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_slerp_of_one_parallel_column_is_finite():
    low, high = torch.randn(1, 4, 4), torch.randn(1, 4, 4)
    high[..., 0] = low[..., 0]
    assert torch.isfinite(slerp(0.3, low, high)).all()


@pytest.mark.parametrize(("given", "expected"), vectors("batch_seeds"))
@pytest.mark.parametrize("kind", [Txt2Img, Img2Img])
def test_seeds_of_a_batch(given, expected, kind):
    strength = given["subseed_strength"]
    spec = {
        "prompt": "",
        "checkpoint": "",
        "width": 64,
        "height": 64,
        "seed": given["seed"],
        "count": len(expected["seeds"]),
        "variations": [{"seed": given["subseed"], "strength": strength}] if strength else [],
        "image": {"ref": "", "sha256": "", "mime": "", "size_bytes": 1},
    }
    seeds = image_seeds(kind.model_validate(spec))
    assert [seed.seed for seed in seeds] == expected["seeds"]
    if strength:
        assert [seed.variations[-1].seed for seed in seeds] == expected["subseeds"]


def test_seeds_wrap_instead_of_leaving_their_range():
    spec = Txt2Img(prompt="", checkpoint="", width=64, height=64, seed=2**64 - 1, count=2)
    assert [seed.seed for seed in image_seeds(spec)] == [2**64 - 1, 0]
    last = ImageNoise((ImageSeed(2**64 - 1),), (4, 2, 2), CPU, ensd=2)
    last.first()
    assert torch.equal(last.next(), ImageNoise((ImageSeed(1),), (4, 2, 2), CPU).first())


@pytest.mark.parametrize("source", ["GPU", "CPU"])
def test_a_full_variation_is_the_noise_of_its_seed_and_a_path_is_walked_in_order(source):
    def first(*path):
        seed = ImageSeed(1, tuple(Variation(seed=s, strength=v) for s, v in path))
        return ImageNoise((seed,), (4, 8, 8), CPU, source=source).first()[0]

    alone = Stream(source, 7, CPU).normal((4, 8, 8))
    torch.testing.assert_close(first((7, 1.0)), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(first((5, 0.3), (7, 1.0)), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(first((5, 0.3), (7, 0.2)), slerp(0.2, first((5, 0.3)), alone))
    later = ImageNoise((ImageSeed(1, (Variation(seed=7, strength=1.0),)),), (4, 8, 8), CPU, source=source)
    later.first()
    plain = Stream(source, 1, CPU)
    plain.normal((4, 8, 8))
    torch.testing.assert_close(later.next()[0], plain.normal((4, 8, 8)))


def test_a_resized_seed_keeps_its_middle_its_variation_and_the_later_draws():
    def noise(shape, resize_from=None):
        seed = ImageSeed(1, (Variation(seed=2, strength=0.4),))
        return ImageNoise((seed,), shape, CPU, resize_from=resize_from)

    small = noise((4, 6, 8)).first()
    wide = noise((4, 9, 12), (6, 8))
    torch.testing.assert_close(wide.first()[:, :, 1:7, 2:10], small)
    plain = noise((4, 9, 12))
    outside = plain.first()
    assert torch.equal(wide.next(), plain.next())
    cut = noise((4, 3, 8), (6, 8)).first()
    # Three rows of six: A1111 rounds the start up and leaves a row of the new size's own.
    torch.testing.assert_close(cut[:, :, :2], small[:, :, 2:4])
    assert outside.shape == (1, 4, 9, 12)


# Noise levels


def _name(given):
    return given["schedule"].split(" (")[0]


@pytest.mark.parametrize(("given", "expected"), vectors("sigma_schedule"))
def test_schedules(given, expected):
    assert given["model"] in {"sd1", "sdxl"}
    got = schedule_sigmas("Euler a", _name(given), given["n"], TABLE, sdxl=given["model"] == "sdxl")
    np.testing.assert_allclose(got, expected, atol=1.2e-5)


def test_every_schedule_has_vectors():
    known = {_name(parameter.values[0]) for parameter in vectors("sigma_schedule")}
    assert known == set(SCHEDULES) - {"Automatic"}


def test_sdxl_has_its_own_steps():
    got = schedule_sigmas("Euler", "Align Your Steps", 11, TABLE, sdxl=True)
    table = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029, 0]
    np.testing.assert_allclose(got, table, rtol=1e-6)
    middle = schedule_sigmas("Euler", "Align Your Steps", 21, TABLE, sdxl=True)
    np.testing.assert_allclose(middle[1], math.sqrt(14.615 * 6.315), rtol=1e-6)


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "DPM++ 3M SDE", "Euler a", "DPM2 a", "Restart"])
def test_automatic_is_each_samplers_own_schedule(sampler):
    label = effective_schedule(sampler, "Automatic")
    assert label in {"Karras", "Exponential", "Uniform"}
    assert schedule_sigmas(sampler, "Automatic", 7, TABLE) == schedule_sigmas(sampler, label, 7, TABLE)


@pytest.mark.parametrize("label", SCHEDULES)
def test_discarding_asks_for_one_more_and_leaves_out_the_last_but_one(label):
    more = schedule_sigmas("Euler", label, 11, TABLE)
    assert schedule_sigmas("Euler", label, 10, TABLE, discard_penultimate=True) == [*more[:-2], more[-1]]


@pytest.mark.parametrize("label", ["Karras", "Exponential", "Polyexponential", "Normal", "SGM Uniform", "Beta"])
def test_own_ends_of_a_schedule(label):
    got = schedule_sigmas("Euler", label, 10, TABLE, sigma_min=0.1, sigma_max=10)
    assert got[0] == pytest.approx(10, rel=1e-5)
    if label != "SGM Uniform":
        assert got[-2] == pytest.approx(0.1, rel=1e-5)
    optimal = schedule_sigmas("Euler", "KL Optimal", 10, TABLE, sigma_min=0.1, sigma_max=10)
    assert (optimal[0], optimal[-1]) == (pytest.approx(10, rel=1e-5), pytest.approx(0.1, rel=1e-5))


@pytest.mark.parametrize("label", ["Uniform", "Simple", "DDIM", "Align Your Steps"])
def test_schedules_without_ends_of_their_own_take_no_notice(label):
    plain = schedule_sigmas("Euler", label, 10, TABLE)
    assert schedule_sigmas("Euler", label, 10, TABLE, sigma_min=0.1, sigma_max=10, rho=3) == plain


def test_own_curve():
    got = schedule_sigmas("Euler", "Karras", 3, TABLE, rho=2)
    middle = ((math.sqrt(TABLE.high) + math.sqrt(TABLE.low)) / 2) ** 2
    np.testing.assert_allclose(got, [TABLE.high, middle, TABLE.low, 0], rtol=1e-5)
    bent = schedule_sigmas("Euler", "Polyexponential", 3, TABLE, rho=2)
    middle = math.exp(0.25 * math.log(TABLE.high) + 0.75 * math.log(TABLE.low))
    np.testing.assert_allclose(bent, [TABLE.high, middle, TABLE.low, 0], rtol=1e-5)


@pytest.mark.parametrize("wish", [{"sigma_min": 20.0}, {"sigma_max": 0.01}, {"rho": 1e-5}])
def test_wishes_that_lead_nowhere_are_refused(wish):
    with pytest.raises(EngineError) as refused:
        schedule_sigmas("Euler", "Karras", 10, TABLE, **wish)
    assert (refused.value.kind, refused.value.detail["reason"]) == ("bad_input", "sigmas")


@pytest.mark.parametrize(("_given", "expected"), vectors("model_sigma_range"))
def test_the_range_of_the_model(_given, expected):
    assert pytest.approx(expected["sigma_min"], abs=6e-7) == TABLE.low
    assert pytest.approx(expected["sigma_max"], abs=6e-6) == TABLE.high


def test_timesteps_are_fractional_and_log_linear():
    middle = math.exp((math.log(TABLE.sigmas[500]) + math.log(TABLE.sigmas[501])) / 2)
    assert TABLE.timestep(middle) == pytest.approx(500.5)
    assert TABLE.sigma(500.5) == pytest.approx(middle, rel=1e-6)
    assert TABLE.timestep(1e-9) == 0
    assert TABLE.timestep(1e9) == 999


def test_half_precision_levels_are_the_old_ones():
    old = TABLE.downcast()
    bars = torch.from_numpy(TABLE.bars).half()
    assert old.bars.tolist() == bars.double().tolist()
    # A half has 11 bits: the levels differ, by a little more than one rounding.
    apart = np.abs(old.sigmas / TABLE.sigmas - 1)
    assert 1e-5 < apart.max() < 0.15
    assert apart[500:].max() < 2e-3
    assert old.high == 14.609375


def test_zero_terminal_snr_ends_in_noise():
    table = TABLE.zero_terminal_snr()
    assert table.bars[0] == pytest.approx(TABLE.bars[0], rel=1e-6)
    assert table.high == pytest.approx(1 / math.sqrt(4.8973451890853435e-08), rel=1e-5)
    roots = np.sqrt(TABLE.bars)
    middle = ((roots[500] - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
    assert table.bars[500] == pytest.approx(middle, rel=1e-5)
    got = schedule_sigmas("Euler", "Uniform", 4, table)
    assert got[0] == table.high
    assert got[1] < 20


def test_lcm_has_fifty_levels_of_its_own():
    table = LcmTable.of(TABLE)
    assert table.sigmas.tolist() == TABLE.sigmas[19::20].tolist()
    assert [table.timestep(float(TABLE.sigmas[t])) for t in (999, 990, 985, 19, 0)] == [999, 999, 979, 19, 19]
    got = schedule_sigmas("LCM", "Automatic", 4, table)
    np.testing.assert_allclose(got[:1] + got[3:], [TABLE.high, TABLE.sigmas[19], 0], rtol=1e-6)
    # t = linspace(999, 19, 4): 672.33 lies a third of the way from level 659 to level 679.
    low, high = math.log(TABLE.sigmas[659]), math.log(TABLE.sigmas[679])
    assert math.log(got[1]) == pytest.approx(low + (high - low) * 2 / 3, rel=1e-5)


# Steps


@pytest.mark.parametrize(("given", "expected"), vectors("ddim_plms_timesteps"))
def test_ddim_timesteps(given, expected):
    timesteps = ddim_timesteps(given["steps"])
    assert timesteps[:3] == expected["timesteps_head"]
    assert timesteps[-2:] == expected["timesteps_tail"]
    assert len(timesteps) == expected["count"]
    plan = SamplingPlan("DDIM", "Automatic", TABLE)
    noise = ImageNoise((ImageSeed(1),), (1, 2, 2), CPU)
    assert _calls(plan.from_noise(given["steps"], noise)) == expected["ddim_model_calls"]


@pytest.mark.parametrize(("given", "expected"), vectors("img2img_steps"))
def test_img2img_steps(given, expected):
    steps = given["explicit_steps"] or given["steps"]
    exact = given["img2img_fix_steps"] or given["explicit_steps"] is not None
    strength = given["denoising_strength"]
    total, encoded = img2img_steps(steps, strength, exact=exact)
    assert (total, encoded) == (expected["schedule_steps"], expected["t_enc"])
    assert total - encoded - 1 == expected["sigma_slice_start"]
    # Without strength there is nothing to do; A1111 would fail.
    intervals = expected["intervals_run_kdiffusion"] if total else 0
    plan = SamplingPlan("Euler", "Uniform", TABLE, SamplerOptions())
    noise = ImageNoise((ImageSeed(1),), (1, 2, 2), CPU)
    latent = torch.zeros(1, 1, 2, 2)
    assert _calls(plan.from_latent(latent, noise, steps=steps, strength=strength, exact=exact)) == intervals


def _calls(sampling):
    from gpu_worker.engine.calls import Prediction

    calls, answer = 0, None
    while True:
        try:
            call = sampling.send(answer)
        except StopIteration:
            return calls
        calls += 1
        answer = Prediction(call.x * 0)
