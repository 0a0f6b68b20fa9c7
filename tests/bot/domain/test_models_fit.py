"""Which models go together: by family, and what was made for one checkpoint alone."""

import pytest

from bot.domain.models import suits
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
