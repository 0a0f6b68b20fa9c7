import numpy as np
import pytest

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import fit, inner_size, placed

MODES = ("Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)")


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(64, 64), (100, 60), (31, 97), (200, 60), (1, 1), (513, 8)])
def test_every_mode_gives_exactly_the_size(picture, mode, size):
    assert fit(picture, *size, mode).shape == (size[1], size[0], 3)
    mask = picture[:, :, 0]
    assert fit(mask, *size, mode).shape == (size[1], size[0])


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 3), (1, 1, 3)])
@pytest.mark.parametrize("mode", MODES)
def test_extreme_shapes(shape, mode):
    assert fit(np.zeros(shape, np.uint8), 64, 64, mode).shape == (64, 64, 3)


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_the_size_is_kept(picture, mode):
    assert (fit(picture, 100, 60, mode) == picture).all()


def test_crop_keeps_the_middle():
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, 32:96] = 200
    assert (fit(picture, 64, 64, "Crop and resize") == 200).all()


@pytest.mark.parametrize(("width", "height"), [(60, 120), (60, 121), (61, 120), (61, 121)])
def test_fill_stretches_the_border(width, height):
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[:3], picture[-3:] = (250, 10, 10), (10, 10, 250)
    out = fit(picture, width, height, "Resize and fill")
    inner = inner_size((60, 60), (width, height), "Resize and fill")
    top = height // 2 - inner[1] // 2
    assert (out[: top + 1] == (250, 10, 10)).all()
    assert (out[top + inner[1] - 1 :] == (10, 10, 250)).all()


def test_fill_stretches_each_column_by_itself():
    picture = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
    out = fit(picture, 60, 100, "Resize and fill")
    assert (out == picture[:1]).all()
    sideways = fit(picture.transpose(1, 0, 2), 100, 60, "Resize and fill")
    assert (sideways == picture.transpose(1, 0, 2)[:, :1]).all()


def test_placed_cuts_and_fills_at_once(picture):
    out = placed(picture, 50, 80)
    assert (out[10:70] == picture[:, 25:75]).all()
    assert out.shape == (80, 50, 3)


def test_a_long_thin_picture_is_refused_before_it_takes_all_memory():
    strip = np.zeros((16, 200_000, 3), np.uint8)
    with pytest.raises(EngineError) as caught:
        fit(strip, 1024, 1024, "Crop and resize")
    assert caught.value.detail["reason"] == "source_picture"
    assert fit(strip, 256, 256, "Just resize").shape == (256, 256, 3)
