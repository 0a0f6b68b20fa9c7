"""A machine that sends what is no result gets nothing more, operators are told, and they decide what comes of it."""

import asyncio

import pytest

from bot.dispatch.trust import FAULTS_MAX
from bot.doctor.report import State
from bot.i18n import texts_for
from bot.studio.fleet.look import own_version
from gpu_worker.language.classifiers import Installed
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.safety import Looked
from tests.gpu_worker.engine.safety.tiny_onnx import install
from tests.stage.keys_given import GivenKeys

DARK = 34
"""A seed to which the stage's painter draws hardly any red, which is what the small classifier objects to."""


@pytest.fixture
async def keyed(make_stage):
    stage = await make_stage()
    stage.keys = GivenKeys()
    await stage.restart()
    return stage


async def comes(stage, name, **fields):
    hello = m.Hello(worker=name, boot="one", name=name, app_version=own_version(), gpu="RTX 3090", **fields)
    await stage.studio.dispatcher.on_message(hello)


def drained(stage):
    return {view.name for view in stage.studio.dispatcher.workers if view.drained}


def told(stage, language="en"):
    checks = stage.studio.operations.examining.live(texts_for(language))
    return [(check.state, check.details, check.fix) for check in checks if check.name == "inspection"]


async def test_all_cards_of_it_are_drained_until_an_operator_says_otherwise(keyed):
    for name in ("garage", "garage.2", "cellar"):
        await comes(keyed, name)
    assert told(keyed) == []
    for number in range(FAULTS_MAX):
        keyed.studio.dispatcher._inspecting._blame("garage.2", f"job{number}", "no picture")
    async with asyncio.timeout(60):
        while drained(keyed) != {"garage", "garage.2"}:
            await asyncio.sleep(0.01)
    for language, words, way in (
        ("en", "no results", "/workers resume"),
        ("es", "no son resultados", "/trabajadores reanudar"),
    ):
        (first, _) = told(keyed, language)
        assert first[0] is State.FAIL
        assert "garage" in first[1]
        assert words in first[1]
        assert way in first[2]
    admin = await keyed.visitor("Admin")
    await admin.set_locale("en-US")
    card = await admin.shown(await admin.slash("general", "workers drain", {"name": "garage"}))
    assert "I did that" in card.text  # why: drained it is already
    await admin.shown(await admin.slash("general", "workers resume", {"name": "garage"}))
    assert drained(keyed) == set()
    assert told(keyed) == []
    keyed.studio.dispatcher._inspecting._blame("garage", "job9", "no picture")
    assert told(keyed) == []  # it begins anew


async def test_a_remote_workers_word_about_a_classifier_counts_for_nothing(make_stage, monkeypatch, tmp_path):
    monkeypatch.setattr("bot.studio.studio.installed_classifier", lambda folder: None)
    stage = await make_stage()
    safety = stage.studio.safety
    assert safety.classifier() is None
    await comes(stage, "garage", safety="mine, believe me")
    assert safety.classifier() is None
    view = next(view for view in stage.studio.dispatcher.workers if view.name == "w1")
    view.hello = view.hello.model_copy(update={"safety": "ours"})
    assert safety.classifier() is None  # what it brings would not be looked at
    assert not safety.looks_itself()
    del stage.studio.dispatcher._floor.workers["garage"]
    assert safety.classifier() == "ours"
    monkeypatch.setattr(
        "bot.studio.studio.installed_classifier", lambda folder: Installed("own", tmp_path / "x.onnx", own=True)
    )
    await stage.restart()
    await comes(stage, "garage")
    assert stage.studio.safety.classifier() == "own"
    assert stage.studio.safety.looks_itself()


async def test_the_bot_looks_at_pictures_of_its_own_worker_that_cannot(make_stage):
    stage = await make_stage()
    install(stage.settings.models_dir)
    await stage.restart()
    await comes(stage, "garage", lanes=("training",))  # it draws nothing, and its being there asks for looks
    member = await stage.visitor()
    await member.imagine(prompt="a red apple", count=1, seed=DARK)
    (row,) = stage.rows("SELECT * FROM picture_looks")
    assert Looked.model_validate_json(row["looked"]).by == "colours"
