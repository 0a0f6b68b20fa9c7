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
    "bad_input/gone": ({"reason": "source_gone"}, "not kept"),
    "bad_input/source": ({"reason": "source_picture"}, "cannot be read"),
    "bad_input/depth": ({"reason": "source_depth"}, "too many times"),
    "bad_input/small": ({"reason": "size_small", "width": 64, "height": 64}, "smaller than it began"),
    "bad_input/latent": ({"upscaler": "Latent", "reason": "latent_source"}, "for example Lanczos"),
    "bad_input/sigmas": ({"reason": "sigmas"}, "sigma min"),
    "bad_input/sampler": ({"sampler": "Oil", "schedule": "Karras"}, "sampler “Oil”"),
    "bad_input/upscaler": ({"upscaler": "Oil"}, "upscaler “Oil”"),
    "missing_model/vae": ({"vae": "soft"}, "VAE “soft”"),
    "missing_model/upscaler": ({"upscaler": "4x"}, "upscaler “4x”"),
    "missing_model/face": ({"face": "GFPGANv1.4.pth"}, "GFPGANv1.4.pth"),
    "bad_model/vae": ({"vae": "soft", "problem": "corrupt"}, "VAE “soft”"),
    "bad_model/upscaler": ({"upscaler": "4x", "problem": "corrupt"}, "upscaler “4x”"),
    "bad_model/face": ({"face": "x", "problem": "corrupt"}, "restoring faces"),
    "bad_model/extra": ({"face": "CodeFormer", "problem": "needs_extra", "extra": "codeformer"}, "choose GFPGAN"),
    "bad_model/embedding": ({"embedding": "neg", "problem": "corrupt"}, "embedding “neg”"),
    "bad_model/unsafe": ({"checkpoint": "dreamy", "problem": "unsafe"}, "run code"),
    "bad_model/no_vae": ({"checkpoint": "dreamy", "problem": "no_vae"}, "no VAE of its own"),
    "bad_model/no_text": ({"checkpoint": "dreamy", "problem": "no_text_encoder"}, "text encoder"),
    "other/device": ({"reason": "no_such_device", "device": "cuda:9"}, "cuda:9"),
    "other/xformers": ({"reason": "no_xformers"}, "xformers"),
    "other/nan": ({"reason": "not_finite"}, "lower CFG"),
    "bad_input/adapter": (
        {"reason": "image_prompt_misfit", "controlnet": "ip", "checkpoint": "dreamy"},
        "IP-Adapter “ip” was not made",
    ),
    "bad_input/no adapter": ({"reason": "no_image_adapter", "controlnet": "canny"}, "“canny” is no IP-Adapter"),
    "missing_model/eyes": (
        {"reason": "no_image_encoder", "annotator": "CLIP vision", "controlnet": "ip"},
        "“ip” sees with is not installed",
    ),
    "missing_model/control": ({"controlnet": "ip"}, "control model “ip” is not installed"),
    "missing_model/annotator": ({"annotator": "clip"}, "annotator “clip” is not installed"),
    "bad_model/control": ({"controlnet": "ip", "problem": "corrupt"}, "control model “ip” cannot be used"),
    "bad_model/annotator": ({"annotator": "clip", "problem": "corrupt"}, "annotator “clip” cannot be used"),
    "bad_input/control misfit": (
        {"reason": "control_misfit", "controlnet": "canny", "checkpoint": "dreamy"},
        "control model “canny” was not made",
    ),
    "bad_input/no control": ({"reason": "no_control_model", "controlnet": "ip"}, "another kind of add-on"),
    "bad_input/control type": ({"reason": "control_type", "controlnet": "union"}, "what the picture shows"),
    "bad_input/no such type": (
        {"reason": "control_type_absent", "controlnet": "union", "type": "Tile"},
        "control type Tile",
    ),
    "bad_input/control image": ({"reason": "control_image"}, "no picture to follow"),
    "bad_input/preprocessor": ({"reason": "preprocessor", "preprocessor": "oil"}, "no preprocessor “oil”"),
    "of a newer worker": ({}, "try again"),
}


def failed(kind: str, detail: dict[str, object], locale: str = "en-US") -> Job:
    return Job(
        id=JobId("a" * 16), action=Action.IMAGINE, user_id=UserId(1), guild_id=None, channel_id=ChannelId(2),
        locale=locale, lane=Lane.INTERACTIVE, task=SPEC, status=JobStatus.FAILED, work_units=1, attempt=1, crashes=0,
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


def test_a_refiner_is_named_and_not_the_checkpoint_that_it_refines() -> None:
    assert "“finer”" in failure_sentence(failed("missing_model", {"checkpoint": "finer"}), texts_for("en-US"))
