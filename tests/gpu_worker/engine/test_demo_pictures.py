"""The demo checkpoint draws what the prompt says, and a batch is made of the pictures of its seeds."""

import numpy as np
import pytest
from drawing import Recorder, border_colour, centre_colour, draw, pixels, spec

from gpu_worker.engine.images.files import read_infotext
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.language.names import SAMPLERS, SCHEDULES
from gpu_worker.protocol.specs import Variation

COLOURS = {
    "red": (220, 50, 40), "green": (50, 160, 60), "blue": (40, 80, 210), "yellow": (245, 215, 50), "white": (245,) * 3,
    "purple": (130, 60, 170), "orange": (240, 140, 30),
}  # fmt: skip


def nearest(colour):
    return min(COLOURS, key=lambda name: np.abs(np.subtract(COLOURS[name], colour)).sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "object_colours", "background"),
    [
        ("a red apple on a blue background", {"red", "orange"}, "blue"),
        ("a green square on a yellow background", {"green"}, "yellow"),
        ("a blue circle on a red background", {"blue"}, "red"),
    ],
)
def test_object_and_background_have_the_colours_of_the_prompt(engine, prompt, object_colours, background):
    for drawn in draw(engine, prompt=prompt, steps=20, count=2, seed=11):
        assert nearest(border_colour(drawn)) == background
        assert nearest(centre_colour(drawn)) in object_colours


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_finishes_the_same_scene(engine, sampler):
    (drawn,) = draw(engine, sampler=sampler, schedule="Automatic", steps=20, seed=5)
    assert nearest(border_colour(drawn)) == "blue"
    assert centre_colour(drawn)[0] > 150


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_is_made_of_the_pictures_of_its_seeds(engine, sampler):
    batch = draw(engine, count=3, seed=40, sampler=sampler)
    assert [drawn.seed for drawn in batch] == [40, 41, 42]
    (alone,) = draw(engine, seed=42, sampler=sampler)
    # Rounding differs with the size of a matrix product; truncation to uint8 may turn that into one grey level.
    assert np.abs(pixels(batch[2]) - pixels(alone)).max() <= 1
    assert np.abs(pixels(batch[0]) - pixels(alone)).max() > 30


def test_schedules_and_the_combined_name_differ_only_where_they_should(engine):
    pictures = {name: pixels(draw(engine, sampler="Euler a", schedule=name)[0]) for name in SCHEDULES}
    assert (pictures["Automatic"] == pictures["Uniform"]).all()
    assert (pictures["Karras"] != pictures["Uniform"]).any()
    assert (pictures["Exponential"] != pictures["Karras"]).any()
    combined = pixels(draw(engine, sampler="Euler a Karras", schedule="Automatic")[0])
    assert (combined == pictures["Karras"]).all()


def test_the_same_spec_draws_the_same_bytes(engine):
    assert draw(engine)[0].png == draw(engine)[0].png


def test_variations_move_away_from_the_seed_and_count_up(engine):
    (start,) = draw(engine)
    subtle = draw(engine, count=2, variations=(Variation(seed=70, strength=0.1),))
    (strong,) = draw(engine, variations=(Variation(seed=70, strength=0.8),))
    assert [(d.seed, d.variation_seed) for d in subtle] == [(1, 70), (1, 71)]

    def distance(drawn):
        return np.abs(pixels(drawn) - pixels(start)).mean()

    assert 0 < distance(subtle[0]) < distance(strong)


def test_cfg_scale_one_leaves_the_negative_prompt_out(engine):
    assert draw(engine, cfg_scale=1, negative_prompt="a cat")[0].png[-2000:] == draw(engine, cfg_scale=1)[0].png[-2000:]
    with_negative = draw(engine, cfg_scale=5, negative_prompt="blue background")[0]
    assert (pixels(with_negative) != pixels(draw(engine, cfg_scale=5)[0])).any()


def test_the_picture_carries_its_infotext(engine):
    drawn = draw(engine, prompt="日本, a red apple 🍎", negative_prompt="bad: worse", clip_skip=2, count=2)[1]
    text = read_infotext(drawn.png)
    assert text == drawn.infotext
    info = parse_infotext(text)
    assert (info.prompt, info.negative_prompt) == ("日本, a red apple 🍎", "bad: worse")
    assert info.fields["Seed"] == "2"
    assert info.fields["Sampler"] == "DPM++ 2M"
    assert info.fields["Schedule type"] == "Automatic"
    assert info.fields["CFG scale"] == "5"
    assert (info.fields["Size-1"], info.fields["Size-2"]) == ("128", "128")
    assert info.fields["Model"] == "pincel-demo"
    assert len(info.fields["Model hash"]) == 10
    assert info.fields["Clip skip"] == "2"
    assert info.fields["Version"].startswith("Pincel ")


def test_infotext_of_variations(engine):
    one = Variation(seed=70, strength=0.25)
    fields = parse_infotext(draw(engine, variations=(one,))[0].infotext).fields
    assert (fields["Variation seed"], fields["Variation seed strength"]) == ("70", "0.25")
    path = parse_infotext(draw(engine, variations=(one, Variation(seed=9, strength=1)))[0].infotext).fields
    assert path["Variation path"] == "70:0.25, 9:1"
    assert "Variation seed" not in path


@pytest.mark.parametrize("prompt", ["", "word " * 1200, "\x00\x01\x1b[31m\u202e\ud800 apple", "🍎" * 300, "((((" * 500])
def test_any_prompt_draws(engine, prompt):
    drawn = draw(engine, prompt=prompt, steps=2)
    assert pixels(drawn[0]).shape == (128, 128, 3)


def test_break_and_weights_reach_the_picture(engine):
    plain = pixels(draw(engine, prompt="a red apple, blue background")[0])
    for prompt in ("a red apple BREAK blue background", "a (red:1.6) apple, blue background"):
        assert (pixels(draw(engine, prompt=prompt)[0]) != plain).any()


def test_sizes_that_are_no_squares(engine):
    (drawn,) = draw(engine, width=64, height=136)
    assert (drawn.width, drawn.height) == (64, 136)
    assert pixels(drawn).shape == (136, 64, 3)


def test_progress_counts_every_step(engine):
    hooks = Recorder()
    engine.draw(spec(steps=3), hooks)
    assert [call for call in hooks.calls if call[0] == "sampling"] == [("sampling", n, 3) for n in (1, 2, 3)]
    assert {"encoding", "decoding", "saving"} <= {phase for phase, _, _ in hooks.calls}
