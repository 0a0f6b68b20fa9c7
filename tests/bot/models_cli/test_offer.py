"""The question at the first start: once, only to a person, and nothing is fetched without a yes."""

import pytest

from bot import exit_codes
from bot.catalogue import operator_file
from bot.i18n import texts_for
from bot.models_cli import offer as offering
from bot.models_cli.offer import ANSWER_FILE, offer

from .conftest import EMBEDDING, catalogue_of, entry


@pytest.fixture
def small_start(monkeypatch):
    """A start-up set of one small file."""
    wanted = entry()
    monkeypatch.setattr(offering, "operators_catalogue", lambda data: catalogue_of(wanted))
    return wanted


def remembered(made):
    file = made.data / ANSWER_FILE
    return file.read_text().strip() if file.exists() else None


@pytest.mark.parametrize("language", ["en", "es"])
def test_no_is_remembered_and_never_asked_again(settings, person, network, small_start, language):
    made = settings()
    somebody = person("n", language=language)
    assert offer(somebody, made) == exit_codes.OK
    assert (remembered(made), network.asked) == ("no", [])
    assert "MIT" in somebody.shown
    assert "12.4 kB" in somebody.questions[0]
    assert texts_for(language)("models_cli.offer.later") in somebody.shown
    again = person("y", language=language)
    assert offer(again, made) == exit_codes.OK
    assert again.questions == []


def test_yes_installs(settings, person, network, small_start):
    made = settings()
    network.files[small_start.urls[0]] = EMBEDDING
    somebody = person("yes")
    assert offer(somebody, made) == exit_codes.OK
    assert remembered(made) == "yes"
    assert (made.models_dir / "embeddings" / "easy.safetensors").is_file()
    assert len(somebody.questions) == 1


def test_failed_download_does_not_keep_the_bot_from_starting(settings, person, network, small_start):
    made = settings()
    somebody = person("y")
    assert offer(somebody, made) == exit_codes.OK
    assert "models install start" in somebody.shown


def test_no_answer_is_not_remembered(settings, person, network, small_start):
    made = settings()
    assert offer(person(), made) == exit_codes.OK
    assert (remembered(made), network.asked) == (None, [])


def test_nobody_at_the_terminal_is_not_asked(settings, person, network, small_start):
    made = settings()
    somebody = person("y", here=False)
    assert offer(somebody, made) == exit_codes.OK
    assert (somebody.questions, network.asked, remembered(made)) == ([], [], None)


def test_continuous_integration_is_not_asked(settings, person, network, small_start, monkeypatch):
    made = settings()
    monkeypatch.setenv("CI", "true")
    somebody = person("y")
    assert offer(somebody, made) == exit_codes.OK
    assert (somebody.questions, network.asked) == ([], [])


def test_who_has_a_checkpoint_is_not_asked(settings, person, network, small_start, monkeypatch):
    made = settings()
    monkeypatch.setattr("bot.models_cli.there.There.has_checkpoint", lambda there: True)
    somebody = person("y")
    assert offer(somebody, made) == exit_codes.OK
    assert somebody.questions == []
    assert remembered(made) is not None


def test_broken_catalogue_only_means_no_question(settings, person, network):
    made = settings()
    made.data.mkdir()
    operator_file(made.data).write_text("[[model", encoding="utf-8")
    somebody = person("y")
    assert offer(somebody, made) == exit_codes.OK
    assert somebody.questions == []


def test_shipped_start_set_is_what_is_offered(settings, person, network):
    made = settings()
    somebody = person("n")
    offer(somebody, made)
    assert "dreamshaper-8" in somebody.shown
    assert network.asked == []
