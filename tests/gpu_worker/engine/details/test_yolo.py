"""YOLOv8 in its published layouts: a file of weights, and the network that ultralytics pickles whole.

The widths are a quarter of the smallest published ones. That the network is theirs was seen once, beside their library,
with random weights of three sizes: the largest difference was 1e-4 of a pixel.
"""

import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gpu_worker.engine.details.yolo import YoloV8, load_yolo
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.headers import HeaderError
from gpu_worker.language.kinds import read_file
from gpu_worker.language.pickles import read_pickled
from gpu_worker.language.rewrite import rewrite

WIDTHS = (4, 8, 16, 32, 64)
HEAD = 16


def layers(classes=1, outlines=False):
    """name → (inputs, outputs, side) of each convolution with a norm behind it, and of those without."""
    a, b, c, d, e = WIDTHS
    found = {"model.0": (3, a, 3), "model.1": (a, b, 3)}
    for at, (inputs, width, below) in {
        2: (b, b, 1), 4: (c, c, 1), 6: (d, d, 1), 8: (e, e, 1), 12: (e + d, d, 1), 15: (d + c, c, 1),
        18: (c + d, d, 1), 21: (d + e, e, 1),
    }.items():  # fmt: skip
        found |= {f"model.{at}.cv1": (inputs, width, 1), f"model.{at}.cv2": (width * 3 // 2, width, 1)}
        found |= {f"model.{at}.m.{n}.cv{k}": (width // 2, width // 2, 3) for n in range(below) for k in (1, 2)}
    found |= {"model.3": (b, c, 3), "model.5": (c, d, 3), "model.7": (d, e, 3)}
    found |= {"model.9.cv1": (e, e // 2, 1), "model.9.cv2": (2 * e, e, 1)}
    found |= {"model.16": (c, c, 3), "model.19": (d, d, 3)}
    plain = {}
    for level, width in enumerate((c, d, e)):
        for branch, outputs in (("cv2", 64), ("cv3", classes), *((("cv4", 8),) if outlines else ())):
            found[f"model.22.{branch}.{level}.0"] = (width, HEAD, 3)
            found[f"model.22.{branch}.{level}.1"] = (HEAD, HEAD, 3)
            plain[f"model.22.{branch}.{level}.2"] = (HEAD, outputs, 1)
    if outlines:
        found |= {"model.22.proto.cv1": (c, 8, 3), "model.22.proto.cv2": (8, 8, 3), "model.22.proto.cv3": (8, 8, 1)}
        plain["model.22.proto.upsample"] = (8, 8, 2)
    return found, plain


def weights(seed=0, **options):
    normed, plain = layers(**options)
    source = torch.Generator().manual_seed(seed)
    made = {"model.22.dfl.conv.weight": torch.arange(16.0).view(1, 16, 1, 1)}
    for name, (inputs, outputs, side) in normed.items():
        made[f"{name}.conv.weight"] = torch.randn(outputs, inputs, side, side, generator=source) / inputs**0.5 / side
        made[f"{name}.bn.weight"] = torch.rand(outputs, generator=source) + 0.5
        made[f"{name}.bn.bias"] = torch.randn(outputs, generator=source) / 10
        made[f"{name}.bn.running_mean"] = torch.randn(outputs, generator=source) / 10
        made[f"{name}.bn.running_var"] = torch.rand(outputs, generator=source) + 0.5
    for name, (inputs, outputs, side) in plain.items():
        made[f"{name}.weight"] = torch.randn(outputs, inputs, side, side, generator=source)
        made[f"{name}.bias"] = torch.randn(outputs, generator=source)
    return made


SHOWN = np.random.default_rng(1).integers(0, 255, (96, 160, 3), np.uint8)
CELLS = 12 * 20 + 6 * 10 + 3 * 5


def pickled(path, tensors, **content):
    """As ultralytics saves: modules within modules, of classes that nobody here has."""
    module = types.ModuleType("ultralytics.nn.tasks")
    classes = {
        name: type(name, (torch.nn.Module,), {"__module__": module.__name__}) for name in ("DetectionModel", "Conv")
    }
    for name, made in classes.items():
        setattr(module, name, made)
    root = classes["DetectionModel"]()
    root.names = {0: "face"}
    for key, value in tensors.items():
        *places, last = key.split(".")
        at = root
        for place in places:
            if place not in at._modules:
                at.add_module(place, classes["Conv"]())
            at = at._modules[place]
        at.register_buffer(last, value) if "running" in last else at.register_parameter(last, torch.nn.Parameter(value))
    names = ("ultralytics", "ultralytics.nn", module.__name__)
    try:
        sys.modules |= dict.fromkeys(names, module)
        torch.save({"epoch": -1, "model": root.half(), "ema": None, "train_args": {"lr": 0.1}, **content}, path)
    finally:
        for name in names:
            del sys.modules[name]
    return path


def test_boxes_lie_around_their_cells_and_certainties_are_shares():
    answer = YoloV8(weights(classes=3)).look(SHOWN)
    assert answer.rows.shape == (7, CELLS)
    assert answer.outlines is None
    assert np.isfinite(answer.rows).all()
    assert (answer.rows[2:4] > 0).all()
    assert ((answer.rows[4:] >= 0) & (answer.rows[4:] <= 1)).all()
    # No edge is further away than 15 cells of the coarsest level.
    assert answer.rows[2:4, -15:].max() <= 2 * 15 * 32


def test_outlines_lie_on_a_quarter_of_the_canvas():
    answer = YoloV8(weights(outlines=True)).look(SHOWN)
    assert answer.rows.shape == (4 + 1 + 8, CELLS)
    assert answer.outlines.shape == (8, 24, 40)


def test_a_file_of_weights(tmp_path):
    save_file(weights(), tmp_path / "face.safetensors")
    assert read_file("detector", tmp_path / "face.safetensors").problem is None
    assert read_file(None, tmp_path / "face.safetensors").kind == "detector"
    found = load_yolo(tmp_path / "face.safetensors", "face").look(SHOWN)
    assert np.array_equal(found.rows, YoloV8(weights()).look(SHOWN).rows)


def test_a_network_that_was_pickled_whole_and_what_becomes_of_it_when_it_is_installed(tmp_path):
    path = pickled(tmp_path / "face.pt", weights())
    assert read_file("detector", path).problem is None
    halves = {key: value.half() for key, value in weights().items()}
    found = load_yolo(path, "face")
    assert found.names == ("face",)
    assert np.array_equal(found.look(SHOWN).rows, YoloV8(halves).look(SHOWN).rows)
    rewrite(path, tmp_path / "face.safetensors")
    again = load_yolo(tmp_path / "face.safetensors", "face")
    assert again.names == ("face",)
    assert np.array_equal(again.look(SHOWN).rows, found.look(SHOWN).rows)


def test_networks_pass_only_where_a_detector_may_be_one(tmp_path):
    path = pickled(tmp_path / "face.pt", weights())
    with pytest.raises(HeaderError, match="unsafe"):
        read_pickled(path)
    assert read_file("checkpoint", path).problem == "unsafe"


class Trap:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/never",)


def test_a_trap_beside_the_network_ends_the_reading(tmp_path):
    path = pickled(tmp_path / "face.pt", weights(), train_args=Trap())
    assert read_file("detector", path).problem == "unsafe"
    with pytest.raises(EngineError) as caught:
        load_yolo(path, "face")
    assert caught.value.detail == {"detector": "face", "problem": "unsafe"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model.22.cv3.0.2.weight": None}, "unknown_layout"),
        ({"model.22.cv2.0.2.weight": torch.zeros(8, HEAD, 1, 1)}, "corrupt"),
        ({"model.5.bn.weight": torch.zeros(3)}, "corrupt"),
    ],
)
def test_weights_of_another_network(tmp_path, changes, problem):
    made = {key: value for key, value in (weights() | changes).items() if value is not None}
    save_file(made, tmp_path / "x.safetensors")
    with pytest.raises(EngineError) as caught:
        load_yolo(tmp_path / "x.safetensors", "x")
    assert caught.value.detail == {"detector": "x", "problem": problem}
