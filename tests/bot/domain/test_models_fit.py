"""Which models go together: by family, and what was made for one checkpoint alone."""

import pytest

from bot.domain.control.kinds import kind_named
from bot.domain.control.models import model_for
from bot.domain.models import suits
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact


@pytest.mark.parametrize(
    ("kind", "family", "only_for", "fits"),
    [
        ("controlnet", "sd1", None, True),
        ("controlnet", "sdxl", None, False),
        ("controlnet", None, None, True),
        ("controlnet", "sd1", "pincel-demo", False),
        ("controlnet", "sd1", "dream", True),
        ("upscaler", None, None, True),
    ],
)
def test_what_fits_a_checkpoint(kind, family, only_for, fits):
    dream = ModelFact(kind="checkpoint", name="dream", family="sd1")
    assert suits(ModelFact(kind=kind, name="x", family=family, only_for=only_for), dream) is fits


def test_beside_another_checkpoint_the_demos_control_models_are_none():
    demo, dream = (ModelFact(kind="checkpoint", name=name, family="sd1") for name in ("pincel-demo", "dream"))
    own = ModelFact(kind="controlnet", name="pincel-demo-canny", family="sd1", only_for="pincel-demo")
    assert model_for(kind_named("Canny"), demo, [demo, dream, own]) == "pincel-demo-canny"
    with pytest.raises(UserFacingError) as refused:
        model_for(kind_named("Canny"), dream, [demo, dream, own])
    assert (refused.value.key, refused.value.values["install"]) == ("control_none", "control-canny")
    tile = ModelFact(kind="controlnet", name="tile", family="sd1")
    with pytest.raises(UserFacingError) as refused:
        model_for(kind_named("Canny"), dream, [demo, dream, own, tile])
    assert refused.value.key == "control_type_missing"
