import cv2
import numpy as np
from skimage.exposure import match_histograms

from gpu_worker.engine.images.colours import LUMA, matched


def scene(seed, tint=(1, 1, 1)):
    random = np.random.default_rng(seed)
    small = random.integers(30, 226, (12, 12, 3), dtype=np.uint8)
    return (cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC) * np.array(tint)).clip(0, 255).astype(np.uint8)


def test_colours_move_to_the_inits_and_brightness_stays():
    drawn, init = scene(1, (1, 0.7, 0.5)), scene(2, (0.6, 0.8, 1))
    corrected = matched(drawn, init)
    assert corrected.dtype == np.uint8
    assert corrected.shape == drawn.shape

    def tint(picture):
        return picture.reshape(-1, 3).mean(axis=0) @ np.array([[1, 0, -1]]).T

    assert tint(drawn) > 20
    assert tint(init) < -20
    assert tint(corrected) < 0
    assert np.abs(corrected @ LUMA - drawn @ LUMA).max() < 1.5


def test_against_the_formula_pixel_by_pixel():
    """SetLum and ClipColor of the W3C's compositing, written out for one pixel."""
    drawn, init = scene(3), scene(4, (1, 0.5, 0.5))
    lab = match_histograms(
        cv2.cvtColor(drawn, cv2.COLOR_RGB2LAB), cv2.cvtColor(init, cv2.COLOR_RGB2LAB), channel_axis=2
    )
    colours = cv2.cvtColor(lab.astype(np.uint8), cv2.COLOR_LAB2RGB)
    corrected = matched(drawn, init)
    weights = (0.299, 0.587, 0.114)
    for y, x in np.random.default_rng(0).integers(0, 96, (300, 2)):
        base = [v / 255 for v in colours[y, x]]
        luma = sum(w * v / 255 for w, v in zip(weights, drawn[y, x], strict=True))
        shift = luma - sum(w * v for w, v in zip(weights, base, strict=True))
        pixel = [v + shift for v in base]
        low, high = min(pixel), max(pixel)
        if low < 0:
            pixel = [luma + (v - luma) * luma / (luma - low) for v in pixel]
        if high > 1:
            pixel = [luma + (v - luma) * (1 - luma) / (high - luma) for v in pixel]
        assert np.abs(corrected[y, x] - np.array(pixel) * 255).max() <= 1


def test_a_picture_matched_to_itself_hardly_changes():
    picture = scene(5)
    assert np.abs(matched(picture, picture).astype(int) - picture).max() <= 10  # 8-bit L*a*b* and back


def test_black_and_white_stay_in_range():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[4:] = 255
    assert (matched(picture, scene(6))[:4] == 0).all()
    assert (matched(picture, scene(6))[4:] == 255).all()
