"""Detectors: what is found where, what becomes of it, and files that are none."""

import numpy as np
import pytest
import torch

from gpu_worker.engine.details.boxes import Answer, canvas_of, read_answer
from gpu_worker.engine.details.detectors import Detectors
from gpu_worker.engine.details.masks import masks_of
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.faces.restore import FaceRestorer
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import DetailFix
from tests.gpu_worker.engine.details.detector_files import boxed, red_squares, saying

CPU = Device(torch.device("cpu"), torch.float32)
CANVAS = canvas_of(np.zeros((128, 128, 3), np.uint8), 128, 128)


def detectors(*paths):
    files = [ModelFile(ModelFact(kind="detector", name=path.stem), path, path) for path in paths]
    return Detectors(lambda: files, CPU, FaceRestorer(lambda: (), CPU))


def masks(path, picture=None, **changes):
    shown = np.zeros((128, 128, 3), np.uint8) if picture is None else picture
    unit = DetailFix(**({"model": path.stem, "dilate": 0} | changes))
    return detectors(path).masks(shown, unit, lambda: None)


def box_of(mask):
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def read(*boxes, size=(128, 128), least=0.3, kinds=frozenset(), **options):
    return read_answer(Answer(boxed(*boxes, **options)[0]), CANVAS, size, least, kinds)


class TestWhatIsFound:
    def test_a_red_square_wherever_it_is_and_however_large_the_picture(self, tmp_path):
        path = red_squares(tmp_path / "red.onnx")
        picture = np.full((512, 512, 3), 100, np.uint8)
        picture[128:256, 256:384] = 255, 0, 0
        (found,) = masks(path, picture)
        assert box_of(found) == (256, 128, 385, 257)
        assert not masks(path, np.full((512, 512, 3), 100, np.uint8))

    def test_a_wide_picture_lies_in_the_middle_of_the_canvas(self, tmp_path):
        path = saying(tmp_path / "one.onnx", boxed((0, 32, 64, 96, 0.9)))
        (found,) = masks(path, np.zeros((128, 256, 3), np.uint8))
        assert box_of(found) == (0, 0, 129, 128)

    def test_sides_that_are_not_said_are_640(self, tmp_path):
        path = saying(tmp_path / "any.onnx", boxed((320, 320, 640, 640, 0.9)), shape=("n", 3, "h", "w"))
        (found,) = masks(path)
        assert box_of(found) == (64, 64, 128, 128)

    def test_a_file_that_leaves_no_overlaps(self, tmp_path):
        rows = np.zeros((1, 300, 6), np.float32)
        rows[0, 0] = 10, 20, 30, 40, 0.8, 0
        (found,) = masks(saying(tmp_path / "ends.onnx", rows))
        assert box_of(found) == (10, 20, 31, 41)

    def test_an_outline_within_its_box(self, tmp_path):
        answer = np.concatenate([boxed((32, 32, 96, 96, 0.9)), np.zeros((1, 1, 16), np.float32)], axis=1)
        answer[0, 5, 0] = 1
        shape = np.full((1, 1, 32, 32), -1, np.float32)
        shape[0, 0, :16] = 1
        (found,) = masks(saying(tmp_path / "shape.onnx", answer, shape))
        left, top, right, bottom = box_of(found)
        assert (left, top, right) == (32, 32, 97)
        assert bottom == pytest.approx(64, abs=2)

    def test_the_classes_that_are_asked_for(self):
        assert [found.kind for found in read((0, 0, 9, 9, 0.9), classes=3, class_of=2)] == [2]
        assert not read((0, 0, 9, 9, 0.9), classes=3, class_of=2, kinds=frozenset({0, 1}))

    def test_one_thing_is_found_once(self):
        found = read((10, 10, 50, 50, 0.7), (11, 10, 51, 50, 0.9), (80, 80, 99, 99, 0.5))
        assert [round(one.score, 1) for one in found] == [0.9, 0.5]


class TestAnswersOfAllKinds:
    def test_boxes_beyond_the_picture_end_at_its_edge(self):
        (found,) = read((-50, -50, 40, 300, 0.9))
        assert found.box == (0, 0, 40, 128)
        assert not read((200, 200, 300, 300, 0.9))

    def test_what_is_no_number_is_no_box(self):
        nan, inf = float("nan"), float("inf")
        assert not read((nan, 0, 9, 9, 0.9), (0, 0, inf, 9, 0.9), (0, 0, 9, 9, nan))

    def test_a_thousand_boxes(self, tmp_path):
        """Every one is somewhere else; no more are drawn than may be."""
        boxes = [(at % 40 * 3, at // 40 * 4, at % 40 * 3 + 2, at // 40 * 4 + 3, 0.9) for at in range(1200)]
        path = saying(tmp_path / "many.onnx", boxed(*boxes))
        assert len(masks(path, most=32)) == 32
        assert len(masks(path)) == 8

    def test_a_certainty_of_0_is_no_find(self):
        assert not read((0, 0, 9, 9, 0.0), least=0)

    def test_an_answer_of_any_other_shape(self):
        for rows in (np.zeros((4, 20)), np.zeros(20), np.zeros((5, 400_000))):
            with pytest.raises(ValueError, match="an answer of"):
                read_answer(Answer(rows), CANVAS, (128, 128), 0.3, frozenset())


class TestFilesThatAreNoDetectors:
    @pytest.mark.parametrize(
        ("shape", "answers"),
        [
            ((1, 3, 128, 128), [np.zeros((1, 4))]),
            ((1, 3, 128, 128), [np.zeros((1, 3, 20))]),
            ((1, 3, 128, 128), [np.zeros((1, 40, 64)), np.zeros((1, 32, 500, 500))]),
            ((1, 4, 128, 128), [boxed()]),
            ((1, 3, 8192, 8192), [boxed()]),
            ((1, 3, 8, 8), [boxed()]),
            ((1, 128), [boxed()]),
        ],
    )
    def test_what_takes_or_gives_something_else(self, tmp_path, shape, answers):
        with pytest.raises(EngineError) as caught:
            masks(saying(tmp_path / "other.onnx", *answers, shape=shape))
        assert caught.value.detail == {"detector": "other", "problem": "unknown_layout"}

    def test_what_is_no_onnx(self, tmp_path):
        path = tmp_path / "bad.onnx"
        path.write_bytes(b"no onnx")
        with pytest.raises(EngineError) as caught:
            masks(path)
        assert caught.value.detail == {"detector": "bad", "problem": "corrupt"}

    def test_names_that_are_none(self, tmp_path):
        for number, names in enumerate(("[" * 5000, "{0: 'a', 5: 'b'}", "__import__('os')", "17")):
            found = detectors(saying(tmp_path / f"{number}.onnx", boxed(), names=names))
            with pytest.raises(EngineError) as caught:
                found.check(DetailFix(model=str(number), classes="a"))
            assert caught.value.detail["reason"] == "detector_classes"


class TestMasks:
    def found(self):
        return read((0, 0, 20, 20, 0.9), (50, 50, 114, 114, 0.8), (30, 60, 60, 90, 0.7))

    def boxes(self, **changes):
        return [
            box_of(mask)[0] for mask in masks_of(self.found(), (128, 128), DetailFix(model="x", dilate=0, **changes))
        ]

    def test_in_which_order(self):
        assert self.boxes() == [0, 50, 30]
        assert self.boxes(sort="Position (left to right)") == [0, 30, 50]
        assert self.boxes(sort="Area (large to small)") == [50, 30, 0]
        assert self.boxes(sort="Position (center to edge)") == [30, 50, 0]

    def test_how_many_and_how_large(self):
        assert self.boxes(only_k=1) == [50]
        assert self.boxes(only_k=2) == [50, 30]
        assert self.boxes(most=1) == [0]
        assert self.boxes(min_ratio=0.05) == [50, 30]
        assert self.boxes(max_ratio=0.1) == [0, 30]

    def test_moved_grown_and_shrunk(self):
        def edge(**changes):
            unit = DetailFix(**({"model": "x", "only_k": 1, "dilate": 0} | changes))
            return box_of(masks_of(self.found(), (128, 128), unit)[0])

        assert edge() == (50, 50, 115, 115)
        assert edge(x_offset=10, y_offset=20) == (60, 30, 125, 95)
        assert edge(dilate=4) == (49, 49, 117, 117)
        assert edge(dilate=-4) == (52, 52, 114, 114)

    def test_what_is_shrunk_away_or_moved_out_is_no_mask(self):
        assert not masks_of(self.found(), (128, 128), DetailFix(model="x", dilate=-128))
        assert not masks_of(self.found(), (128, 128), DetailFix(model="x", x_offset=200))

    def test_as_one_and_all_but_that(self):
        unit = DetailFix(model="x", dilate=0, merge="Merge")
        (merged,) = masks_of(self.found(), (128, 128), unit)
        (rest,) = masks_of(self.found(), (128, 128), unit.model_copy(update={"merge": "Merge and Invert"}))
        assert np.array_equal(merged + rest, np.full((128, 128), 255))
        assert not masks_of((), (128, 128), unit)
