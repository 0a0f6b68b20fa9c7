"""Noise, noise levels, chunks, emphasis and sizes, against what A1111 itself computed."""

import math

import numpy as np
import pytest
import torch
from reference import vectors

from gpu_worker.engine.conditioning.chunks import Vocabulary, chunk_prompt
from gpu_worker.engine.conditioning.encode import apply_emphasis
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed, image_seeds, slerp
from gpu_worker.engine.sampling.philox import Philox
from gpu_worker.engine.sampling.plan import exact_steps
from gpu_worker.engine.sampling.sigmas import SigmaTable, ddim_timesteps, schedule_sigmas
from gpu_worker.engine.tasks.hires import hires_size
from gpu_worker.protocol.specs import Txt2Img, Variation

TABLE = SigmaTable.scaled_linear()
CPU = torch.device("cpu")


@pytest.mark.parametrize(("given", "expected"), vectors("philox_nv_rng"))
def test_philox_is_cudas_noise(given, expected):
    stream = Philox(given["seed"])
    for values in expected:
        np.testing.assert_allclose(stream.normal(tuple(given["shape"])), values, atol=2e-6)


# 002 to 007: the CPU source, ENSD and seed resize, which this version does not offer.
@pytest.mark.parametrize(("given", "expected"), vectors("image_rng", leave_out={f"{n:03}" for n in range(8)}))
def test_first_and_later_draws(given, expected):
    noise = ImageNoise(tuple(ImageSeed(seed) for seed in given["seeds"]), tuple(given["shape"]), CPU)
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
def test_seeds_of_a_batch(given, expected):
    strength = given["subseed_strength"]
    path = (Variation(seed=given["subseed"], strength=strength),) if strength else ()
    spec = Txt2Img(
        prompt="", checkpoint="", width=64, height=64, seed=given["seed"], count=len(expected["seeds"]), variations=path
    )
    seeds = image_seeds(spec)
    assert [seed.seed for seed in seeds] == expected["seeds"]
    if path:
        assert [seed.variations[-1].seed for seed in seeds] == expected["subseeds"]


def test_a_full_variation_is_the_noise_of_its_seed_and_a_path_is_walked_in_order():
    def first(*path):
        seed = ImageSeed(1, tuple(Variation(seed=s, strength=v) for s, v in path))
        return ImageNoise((seed,), (4, 8, 8), CPU).first()[0]

    alone = torch.from_numpy(Philox(7).normal((4, 8, 8)))
    torch.testing.assert_close(first((7, 1.0)), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(first((5, 0.3), (7, 1.0)), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(first((5, 0.3), (7, 0.2)), slerp(0.2, first((5, 0.3)), alone))
    later = ImageNoise((ImageSeed(1, (Variation(seed=7, strength=1.0),)),), (4, 8, 8), CPU)
    later.first()
    plain = Philox(1)
    plain.normal((4, 8, 8))
    torch.testing.assert_close(later.next()[0], torch.from_numpy(plain.normal((4, 8, 8))))


def test_seeds_wrap_instead_of_leaving_their_range():
    spec = Txt2Img(prompt="", checkpoint="", width=64, height=64, seed=2**64 - 1, count=2)
    assert [seed.seed for seed in image_seeds(spec)] == [2**64 - 1, 0]


def _schedules():
    for parameter in vectors("sigma_schedule"):
        given, _ = parameter.values
        label = given["schedule"].split(" (")[0]
        if label in {"Uniform", "Karras", "Exponential"} and given["model"] == "sd1":
            yield pytest.param(label, *parameter.values, id=parameter.id)


@pytest.mark.parametrize(("label", "given", "expected"), list(_schedules()))
def test_schedules(label, given, expected):
    np.testing.assert_allclose(schedule_sigmas("Euler a", label, given["n"], TABLE), expected, atol=2e-5)


def test_automatic_is_each_samplers_own_schedule():
    for sampler, label in (("DPM++ 2M", "Karras"), ("Euler a", "Uniform")):
        assert schedule_sigmas(sampler, "Automatic", 7, TABLE) == schedule_sigmas(sampler, label, 7, TABLE)


@pytest.mark.parametrize(("_given", "expected"), vectors("model_sigma_range"))
def test_the_range_of_the_model(_given, expected):
    assert pytest.approx(expected["sigma_min"], abs=1e-6) == TABLE.low
    assert pytest.approx(expected["sigma_max"], abs=1e-5) == TABLE.high


def test_timesteps_are_fractional_and_log_linear():
    middle = math.exp((math.log(TABLE.sigmas[500]) + math.log(TABLE.sigmas[501])) / 2)
    assert TABLE.timestep(middle) == pytest.approx(500.5)
    assert TABLE.sigma(500.5) == pytest.approx(middle)
    assert TABLE.timestep(1e-9) == 0
    assert TABLE.timestep(1e9) == 999


@pytest.mark.parametrize(("given", "expected"), vectors("ddim_plms_timesteps"))
def test_ddim_timesteps(given, expected):
    timesteps = ddim_timesteps(given["steps"])
    assert timesteps[:3] == expected["timesteps_head"]
    assert timesteps[-2:] == expected["timesteps_tail"]
    assert len(timesteps) == expected["count"]


# The words w0, w1 … stand for one token each, as in the original run; embeddings and emphasis "None" come later.
@pytest.mark.parametrize(("given", "expected"), vectors("token_chunking", leave_out={"011", "012", "013", "014"}))
def test_chunks(given, expected):
    words = Vocabulary(lambda text: [267 if w == "," else 1000 for w in text.split()], 1, 2, 2, 267)
    chunks, count = chunk_prompt(given["text"], words, given["comma_padding_backtrack"])
    assert count == expected["token_count"]
    assert len(chunks) == expected["target"] // 75
    for chunk, wanted in zip(chunks, expected["chunks"], strict=True):
        assert len(chunk.ids) == len(chunk.weights) == wanted["length"]
        assert sum(token in (267, 1000) for token in chunk.ids) == wanted["real_tokens"]
        assert sorted(set(chunk.weights)) == sorted(wanted["distinct_weights"])


@pytest.mark.parametrize(
    ("given", "expected"), vectors("emphasis_apply", only=lambda given: given["mode"] == "Original")
)
def test_emphasis(given, expected):
    got = apply_emphasis(torch.tensor(given["z"]), torch.tensor(given["multipliers"]))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_emphasis_that_cancels_the_mean_stays_finite():
    assert torch.isfinite(apply_emphasis(torch.ones(1, 77, 4), torch.zeros(1, 77))).all()


# Only "scale by" exists here: no resize to a given size, no old automatic first pass.
def _by_scale(given):
    return not (given["hr_resize_x"] or given["hr_resize_y"] or given["use_old_hires_fix_width_height"])


@pytest.mark.parametrize(("given", "expected"), vectors("hires_target", only=_by_scale))
def test_hires_size(given, expected):
    assert list(hires_size(given["width"], given["height"], given["hr_scale"])) == expected["upscale_to"]


# The others follow img2img's own step rule, which comes with img2img.
@pytest.mark.parametrize(
    ("given", "expected"), vectors("img2img_steps", only=lambda given: given["explicit_steps"] is not None)
)
def test_exact_steps(given, expected):
    total, start = exact_steps(given["explicit_steps"], given["denoising_strength"])
    assert (total, start) == (expected["schedule_steps"], expected["sigma_slice_start"])
    sigmas = schedule_sigmas("Euler a", "Uniform", total, TABLE)[start:]
    assert len(sigmas) - 1 == expected["intervals_run_kdiffusion"]
