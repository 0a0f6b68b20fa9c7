"""Several jobs side by side: the same latents as alone, shared UNet batches, and failures that stay each job's own."""

import pytest
import torch
from drawing import Recorder, borrowed, draw, pixels, spec

from gpu_worker.engine.denoise import Driver
from gpu_worker.engine.engine import DrawingCancelled, EngineError

pytestmark = pytest.mark.slow

JOBS = (
    {"prompt": "a red apple on a blue background", "sampler": "DPM++ 2M", "steps": 6, "seed": 1},
    {"prompt": "a (cat:1.2), [green:yellow:0.5] background", "sampler": "Heun", "steps": 3, "seed": 77, "cfg_scale": 3},
    {"prompt": "a rocket AND night sky :0.4", "sampler": "Euler a", "steps": 5, "seed": 9, "count": 2},
)
"""Different samplers, steps, prompts, seeds, guidance and number of pictures."""


@pytest.fixture
def latents(monkeypatch):
    """What each decode is given, in order."""
    seen = []
    decoded = Driver._decoded

    def watched(driver, call):
        seen.append(call.latents.clone())
        return decoded(driver, call)

    monkeypatch.setattr(Driver, "_decoded", watched)
    return seen


def relative(got, wanted):
    return float((got - wanted).norm() / wanted.norm())


def test_jobs_advanced_together_draw_what_they_draw_alone(engine, latents, monkeypatch):
    alone = [draw(engine, **job) for job in JOBS]
    wanted = list(latents)
    latents.clear()
    batches = []
    with borrowed(engine) as checkpoint:
        forward = checkpoint.unet.forward

        def counted(sample, *rest, **named):
            batches.append(len(sample))
            return forward(sample, *rest, **named)

        monkeypatch.setattr(checkpoint.unet, "forward", counted)
        together = [outcome.get() for outcome in engine.draw_all([(spec(**job), Recorder()) for job in JOBS])]
    # 2 rows of the first, 2 of the second, 3 texts times 2 pictures of the third
    assert batches[:3] == [10, 10, 10]
    assert len(batches) == 6
    by_shape = sorted(latents, key=lambda found: min(range(len(wanted)), key=lambda i: _distance(found, wanted[i])))
    assert [relative(got, want) for got, want in zip(by_shape, wanted, strict=True)] == pytest.approx([0] * 3, abs=1e-3)
    for ours, theirs in zip(together, alone, strict=True):
        assert [drawn.infotext for drawn in ours] == [drawn.infotext for drawn in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert abs(pixels(a) - pixels(b)).max() <= 1


def _distance(found, wanted):
    return float("inf") if found.shape != wanted.shape else relative(found, wanted)


def test_pictures_of_other_sizes_or_states_keep_their_own_batches(engine):
    jobs = [{"seed": 1}, {"seed": 1, "width": 192}, {"seed": 1, "tiling": True}]
    alone = [draw(engine, **job)[0] for job in jobs]
    together = engine.draw_all([(spec(**job), Recorder()) for job in jobs])
    for outcome, wanted in zip(together, alone, strict=True):
        assert abs(pixels(outcome.get()[0]) - pixels(wanted)).max() <= 1


def test_one_that_is_cancelled_or_fails_leaves_the_others_alone(engine):
    (wanted,) = draw(engine, seed=3)
    outcomes = engine.draw_all([
        (spec(seed=1), Recorder(cancel_at=4)),
        (spec(seed=2, checkpoint="nowhere"), Recorder()),
        (spec(seed=3), Recorder()),
    ])  # fmt: skip
    with pytest.raises(DrawingCancelled):
        outcomes[0].get()
    with pytest.raises(EngineError) as caught:
        outcomes[1].get()
    assert caught.value.detail == {"checkpoint": "nowhere"}
    assert abs(pixels(outcomes[2].get()[0]) - pixels(wanted)).max() <= 1


def test_out_of_memory_together_is_tried_apart(engine, monkeypatch):
    alone = [draw(engine, seed=seed)[0] for seed in (1, 2)]
    with borrowed(engine) as checkpoint:
        forward = checkpoint.unet.forward

        def tight(sample, *rest, **named):
            if len(sample) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(sample, *rest, **named)

        monkeypatch.setattr(checkpoint.unet, "forward", tight)
        together = engine.draw_all([(spec(seed=seed), Recorder()) for seed in (1, 2)])
    for outcome, wanted in zip(together, alone, strict=True):
        assert abs(pixels(outcome.get()[0]) - pixels(wanted)).max() <= 1


def test_text_is_encoded_once_for_all_jobs_that_use_it(engine):
    conditioner = engine.builder.conditioner
    texts = {"prompt": "a blue fish", "negative_prompt": "no other test says this"}
    draw(engine, **texts, seed=1)
    before = conditioner.encodes
    draw(engine, **texts, seed=2, steps=3)
    assert conditioner.encodes == before
    draw(engine, **texts, seed=2, clip_skip=2)
    assert conditioner.encodes == before + 2


def test_an_alternation_encodes_each_of_its_texts_once(engine, monkeypatch):
    sizes = []
    with borrowed(engine) as checkpoint:
        model = checkpoint.text_encoders[0].model
        forward = model.forward

        def counted(input_ids, **named):
            sizes.append(len(input_ids))
            return forward(input_ids=input_ids, **named)

        monkeypatch.setattr(model, "forward", counted)
        draw(engine, prompt="a [(purple:1.2)|grey] owl", steps=6, negative_prompt="an owl's enemy")
    assert sizes == [2, 1]
