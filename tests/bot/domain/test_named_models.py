"""Every model that a request names is found in it."""

import pytest

from bot.domain.named_models import embeddings_in, models_of
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Hires, Refiner, Txt2Img

FACTS = (
    ModelFact(kind="lora", name="ink", alias="ink_alias"),
    ModelFact(kind="embedding", name="EasyNegative"),
    ModelFact(kind="embedding", name="bad hands-5"),
    ModelFact(kind="embedding", name="unused"),
)


def test_everything_is_found_once():
    spec = Txt2Img(
        prompt="a cat <lora:ink:1> <lora:ink_alias:0.5> <lyco:other:1>",
        negative_prompt="(easynegative:1.2), bad hands-5",
        checkpoint="a",
        vae="v",
        width=512,
        height=512,
        seed=1,
        refiner=Refiner(checkpoint="r"),
        hires=Hires(upscaler="4x", checkpoint="h", prompt="<lora:second:1>"),
    )
    assert models_of(spec, FACTS) == [
        ("checkpoint", "a"), ("checkpoint", "r"), ("vae", "v"), ("checkpoint", "h"), ("upscaler", "4x"),
        ("lora", "ink"), ("lora", "other"), ("lora", "second"),
        ("embedding", "EasyNegative"), ("embedding", "bad hands-5"),
    ]  # fmt: skip


def test_what_needs_no_file_is_no_model():
    spec = Txt2Img(prompt="x", checkpoint="a", width=512, height=512, seed=1, hires=Hires(upscaler="Latent"))
    assert models_of(spec) == [("checkpoint", "a")]


def test_a_broken_tag_of_an_old_record_is_left_to_the_worker():
    spec = Txt2Img(prompt="<lora:x:many>", checkpoint="a", width=512, height=512, seed=1)
    assert ("checkpoint", "a") in models_of(spec)


def test_embeddings_are_whole_words():
    assert embeddings_in("uneasynegative", FACTS) == []
    assert embeddings_in("a, EASYNEGATIVE|b", FACTS) == ["EasyNegative"]


@pytest.mark.parametrize(
    "text", ["worst, EasyNegative.", "'EasyNegative'", "EasyNegative; bad", "EasyNegative2", "\\(EasyNegative\\)"]
)
def test_signs_and_digits_end_a_word_as_they_do_for_the_tokenizer(text):
    assert embeddings_in(text, FACTS) == ["EasyNegative"]


def test_of_names_that_begin_alike_the_longest_is_called():
    facts = (*FACTS, ModelFact(kind="embedding", name="EasyNegative-2"), ModelFact(kind="embedding", name="..."))
    assert embeddings_in("EasyNegative-2, b", facts) == ["EasyNegative-2"]
    assert embeddings_in("EasyNegative-2, EasyNegative", facts) == ["EasyNegative", "EasyNegative-2"]
    assert embeddings_in("a, b", facts) == []
