"""Which models go together: by family, and by the width of the text that they read."""

import pytest

from bot.domain.control.kinds import kind_named
from bot.domain.control.models import model_for
from bot.domain.models import suits, useless_embeddings
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact


@pytest.mark.parametrize(
    ("kind", "family", "context", "fits"),
    [
        ("controlnet", "sd1", None, True),
        ("controlnet", "sdxl", None, False),
        ("controlnet", None, None, True),
        ("controlnet", None, 96, False),
        ("controlnet", "sd1", 96, False),
        ("controlnet", "sd1", 768, True),
        ("lora", "sd1", 128, False),
        ("embedding", None, 128, False),
        ("embedding", None, 768, True),
        ("upscaler", None, None, True),
    ],
)
def test_what_fits_a_checkpoint(kind, family, context, fits):
    dream = ModelFact(kind="checkpoint", name="dream", family="sd1", context=768)
    model = ModelFact(kind=kind, name="x", family=family, context=context)
    assert suits(model, dream) is fits
    assert suits(model, dream.model_copy(update={"context": None})) is (family != "sdxl"), "nothing is known"


def test_beside_another_checkpoint_the_demos_control_models_are_none():
    demo = ModelFact(kind="checkpoint", name="pincel-demo", family="sd1", context=96)
    dream = ModelFact(kind="checkpoint", name="dream", family="sd1", context=768)
    own = ModelFact(kind="controlnet", name="pincel-demo-canny", family="sd1", context=96)
    assert model_for(kind_named("Canny"), demo, [demo, dream, own]) == "pincel-demo-canny"
    with pytest.raises(UserFacingError) as refused:
        model_for(kind_named("Canny"), dream, [demo, dream, own])
    assert (refused.value.key, refused.value.values["install"]) == ("control_none", "control-canny")
    tile = ModelFact(kind="controlnet", name="tile", family="sd1")
    with pytest.raises(UserFacingError) as refused:
        model_for(kind_named("Canny"), dream, [demo, dream, own, tile])
    assert refused.value.key == "control_type_missing"


def test_a_negative_embedding_of_another_width_stays_a_word():
    dream = ModelFact(kind="checkpoint", name="dream", family="sd1", context=768)
    narrow = ModelFact(kind="embedding", name="pincel-negative", context=128)
    usual = ModelFact(kind="embedding", name="easynegative", family="sd1", context=768)
    named = "pincel-negative, easynegative, blurry"
    assert useless_embeddings(named, dream, [narrow, usual]) == ["pincel-negative"]
