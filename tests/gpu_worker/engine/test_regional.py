"""Regions in the mix of a call's answers: which steps, which kinds of call, and which part of a picture."""

import dataclasses

import pytest
import torch
from test_guidance import X, always, denoised, encoded, guide, outputs

from gpu_worker.engine.calls import GuidedCall, ModelCall
from gpu_worker.engine.guidance import ask
from gpu_worker.engine.regional import placed_regions
from gpu_worker.language.regions import DEFAULT_REGIONS
from gpu_worker.protocol.specs import Region, Regions

CPU = torch.device("cpu")
LEFT = torch.zeros(8, 8)
LEFT[:, :4] = 0.8
RIGHT = LEFT.flip(1)


def placed(end_step=20, areas=DEFAULT_REGIONS, size=(8, 8)):
    return placed_regions(Regions(areas=areas, end_step=end_step), *size, CPU)


def asked(by, *, step=0, number=0, sigma=2.0, **more):
    return ask(GuidedCall(ModelCall(X, sigma, 99, 100, **more), by, number, step=step))


def mixed(question):
    """What stands in the answer instead of the model's own."""
    sigma = question.call.call.sigma
    return (X - question.answer(outputs(question, float)).denoised) / sigma


def test_each_part_counts_in_its_region_and_weights_of_the_and_stay():
    parts = [(1.0, always(encoded(1))), (0.5, always(encoded(2))), (1.0, always(encoded(3)))]
    by = guide(parts, negative=10, scale=4, placed=placed())
    wanted = 10 + 4 * (0.2 * (1 - 10) + 0.5 * LEFT * (2 - 10) + RIGHT * (3 - 10))
    torch.testing.assert_close(mixed(asked(by)), wanted.expand_as(X))


def test_parts_beyond_the_list_count_everywhere_and_superfluous_regions_nowhere():
    by = guide([1, 2], negative=0, scale=1, placed=placed(areas=DEFAULT_REGIONS[1:2]))
    torch.testing.assert_close(mixed(asked(by)), (LEFT * 1 + 2).expand_as(X))
    by = guide([1], negative=0, scale=3, placed=placed(areas=DEFAULT_REGIONS[1:]))
    torch.testing.assert_close(mixed(asked(by)), (3 * LEFT).expand_as(X))


def test_they_end_by_the_step_of_the_pass_however_many_calls_were_made():
    by = guide([1, 2], negative=0, scale=1, placed=placed(end_step=3, areas=DEFAULT_REGIONS[1:]))
    led = mixed(asked(by, step=2, number=5))
    torch.testing.assert_close(led, (LEFT + 2 * RIGHT).expand_as(X))
    torch.testing.assert_close(mixed(asked(by, step=3, number=3)), torch.full_like(X, 3))
    never = dataclasses.replace(by, placed=placed(end_step=0, areas=DEFAULT_REGIONS[1:]))
    torch.testing.assert_close(mixed(asked(never)), torch.full_like(X, 3))


def test_without_guidance_the_negative_prompt_is_asked_while_a_region_needs_it():
    by = guide([1], negative=-1, scale=1, placed=placed(end_step=2, areas=(Region(columns=2, weight=1),)))
    question = asked(by)
    assert len(question.rows) == 2
    assert question.answer(outputs(question, float)).denoised[0, 0, 0].tolist() == pytest.approx(
        denoised(2.0, torch.tensor([1.0] * 4 + [-1.0] * 4).expand_as(X))[0, 0, 0].tolist()
    )
    assert len(asked(by, step=2).rows) == 1


def test_where_the_negative_prompt_is_skipped_the_first_part_stands_in_for_it():
    by = guide([1, 2], negative=-1, scale=3, ngms=4.0, placed=placed(areas=DEFAULT_REGIONS[1:]))
    question = asked(by, number=1)
    assert question.kind == "skipped"
    torch.testing.assert_close(mixed(question), (1 + 3 * RIGHT * (2 - 1)).expand_as(X))


def test_the_samplers_own_wish_for_the_unguided_answer_is_not_blended():
    by = guide([1, 2], negative=-1, scale=3, placed=placed())
    question = asked(by, wants_uncond=True)
    got = question.answer(outputs(question, float))
    torch.testing.assert_close(got.uncond, denoised(2.0, -torch.ones_like(X)))


def test_pix2pix_keeps_its_picture_and_has_the_text_in_its_region():
    by = guide(
        [3], negative=1, scale=2, concat="pix2pix", image_scale=1.5, placed=placed(areas=DEFAULT_REGIONS[1:2])
    )  # fmt: skip
    question = asked(dataclasses.replace(by, concat=torch.ones(1, 4, 8, 8)))
    assert question.kind == "image"
    torch.testing.assert_close(mixed(question), (1 + 2 * LEFT * (3 - 1)).expand_as(X))


def test_v_prediction_is_blended_as_finished_latents_would_be():
    by = guide([1, 2], negative=-1, scale=3, prediction="v", placed=placed(areas=DEFAULT_REGIONS[1:]))
    question = asked(by)
    # Each answer alone, read as a latent, then mixed as behaviours §18 says.
    one, two, none = (
        asked(guide([value], negative=0, scale=1, prediction="v")).answer([torch.full_like(X, value)]).denoised
        for value in (1.0, 2.0, -1.0)
    )
    left, right = one * LEFT + none * (1 - LEFT), two * RIGHT + none * (1 - RIGHT)
    wanted = none + 3 * (left - none) + 3 * (right - none)
    torch.testing.assert_close(question.answer(outputs(question, float)).denoised, wanted)


def test_a_tile_has_its_part_of_the_whole():
    whole = placed(areas=(Region(rows=3, columns=2, top=1, bottom=2, left=1, right=2, weight=0.5),), size=(24, 16))
    tile = whole.cut_out((48, 40, 112, 136), (128, 192))
    (full,), (part,) = whole.filters, tile.filters
    assert part.shape == (12, 8)
    assert torch.equal(part, full[5:17, 6:14])
    assert 0 < float(part.sum()) < float(full.sum())
