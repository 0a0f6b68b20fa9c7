"""Layers of preferences: whose word counts, what may be said where, and the same after a restart."""

import json

import pytest

from bot.domain.model_rules import ModelDefaults, Where
from bot.domain.parameters import Parameters
from bot.domain.preferences import (
    CHECKPOINT,
    CLIP_SKIP,
    COUNT,
    KEYS,
    LANGUAGE,
    NEGATIVE,
    OPERATOR_ID,
    REMIX,
    SIZE,
    STEPS,
    Group,
    Level,
    Resolved,
    drawing_defaults,
)
from bot.storage.model_rules import ModelRules
from bot.storage.preferences import Preferences

USER, GUILD, CHANNEL, THREAD = 5, 10, 11, 12
HERE = Where(GUILD, CHANNEL, user_id=USER)
IN_THREAD = Where(GUILD, THREAD, user_id=USER, parent_id=CHANNEL)


async def loaded(database):
    models = ModelRules(database)
    await models.load()
    preferences = Preferences(database, models)
    await preferences.load()
    return preferences


async def test_the_nearest_word_counts_and_says_where_it_comes_from(database):
    preferences = await loaded(database)
    assert preferences.resolve(HERE, STEPS) == Resolved(None, None)
    said = ((Level.OPERATOR, 0, 10), (Level.SERVER, GUILD, 20), (Level.CHANNEL, CHANNEL, 30), (Level.USER, USER, 40))
    for level, owner, steps in said:
        await preferences.put(level, owner, STEPS, steps)
        assert preferences.resolve(HERE, STEPS) == Resolved(steps, level, owner)
        assert (await loaded(database)).resolve(HERE, STEPS) == Resolved(steps, level, owner)
    await preferences.put(Level.USER, USER, STEPS, None)
    assert preferences.resolve(HERE, STEPS) == Resolved(30, Level.CHANNEL, CHANNEL)
    assert preferences.resolve(HERE, STEPS, (Level.OPERATOR, Level.SERVER)).level is Level.SERVER
    assert (await loaded(database)).get(Where(GUILD, 99, user_id=USER), STEPS) == 20


async def test_a_thread_follows_its_channel_until_it_says_otherwise(database):
    preferences = await loaded(database)
    await preferences.put(Level.CHANNEL, CHANNEL, COUNT, 1)
    assert preferences.get(IN_THREAD, COUNT) == 1
    await preferences.put(Level.CHANNEL, THREAD, COUNT, 2)
    assert preferences.get(IN_THREAD, COUNT) == 2
    assert preferences.get(HERE, COUNT) == 1


async def test_in_direct_messages_no_server_and_no_channel_has_a_say(database):
    preferences = await loaded(database)
    await preferences.put(Level.CHANNEL, CHANNEL, COUNT, 1)
    await preferences.put(Level.OPERATOR, OPERATOR_ID, COUNT, 3)
    assert preferences.resolve(Where(None, CHANNEL, user_id=USER), COUNT) == Resolved(3, Level.OPERATOR, 0)


async def test_the_models_of_server_and_channel_are_those_of_model_admin(database):
    models = ModelRules(database)
    await models.load()
    preferences = Preferences(database, models)
    await preferences.load()
    await models.set_defaults(GUILD, 0, ModelDefaults(checkpoint="server", clip_skip=2))
    await models.set_defaults(GUILD, CHANNEL, ModelDefaults(checkpoint="channel"))
    assert preferences.resolve(HERE, CHECKPOINT) == Resolved("channel", Level.CHANNEL, CHANNEL)
    assert preferences.resolve(HERE, CLIP_SKIP) == Resolved(2, Level.SERVER, GUILD)
    with pytest.raises(ValueError, match="checkpoint"):
        await preferences.put(Level.SERVER, GUILD, CHECKPOINT, "x")
    await preferences.put(Level.USER, USER, CHECKPOINT, "mine")
    assert preferences.get(HERE, CHECKPOINT) == "mine"


async def test_what_a_key_does_not_take_is_not_stored(database):
    preferences = await loaded(database)
    wrong = (
        (Level.SERVER, LANGUAGE, "es"), (Level.CHANNEL, REMIX, True), (Level.USER, STEPS, 0), (Level.USER, STEPS, 2.5),
        (Level.USER, STEPS, True), (Level.USER, REMIX, 1), (Level.USER, SIZE, "500x500"), (Level.USER, SIZE, "big"),
        (Level.USER, NEGATIVE, "x" * 2000),
    )  # fmt: skip
    for level, key, value in wrong:
        with pytest.raises(ValueError):  # noqa: PT011 - each reader has its own words
            await preferences.put(level, USER, key, value)
    assert await database.all("SELECT * FROM preferences") == []


async def test_what_another_version_wrote_is_passed_over(database):
    for key, value in (("steps", '"many"'), ("unheard_of", "1"), ("cfg", "true"), ("count", "2")):
        await database.write_one("INSERT INTO preferences VALUES ('user', ?, ?, ?, 0)", (USER, key, value))
    assert (await loaded(database)).said(Level.USER, USER) == {"count": 2}


async def test_a_renamed_model_stays_chosen(database):
    models = ModelRules(database)
    preferences = Preferences(database, models)
    await preferences.put(Level.USER, USER, CHECKPOINT, "old")
    await preferences.put(Level.USER, USER, NEGATIVE, "old")
    await models.renamed("f", "g", "checkpoint", "old", "new")
    for read in (preferences, await loaded(database)):
        assert read.said(Level.USER, USER) == {"checkpoint": "new", "negative": "old"}


async def test_forgetting_leaves_others_alone(database):
    preferences = await loaded(database)
    await preferences.put(Level.USER, USER, LANGUAGE, "es")
    await preferences.put(Level.SERVER, USER, COUNT, 2)
    assert await preferences.forget(Level.USER, USER) == 1
    assert preferences.language(USER) is None
    assert (await loaded(database)).said(Level.SERVER, USER) == {"count": 2}


def test_a_size_is_an_aspect_or_two_sides():
    assert drawing_defaults({"size": "16:9", "cfg": 5.0}) == Parameters(aspect="16:9", cfg_scale=5.0)
    assert drawing_defaults({"size": "512x768"}) == Parameters(width=512, height=768)


def test_every_form_of_settings_has_room_for_its_keys():
    for level in Level:
        for group in Group:
            assert len([key for key in KEYS.values() if key.group is group and level in key.levels]) <= 5


def test_every_built_in_value_is_one_that_its_key_takes():
    for key in KEYS.values():
        if key.built_in is not None:
            assert key.kind.read(json.loads(json.dumps(key.built_in))) == key.built_in
