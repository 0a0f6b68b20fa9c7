"""What is done of the next kit does what its README says, with a margin: on what it was not trained on."""

import numpy as np
import pytest
import torch
from spandrel import ModelLoader

from demo_kit import finished
from demo_kit.evaluate import measure, questions
from demo_kit.folders import KIT
from demo_kit.studio import Studio
from demo_kit.upscaler import SCALE, new_upscaler, psnr_against_bicubic

START = finished.START.parents[1]


def test_an_upscaler_begins_as_what_repeats_each_pixel():
    shown = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        made = new_upscaler()(shown)
    assert torch.allclose(made, shown.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3), atol=1e-6)


@pytest.mark.slow
def test_the_upscaler_is_better_than_bicubic(tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_TRAINING", str(tmp_path))
    model = ModelLoader().load_from_file(START / "upscalers" / "pincel-4x.safetensors").model
    ours, plain = psnr_against_bicubic(model, count=16)
    assert ours > plain + 1.5


@pytest.mark.slow
def test_the_checkpoint_draws_what_was_asked_for():
    asked = questions(seed=2)
    few = [one for group in ("seen", "unseen", "shape", "pair") for one in [o for o in asked if o.group == group][-5:]]
    figures, _ = measure(Studio(START, "pincel-demo", KIT / "sd-mini"), few)
    assert figures.share("background colour") >= 0.95
    assert np.mean(figures.right["object"] + figures.right["both colours of a shape"]) >= 0.9
    assert figures.share("both of two objects, on their sides") >= 0.6
