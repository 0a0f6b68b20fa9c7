"""Cards of jobs that make model files: no prompt, no picture, a sentence at every station, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.cards import cancelled_card, failed_card, made_card, progress_card, queued_card
from bot.delivery.machine import MachineState
from bot.delivery.made import headline
from bot.delivery.progress_state import ProgressState
from bot.domain.job import Action, MadeModel
from bot.i18n import texts_for
from bot.studio.conversions import tidy_output
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, MergeSpec
from tests.bot.delivery.test_cards import assert_within_limits, text_of

MADE = MadeModel("a" * 10, "checkpoint", "violet_~~one~~", 2_132_000_000, "fp16")
MERGE = MergeSpec(output="violet_~~one~~", first="red", second="blue")


@pytest.mark.parametrize(("locale", "words"), [("en-US", "is in the library"), ("es-ES", "está en la biblioteca")])
def test_what_was_made(make_job, locale, words):
    card = made_card(make_job(spec=MERGE, action=Action.MERGE, result=MADE, locale=locale))
    text = text_of(card)
    assert words in text
    assert "red + blue → violet" in text
    assert "2.13 GB · fp16" in text
    assert "~~one~~" not in text
    assert_within_limits(card)


def test_titles(make_job):
    texts = texts_for("en-US")
    bake = BakeSpec(output="o", checkpoint="c", loras=(BakedLora(name="ink"), BakedLora(name="oil")))
    for spec, wanted in (
        (ConvertSpec(output="o", model="m"), "m → o"), (bake, "c + ink, oil → o"),
        (MERGE, "red + blue → violet_~~one~~"),
    ):  # fmt: skip
        assert headline(make_job(spec=spec), texts) == wanted


def test_stations_before_the_end(make_job):
    job = make_job(spec=MERGE, action=Action.MERGE)
    assert "you are next" in text_of(queued_card(job, None, MachineState.READY))
    assert "50 %" in text_of(progress_card(job, ProgressState("converting", 500, 1000, 30.0), has_preview=False))
    assert "Reading" in text_of(progress_card(job, ProgressState("converting", 0, 0, None), has_preview=False))
    assert "No file was made" in text_of(cancelled_card(job))


@pytest.mark.parametrize(("kind", "detail", "words"), [
    ("bad_input", {"reason": "no_ema"}, "no EMA"), ("bad_input", {"reason": "overflow", "key": "k"}, "bf16"),
    ("bad_input", {"reason": "merge_order", "checkpoint": "x", "other": "y"}, "“x” as A"),
    ("bad_input", {"reason": "merge_misfit", "checkpoint": "x", "other": "y"}, "“x” and “y”"),
    ("bad_input", {"reason": "nothing_left"}, "Leave out less"), ("oom", {"reason": "file"}, "memory"),
    ("bad_model", {"checkpoint": "x", "problem": "unsupported"}, "“x”"),
    ("bad_model", {"checkpoint": "x", "problem": "unsafe"}, "could run code"),
    ("disk_full", {"needed_bytes": 5, "free_bytes": 1}, "disk is full"),
])  # fmt: skip
def test_failures_have_their_sentence(make_job, kind, detail, words):
    for locale in ("en-US", "es-ES"):
        job = make_job(spec=MERGE, failure_kind=kind, failure_detail=detail, locale=locale)
        text = text_of(failed_card(job))
        assert "task:" not in text
        if locale == "en-US":
            assert words in text


@given(st.text(max_size=200))
def test_any_name_becomes_one_that_a_spec_takes_or_none(name):
    tidy = tidy_output(name)
    assert not tidy or ConvertSpec(output=tidy, model="m").output == tidy
