"""Layers of wishes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.parameters import Parameters

PLAIN = st.builds(
    Parameters,
    steps=st.none() | st.integers(1, 9),
    seed=st.none() | st.integers(0, 9),
    checkpoint=st.none() | st.just("x"),
)


def test_the_upper_layer_wins_where_it_wishes():
    lower = Parameters(steps=20, cfg_scale=7.0, seed=1)
    assert Parameters(steps=30).over(lower) == Parameters(steps=30, cfg_scale=7.0, seed=1)


def test_a_sampler_brings_its_own_schedule():
    lower = Parameters(sampler="Euler a", schedule="Karras")
    assert Parameters(sampler="DDIM").over(lower) == Parameters(sampler="DDIM")
    assert Parameters(schedule="Exponential").over(lower) == Parameters(sampler="Euler a", schedule="Exponential")


def test_sizes_are_replaced_as_a_whole():
    sized = Parameters(width=512, height=768)
    assert Parameters(aspect="16:9").over(sized) == Parameters(aspect="16:9")
    assert Parameters(width=640, height=640).over(Parameters(aspect="16:9")) == Parameters(width=640, height=640)


def test_one_side_keeps_the_lower_aspect_or_the_lower_other_side():
    assert Parameters(width=640).over(Parameters(aspect="3:2")) == Parameters(width=640, aspect="3:2")
    assert Parameters(width=640).over(Parameters(width=512, height=768)) == Parameters(width=640, height=768)


@given(PLAIN, PLAIN, PLAIN)
def test_layering_is_associative(a, b, c):
    assert a.over(b).over(c) == a.over(b.over(c))


@given(PLAIN)
def test_an_empty_layer_changes_nothing(layer):
    assert Parameters().over(layer) == layer
    assert layer.over(Parameters()) == replace(layer)
