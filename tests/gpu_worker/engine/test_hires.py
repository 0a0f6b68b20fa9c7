"""The second pass: a real denoising at a larger size, from the first pass, a stored picture or a redrawn one."""

import io

import numpy as np
import pytest
from drawing import Recorder, draw, pixels, ref_to, spec
from PIL import Image

from gpu_worker.engine.engine import EngineError
from gpu_worker.engine.tasks.hires import LATENT_UPSCALERS
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import Hires, RenderedSource, StoredSource

SMALL = {"width": 64, "height": 64}


def test_it_grows_the_picture_and_is_no_mere_resize(engine):
    (first,) = draw(engine, steps=8)
    (second,) = draw(engine, steps=8, hires=Hires(scale=1.5, denoising_strength=0.5))
    assert (second.width, second.height) == (192, 192)
    enlarged = np.asarray(Image.fromarray(pixels(first).astype(np.uint8)).resize((192, 192), Image.Resampling.LANCZOS))
    difference = np.abs(pixels(second) - enlarged.astype(int)).mean()
    assert 2 < difference < 60


def test_each_pass_reports_its_own_steps(engine):
    hooks = Recorder()
    engine.draw(spec(**SMALL, steps=3, hires=Hires(steps=2)), hooks)
    steps = [(phase, step, of) for phase, step, of in hooks.calls if phase in {"sampling", "hires"}]
    assert steps == [*(("sampling", n, 3) for n in (1, 2, 3)), *(("hires", n, 2) for n in (1, 2))]


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "Euler a", "DDIM"])
def test_a_stored_first_pass_gives_the_same_picture(engine, sampler):
    (first,) = draw(engine, sampler=sampler)
    whole = draw(engine, sampler=sampler, hires=Hires(scale=1.5))[0]
    hooks = Recorder(pictures={"picture": first.png})
    (stored,) = engine.draw(
        spec(sampler=sampler, hires=Hires(scale=1.5, source=StoredSource(image=ref_to(first.png)))), hooks
    )
    assert (pixels(stored) == pixels(whole)).all()
    assert parse_infotext(stored.infotext) == parse_infotext(whole.infotext)
    assert all(phase != "sampling" for phase, _, _ in hooks.calls)


def test_a_source_that_is_gone_is_drawn_again_even_behind_another(engine):
    (first,) = draw(engine, **SMALL)
    once = Hires(scale=1.5, source=StoredSource(image=ref_to(first.png)))
    (second,) = engine.draw(spec(**SMALL, hires=once), Recorder(pictures={"picture": first.png}))
    redrawn = spec(**SMALL, hires=Hires(scale=1.5, source=RenderedSource(spec=spec(**SMALL))))
    stored_twice = Hires(scale=1.5, source=StoredSource(image=ref_to(second.png)))
    (expected,) = engine.draw(spec(**SMALL, hires=stored_twice), Recorder(pictures={"picture": second.png}))
    (got,) = draw(engine, **SMALL, hires=Hires(scale=1.5, source=RenderedSource(spec=redrawn)))
    assert (got.width, got.height) == (144, 144)
    assert (pixels(got) == pixels(expected)).all()
    assert "Init image hash" in parse_infotext(expected.infotext).fields


def test_sources_may_not_lie_behind_one_another_for_ever(engine):
    inner = spec(**SMALL, steps=1)
    for _ in range(9):
        inner = spec(**SMALL, steps=1, hires=Hires(scale=1.1, source=RenderedSource(spec=inner)))
    with pytest.raises(EngineError) as caught:
        engine.draw(inner, Recorder())
    assert caught.value.detail["reason"] == "source_depth"


def test_several_pictures_from_one_source_differ_by_their_seeds(engine):
    (first,) = draw(engine, **SMALL)
    hires = Hires(scale=1.5, source=StoredSource(image=ref_to(first.png)))
    several = engine.draw(spec(**SMALL, count=2, hires=hires), Recorder(pictures={"picture": first.png}))
    assert [drawn.seed for drawn in several] == [1, 2]
    assert (pixels(several[0]) != pixels(several[1])).any()


@pytest.mark.parametrize("upscaler", ["None", "Lanczos", "Nearest", *LATENT_UPSCALERS])
def test_every_upscaler_draws_at_the_size_cut_to_cells(engine, upscaler):
    (drawn,) = draw(engine, **SMALL, steps=2, hires=Hires(scale=1.3, upscaler=upscaler, denoising_strength=0.7))
    assert (drawn.width, drawn.height) == (80, 80)


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "Euler a", "DDIM"])
@pytest.mark.parametrize(("steps", "strength"), [(1, 0.01), (1, 1.0), (2, 0.5), (3, 1.0)])
def test_the_fewest_steps_still_draw(engine, sampler, steps, strength):
    hires = Hires(scale=1.5, steps=steps, denoising_strength=strength)
    (drawn,) = draw(engine, **SMALL, steps=1, sampler=sampler, hires=hires)
    assert drawn.width == 96


def test_infotext_names_the_second_pass(engine):
    (drawn,) = draw(engine, **SMALL, hires=Hires(scale=1.5, steps=2, denoising_strength=0.4))
    fields = parse_infotext(drawn.infotext).fields
    assert (fields["Hires upscale"], fields["Hires steps"], fields["Hires upscaler"]) == ("1.5", "2", "Lanczos")
    assert fields["Denoising strength"] == "0.4"
    assert fields["Size-1"] == "64"


@pytest.mark.parametrize(
    ("hires", "key"),
    [
        (Hires(upscaler="4x-Nothing"), "upscaler"),
        (Hires(upscaler="Latent", source=StoredSource(image=ref_to(b"x"))), "upscaler"),
    ],
)
def test_upscalers_that_cannot_draw_are_refused(engine, hires, key):
    png = io.BytesIO()
    Image.new("RGB", (64, 64)).save(png, "PNG")
    if hires.source is not None:
        hires = hires.model_copy(update={"source": StoredSource(image=ref_to(png.getvalue()))})
    with pytest.raises(EngineError) as caught:
        engine.draw(spec(hires=hires), Recorder(pictures={"picture": png.getvalue()}))
    assert caught.value.kind == "bad_input"
    assert key in caught.value.detail


def test_a_second_pass_of_enormous_size_is_refused_before_anything_is_drawn(engine):
    hooks = Recorder()
    with pytest.raises(EngineError) as caught:
        engine.draw(spec(width=2048, hires=Hires(scale=4)), hooks)
    assert (caught.value.kind, caught.value.detail["reason"]) == ("bad_input", "size")
    assert hooks.calls == []


def test_a_strength_of_next_to_nothing_is_no_endless_schedule(engine):
    (drawn,) = draw(engine, **SMALL, steps=2, hires=Hires(scale=1.5, denoising_strength=1e-9))
    assert (drawn.width, drawn.height) == (96, 96)


def test_another_sampler_keeps_the_first_passs_schedule(engine):
    hires = {"scale": 1.5, "denoising_strength": 0.6, "sampler": "Euler a"}
    base = {**SMALL, "steps": 3, "sampler": "DPM++ 2M", "schedule": "Exponential"}
    same, named, other = (
        pixels(draw(engine, **base, hires=Hires(**hires, schedule=schedule))[0])
        for schedule in (None, "Exponential", "Automatic")
    )
    assert (same == named).all()
    assert (same != other).any()
