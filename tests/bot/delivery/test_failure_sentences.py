"""Every way an engine can fail has its own sentence, in both languages, and repeats names inertly."""

import time

import pytest

from bot.delivery.cards import failure_sentence
from bot.domain.ids import ChannelId, JobId, UserId
from bot.domain.job import Action, Job, JobStatus, Lane
from bot.i18n import LANGUAGES, texts_for
from gpu_worker.protocol.specs import Txt2Img

SPEC = Txt2Img(prompt="a cat", checkpoint="dreamy", width=512, height=512, seed=1)

FAILURES = {
    "oom": ({}, "memory"),
    "missing_model": ({"checkpoint": "dreamy"}, "dreamy"),
    "missing_model/lora": ({"lora": "ink"}, "LoRA “ink”"),
    "bad_model": ({"checkpoint": "dreamy", "problem": "corrupt"}, "model file of “dreamy”"),
    "bad_model/lora": ({"lora": "ink", "problem": "corrupt"}, "file of the LoRA “ink”"),
    "bad_input/tag": ({"lora": "ink", "reason": "lora_tag"}, "<lora:ink:0.8>"),
    "bad_input/misfit": ({"lora": "ink", "reason": "lora_misfit"}, "not made for this checkpoint"),
    "bad_input/kind": ({"network": "hypernet:x", "reason": "network_kind"}, "<lora:…>"),
    "bad_input/new": ({"reason": "something a newer worker knows"}, "Edit it"),
    "other/nan": ({"reason": "not_finite"}, "lower CFG"),
    "of a newer worker": ({}, "try again"),
}


def failed(kind: str, detail: dict[str, object], locale: str = "en-US") -> Job:
    return Job(
        id=JobId("a" * 16), action=Action.IMAGINE, user_id=UserId(1), guild_id=None, channel_id=ChannelId(2),
        locale=locale, lane=Lane.INTERACTIVE, spec=SPEC, status=JobStatus.FAILED, work_units=1, attempt=1, crashes=0,
        worker=None, created_at=time.time(), failure_kind=kind.split("/", maxsplit=1)[0], failure_detail=detail,
    )  # fmt: skip


@pytest.mark.parametrize("kind", FAILURES)
def test_the_most_exact_sentence_is_chosen(kind: str) -> None:
    detail, expected = FAILURES[kind]
    assert expected in failure_sentence(failed(kind, detail), texts_for("en-US"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_failure_reads_in_every_language(language: str) -> None:
    sentences = {
        kind: failure_sentence(failed(kind, detail), texts_for(language)) for kind, (detail, _) in FAILURES.items()
    }
    assert all("{" not in sentence for sentence in sentences.values())
    assert len(set(sentences.values())) == len(FAILURES)


def test_a_name_cannot_ping() -> None:
    job = failed("missing_model", {"lora": "@everyone <@1>"})
    assert "@everyone" not in failure_sentence(job, texts_for("en-US"))
