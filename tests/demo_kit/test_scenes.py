"""The training scenes: the same everywhere, never of what is held out, and told apart by the judge."""

import numpy as np
import pytest

from demo_kit.evaluate import questions
from demo_kit.judge import LARGE, LEFT, RIGHT, background_colour, colour_name, inside_colour, nearest_things
from demo_kit.scenes import render, scene_of, stream
from demo_kit.words import CHARACTER, COLOURS, OBJECTS, is_held_out
from demo_kit.worlds import WORLDS


def test_a_shard_is_the_same_every_time():
    first, second = stream(7), stream(7)
    for _ in range(20):
        one, other = scene_of(first), scene_of(second)
        assert one.caption == other.caption
        assert one.picture.tobytes() == other.picture.tobytes()


def test_training_never_shows_what_is_held_out():
    rng = stream(1)
    scenes = [scene_of(rng) for _ in range(400)]
    assert not any(is_held_out(thing, scene.background) for scene in scenes for thing in scene.things)
    assert sum(len(scene.things) == 2 for scene in scenes) > 60


def test_questions_ask_for_what_training_showed_and_for_what_it_did_not():
    asked = questions()
    held = [is_held_out(one.things[0], one.background) for one in asked if one.group == "unseen"]
    assert held
    assert all(held)
    assert {one.things[0] for one in asked if one.group == "seen"} == set(OBJECTS)
    assert len(OBJECTS) >= 100


def test_captions_name_what_is_shown():
    rng = stream(2)
    for _ in range(200):
        scene = scene_of(rng)
        if scene.low and scene.caption.startswith(("low", "blurry", "worst")) and "," not in scene.caption[14:]:
            continue  # some damaged pictures are called nothing but damaged
        named = [thing for thing in scene.things if thing in scene.caption]
        assert named == list(scene.things), scene.caption


@pytest.mark.parametrize("world", WORLDS)
def test_every_world_has_scenes_of_the_native_size(world):
    rng = stream(3)
    for _ in range(4):
        scene = WORLDS[world](rng)
        assert scene.picture.size == scene.cover.size == (128, 128)
        assert scene.picture.mode == "RGB"
        assert np.asarray(scene.cover).max() == 255


def test_cover_is_where_the_things_are():
    rng = stream(4)
    scene = render(rng, ["cat"], "blue")
    cover, picture = np.asarray(scene.cover), np.asarray(scene.picture).astype(int)
    behind = np.abs(picture - background_colour(np.asarray(scene.picture))).max(2)
    assert behind[cover == 0].max() < 4
    assert np.median(behind[cover == 255]) > 40


def test_the_judge_knows_every_object():
    rng = stream(5)
    for place, thing in enumerate([*OBJECTS, CHARACTER][::8]):
        colour = list(COLOURS)[place % len(COLOURS)]
        picture = np.asarray(render(rng, [thing], colour).picture)
        assert nearest_things(picture, *LARGE, others=(CHARACTER,))[0] == thing
        assert colour_name(background_colour(picture)) == colour


def test_the_judge_knows_two_things_by_their_sides():
    rng = stream(6)
    picture = np.asarray(render(rng, ["fox", "red star"], "green").picture)
    assert nearest_things(picture, *LEFT, shapes=True)[0] == "fox"
    assert nearest_things(picture, *RIGHT, shapes=True)[0] == "red star"


def test_the_judge_knows_the_colour_of_a_shape():
    picture = np.asarray(render(stream(8), ["purple triangle"], "white").picture)
    assert colour_name(inside_colour(picture)) == "purple"
