"""Maps: their sizes, resized by what they are, and preprocessors."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gpu_worker.engine.control.maps import brought_to
from gpu_worker.engine.control.preprocess import PREPROCESSORS, preprocess
from gpu_worker.engine.control.units import output_weights
from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import ControlUnit


def test_balanced_weights_are_plain():
    assert output_weights(0.7, 3, soft=False, t2i=False) == (0.7, 0.7, 0.7)


def drawing(width=90, height=60):
    image = Image.new("RGB", (width, height), "black")
    ImageDraw.Draw(image).rectangle((20, 10, 60, 40), fill="white")
    return np.asarray(image)


@pytest.mark.parametrize("mode", ["Just Resize", "Crop and Resize", "Resize and Fill"])
@pytest.mark.parametrize("size", [(64, 128), (128, 64), (40, 40), (90, 60), (1, 300)])
def test_every_mode_gives_the_size(mode, size):
    made = brought_to(drawing(), *size, mode)
    assert made.shape == (size[1], size[0], 3)
    assert made.dtype == np.uint8


def test_covering_cuts_and_filling_takes_the_borders_colour():
    picture = drawing(100, 100)
    picture = np.dstack([np.full((100, 100), 7, np.uint8), picture[..., 1:]])
    cut = brought_to(picture, 50, 100, "Crop and Resize")
    assert (cut == picture[:, 25:75]).all()
    filled = brought_to(picture, 200, 100, "Resize and Fill")
    assert (filled[:, 50:150] == picture).all()
    assert (filled[:, :50] == (7, 0, 0)).all()


def test_labels_are_not_mixed_and_lines_stay_two_coloured():
    labels = np.zeros((40, 40, 3), np.uint8)
    labels[:20], labels[20:, 20:] = (10, 200, 30), (90, 0, 255)
    grown = brought_to(labels, 100, 100, "Just Resize")
    assert {tuple(colour) for colour in grown.reshape(-1, 3)} == {(10, 200, 30), (90, 0, 255), (0, 0, 0)}
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, 20] = 255
    for side in (50, 128):
        made = brought_to(lines, side, side, "Just Resize")
        assert set(np.unique(made)) == {0, 255}
        assert 1 <= (made[side // 2, :, 0] == 255).sum() <= 2


def test_preprocessors():
    picture = drawing(96, 64)

    def made(name, **wish):
        return preprocess(name, picture, ControlUnit(model="x", processor_resolution=64, **wish))

    assert (made("none") == picture).all()
    assert (made("invert") == 255 - picture).all()
    edges = made("canny")
    assert edges.shape == picture.shape
    assert edges[25, 18:23].max() == 255
    assert edges[25, 40].max() == 0
    assert set(np.unique(made("threshold"))) == {0, 255}
    assert (made("threshold", threshold_a=255) == 0).all()
    assert 0 < made("blur_gaussian", threshold_a=4)[25, 18].max() < 255
    assert made("tile_resample", threshold_a=4).shape == (16, 24, 3)
    assert (made("tile_resample") == picture).all()


@pytest.mark.parametrize("name", sorted(PREPROCESSORS))
def test_any_picture_is_preprocessed(name):
    for size in ((8, 8, 3), (1, 40, 3), (40, 1, 3)):
        unit = ControlUnit(model="x", processor_resolution=64)
        made = preprocess(name, np.zeros(size, np.uint8), unit)
        assert (made.dtype, made.shape[2]) == (np.uint8, 3)


def test_what_goes_out_of_bounds_is_refused():
    long = np.zeros((1, 40_000, 3), np.uint8)
    for work in (
        lambda: preprocess("canny", long, ControlUnit(model="x", processor_resolution=2048)),
        lambda: brought_to(long, 512, 2048, "Crop and Resize"),
        lambda: preprocess("oil", long, ControlUnit(model="x")),
    ):
        with pytest.raises(EngineError) as caught:
            work()
        assert caught.value.kind == "bad_input"
