"""Resolutions of preprocessors and weights of control modes, against what sd-webui-controlnet itself answered."""

import numpy as np
import pytest
from reference import vectors

from gpu_worker.engine.control.maps import pixel_perfect_resolution, resized_for_detection, unpadded
from gpu_worker.engine.control.units import output_weights


@pytest.mark.parametrize(("given", "expected"), vectors("pixel_perfect_resolution"))
def test_pixel_perfect(given, expected):
    size, target = (given["image_w"], given["image_h"]), (given["target_w"], given["target_h"])
    assert pixel_perfect_resolution(size, target, given["resize_mode"]) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("preprocessor_resize"))
def test_what_a_preprocessor_sees(given, expected):
    picture = np.zeros((given["image_h"], given["image_w"], 3), np.uint8)
    padded, size = resized_for_detection(picture, given["resolution"])
    assert list(padded.shape[:2]) == expected["padded"]
    assert list(unpadded(padded, size).shape[:2]) == expected["detect_map"]


@pytest.mark.parametrize(("given", "expected"), vectors("soft_weights"))
def test_soft_weights(given, expected):
    got = output_weights(given["weight"], len(expected), soft=True, t2i="T2I" in given["model"])
    assert got == pytest.approx(expected, abs=1e-6)
