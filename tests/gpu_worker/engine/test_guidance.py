"""What a call asks of the UNet and how answers are mixed: guidance, AND, skipped negatives, pix2pix, v, refiner."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

from gpu_worker.engine.calls import GuidedCall, ModelCall
from gpu_worker.engine.conditioning.guide import Encoded, Guide
from gpu_worker.engine.guidance import ask
from gpu_worker.engine.sampling.sigmas import SigmaTable

TABLE = SigmaTable.scaled_linear()
X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def encoded(fill, length=77, *, pooled=False):
    return Encoded(torch.full((1, length, 4), float(fill)), torch.full((1, 3), float(fill)) if pooled else None)


def always(entry):
    return ((1000, entry),)


def guide(positive=(1,), negative=-1, scale=7.0, *, family="sd1", prediction="epsilon", concat="none", **more):
    device = SimpleNamespace(dtype=torch.float32)
    checkpoint = SimpleNamespace(device=device, family=family, prediction=prediction, concat=concat)
    parts = tuple((1.0, always(encoded(p))) if not isinstance(p, tuple) else p for p in positive)
    return Guide(
        SimpleNamespace(checkpoint=checkpoint), TABLE, parts, always(encoded(negative)), scale, 512, 768, **more
    )


def question(by, sigma=2.0, number=0, **more):
    return ask(GuidedCall(ModelCall(X, sigma, 0, 1, **more), by, number))


def outputs(asked, value):
    """`value` of each text's fill, as the UNet would answer it."""
    return [torch.full_like(X, value(float(rows.context[0, 0, 0]))) for rows in asked.rows]


def denoised(sigma, output):
    return X - sigma * output


def test_the_negative_prompt_is_moved_away_from():
    asked = question(guide(scale=7))
    assert [float(rows.context[0, 0, 0]) for rows in asked.rows] == [1, -1]
    got = asked.answer(outputs(asked, lambda fill: 0.1 * fill))
    torch.testing.assert_close(got.denoised, denoised(2.0, torch.full_like(X, -0.1 + 7 * 0.2)))
    assert got.uncond is None


def test_what_the_model_reads_is_scaled_and_timed():
    rows = question(guide(), sigma=3.0).rows[0]
    torch.testing.assert_close(rows.sample, X / math.sqrt(10))
    assert rows.timestep == pytest.approx(TABLE.timestep(3.0))
    assert question(guide(), timestep=12.5).rows[0].timestep == 12.5


def test_scale_one_leaves_the_negative_out_unless_the_sampler_wants_it():
    assert len(question(guide(scale=1)).rows) == 1
    asked = question(guide(scale=1), wants_uncond=True)
    got = asked.answer(outputs(asked, lambda fill: fill))
    torch.testing.assert_close(got.denoised, denoised(2.0, torch.ones_like(X)))
    torch.testing.assert_close(got.uncond, denoised(2.0, -torch.ones_like(X)))
    assert question(guide(scale=12.5), cfg_multiplier=1 / 12.5).weights == (1.0,)


def test_the_parts_of_an_and_add_up_without_norm_and_the_shorter_repeats_its_last_vector():
    long = encoded(3, 154)
    long.context[:, -1] = 9
    asked = question(guide([(0.5, always(encoded(2))), (-0.25, always(long))], negative=0, scale=4))
    assert [rows.context.shape[1] for rows in asked.rows] == [154, 154, 77]
    assert float(asked.rows[0].context[0, -1, 0]) == 2
    got = asked.answer(outputs(asked, lambda fill: fill))
    torch.testing.assert_close(got.denoised, denoised(2.0, torch.full_like(X, 0.5 * 4 * 2 - 0.25 * 4 * 3)))


def test_one_weighted_text_without_an_and_is_weighted_too():
    asked = question(guide([(0.5, always(encoded(2)))], negative=0, scale=2))
    got = asked.answer(outputs(asked, lambda fill: fill))
    torch.testing.assert_close(got.denoised, denoised(2.0, torch.full_like(X, 2.0)))


def test_every_second_call_below_ngms_goes_without_the_negative():
    by = guide(ngms=4.0)
    assert [len(question(by, sigma=2.0, number=n).rows) for n in range(4)] == [2, 1, 2, 1]
    assert len(question(by, sigma=5.0, number=1).rows) == 2
    asked = question(by, sigma=2.0, number=1)
    got = asked.answer(outputs(asked, lambda fill: fill))
    torch.testing.assert_close(got.denoised, denoised(2.0, torch.ones_like(X)))


def test_prompt_editing_goes_by_the_number_of_the_call():
    timeline = ((2, encoded(5)), (10, encoded(6)))
    by = guide([(1.0, timeline)])
    assert [float(question(by, number=n).rows[0].context[0, 0, 0]) for n in (0, 2, 3, 99)] == [5, 5, 6, 6]


def test_v_prediction_is_read_as_v():
    asked = question(guide(scale=1, prediction="v"), sigma=2.0)
    noise, clean = torch.randn_like(X), torch.randn_like(X)
    alpha, spread = 1 / math.sqrt(5), 2 / math.sqrt(5)
    x = clean + 2 * noise
    call = GuidedCall(dataclasses.replace(asked.call.call, x=x), asked.guide, 0)
    got = ask(call).answer([alpha * noise - spread * clean])
    torch.testing.assert_close(got.denoised, clean, atol=1e-5, rtol=1e-5)


def test_pix2pix_has_a_guidance_of_the_image_of_its_own():
    concat = torch.ones(1, 4, 8, 8)
    asked = question(dataclasses.replace(guide(scale=7, concat="pix2pix"), concat=concat, image_scale=1.5))
    assert [float(rows.sample[0, 4:].mean()) for rows in asked.rows] == [1, 1, 0]
    text, image, blind = (torch.full_like(X, v) for v in (0.7, 0.4, 0.1))
    got = asked.answer([text, image, blind])
    wanted = 0.1 + 7 * (0.7 - 0.4) + 1.5 * (0.4 - 0.1)
    torch.testing.assert_close(got.denoised, denoised(2.0, torch.full_like(X, wanted)))
    plain = question(dataclasses.replace(guide(concat="pix2pix"), concat=concat, image_scale=1.0))
    assert len(plain.rows) == 2


def test_sdxl_reads_sizes_and_its_refiner_a_score():
    pooled = encoded(1, pooled=True)
    sdxl = dataclasses.replace(guide(family="sdxl"), positive=((1.0, always(pooled)),), negative=always(pooled))
    assert [rows.time_ids for rows in question(sdxl).rows] == [(768, 512, 0, 0, 768, 512)] * 2
    assert question(sdxl).rows[0].pooled is pooled.pooled
    refiner = dataclasses.replace(sdxl, state=guide(family="sdxl_refiner").state)
    assert [rows.time_ids[4] for rows in question(refiner).rows] == [6.0, 2.5]
    assert question(guide()).rows[0].time_ids is None


def test_the_refiner_takes_over_at_its_share_of_the_noise_levels():
    other = guide(positive=(5,))
    by = guide(refiner=(0.8, other))
    early, late = TABLE.sigma(201), TABLE.sigma(199)
    assert by.at(early) is by
    assert by.at(late) is other
    assert other.at(early) is other, "a refiner that has begun stays"


def test_rows_of_other_lengths_or_sizes_do_not_share_a_batch():
    short, long = question(guide()).rows[0], question(guide([(1.0, always(encoded(1, 154)))])).rows[0]
    assert short.shape != long.shape
    assert short.shape == question(guide(negative=4), sigma=9.0).rows[1].shape
