"""DWPose with ONNX files written by hand, which say the same whatever they are shown."""

import struct

import numpy as np
import pytest
import torch

from gpu_worker.engine.control.preprocessors.book import Preprocessors
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import ControlUnit
from tests.gpu_worker.engine.control.annotator_files import annotator
from tests.gpu_worker.engine.safety.tiny_onnx import _bytes, _tensor

SIDE = 64
CELLS = 64 + 16 + 4


def onnx(path, shape, *outputs):
    nodes, ends = b"", b""
    for at, values in enumerate(outputs):
        data = b"".join(_number(1, side) for side in values.shape) + _number(2, 1)
        data += _bytes(9, struct.pack(f"<{values.size}f", *values.ravel()))
        value = _bytes(1, "value") + _bytes(5, data) + _number(20, 4)
        nodes += _bytes(1, _bytes(2, f"y{at}") + _bytes(4, "Constant") + b"\x2a" + _varint(len(value)) + value)
        ends += _bytes(12, _tensor(f"y{at}", *values.shape))
    graph = nodes + _bytes(2, "g") + _bytes(11, _tensor("x", *shape)) + ends
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13)))
    return path


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def people(path, *cells, score=0.9):
    """Persons that fill the picture, in the coarsest cells."""
    out = np.zeros((1, CELLS, 85), np.float32)
    for cell in cells:
        out[0, cell, :4] = (1 - cell % 2, 1 - (cell - 80) // 2, np.log(1.5), np.log(1.5))
        out[0, cell, 4:6] = score, 1
    return onnx(path / "yolox_l.onnx", (1, 3, SIDE, SIDE), out)


def points(path, score=1.0, count=133):
    """All in the middle but the nose and the hips."""
    across, along = np.zeros((1, count, 96), np.float32), np.zeros((1, count, 128), np.float32)
    across[0, :, 48] = score
    along[0, np.arange(count), np.linspace(30, 100, count).astype(int)] = score
    return onnx(path / "dw-ll_ucoco_384.onnx", (1, 3, 64, 48), across, along)


def skeleton(*paths):
    files = [annotator(path) for path in paths]
    shown = np.zeros((100, 100, 3), np.uint8)
    unit = ControlUnit(model="any", processor_resolution=64)
    preprocessors = Preprocessors(lambda: files, Device(torch.device("cpu"), torch.float32))
    return preprocessors.preprocess("dw_openpose_full", shown, unit)


def test_a_person_is_drawn_where_the_points_are(tmp_path):
    found = skeleton(people(tmp_path, 80), points(tmp_path))
    assert found.shape == (64, 64, 3)
    rows, columns = np.nonzero(found.max(axis=2))
    assert 20 < columns.mean() < 44
    assert np.ptp(columns) < 16 < np.ptp(rows)
    assert (found == 255).all(axis=2).any(), "the face"


def test_one_person_is_not_drawn_twice(tmp_path):
    once = skeleton(people(tmp_path, 80), points(tmp_path))
    assert np.array_equal(once, skeleton(people(tmp_path, 80, 81, 82), points(tmp_path)))


def test_nobody_and_points_that_are_not_sure(tmp_path):
    assert skeleton(people(tmp_path), points(tmp_path)).max() == 0
    assert skeleton(people(tmp_path, 80), points(tmp_path, score=0.2)).max() == 0


def test_who_is_barely_seen_has_the_whole_picture_looked_at(tmp_path):
    assert skeleton(people(tmp_path, 80, score=0.2), points(tmp_path)).max() > 0


def test_files_of_other_networks(tmp_path):
    with pytest.raises(EngineError) as caught:
        skeleton(people(tmp_path, 80), points(tmp_path, count=17))
    assert caught.value.detail == {"annotator": "dw-ll_ucoco_384", "problem": "unknown_layout"}
    (tmp_path / "yolox_l.onnx").write_bytes(b"no onnx")
    with pytest.raises(EngineError) as caught:
        skeleton(tmp_path / "yolox_l.onnx", points(tmp_path))
    assert caught.value.detail == {"annotator": "yolox_l", "problem": "corrupt"}
