"""ControlNet's keys of an infotext, in the three forms that there have been."""

import pytest

from gpu_worker.language.control_fields import control_fields
from gpu_worker.language.infotext import build_infotext, parse_generation_parameters
from gpu_worker.language.parameters import drawing_from_infotext
from gpu_worker.protocol.specs import ControlUnit, ImageRef
from gpu_worker.shell.pictures import read_infotext_option

BASE = {"Steps": 20, "Sampler": "Euler a", "Seed": 5, "Size": "512x512"}
CANNY = "control_v11p_sd15_canny"


def read(fields):
    values, notes = drawing_from_infotext(parse_generation_parameters(build_infotext("a cat", "", BASE | fields)), "x")
    return [ControlUnit(**unit) for unit in values.get("control", [])], notes


def test_what_is_written_is_read_back():
    image = ImageRef(ref="input:1", sha256="1", mime="image/png", size_bytes=1)
    units = (
        ControlUnit(model=CANNY, image=image, preprocessor="canny", threshold_a=50, threshold_b=150.5, weight=0.65),
        ControlUnit(
            model="union, of several", image=image, preprocessor="none", mode="ControlNet is more important",
            start=0.1, end=0.8, resize_mode="Resize and Fill", hires="Low res only", low_memory=True,
            pixel_perfect=True, control_type="Depth",
        ),
    )  # fmt: skip
    titles = [f"{unit.model} [d14c016b]" for unit in units]
    found, notes = read(control_fields(units, titles))
    assert found == [unit.model_copy(update={"image": None}) for unit in units]
    assert notes == []


def test_the_form_of_summer_2023():
    text = (
        "preprocessor: openpose_full, model: control_v11p_sd15_openpose [cab727d4], weight: 0.8, starting/ending: "
        "(0.1, 0.9), resize mode: Resize and Fill, pixel perfect: True, control mode: My prompt is more important, "
        "preprocessor params: (768, -1, -1)"
    )
    (unit,), notes = read({"ControlNet 0": text})
    assert (unit.model, unit.preprocessor, unit.weight) == ("control_v11p_sd15_openpose", "openpose_full", 0.8)
    assert (unit.start, unit.end, unit.resize_mode) == (0.1, 0.9, "Resize and Fill")
    assert (unit.processor_resolution, unit.threshold_a, unit.pixel_perfect) == (768, None, True)
    assert unit.mode == "My prompt is more important"
    assert notes == []


@pytest.mark.parametrize("prefix", ["ControlNet-0", "ControlNet"])
def test_the_form_with_a_key_for_each_field(prefix):
    fields = {
        "Enabled": True, "Module": "hed", "Model": "control_sd15_hed [fef5e48e]", "Weight": 1, "Guidance Start": 0,
        "Guidance End": 0.7, "Guess Mode": True, "Resize Mode": "Scale to Fit (Inner Fit)",
    }  # fmt: skip
    (unit,), notes = read({f"{prefix} {key}": value for key, value in fields.items()})
    assert (unit.model, unit.preprocessor, unit.end) == ("control_sd15_hed", "softedge_hed", 0.7)
    assert (unit.mode, unit.resize_mode) == ("ControlNet is more important", "Crop and Resize")
    assert notes == []


@pytest.mark.parametrize(
    ("value", "noted"),
    [
        ("Module: ip-adapter-auto, Model: ip-adapter_sd15, Weight: 1", True),
        ("Module: reference_only, Model: None, Weight: 1", True),
        ("Module: canny, Model: None", True),
        ("Module: martian, Model: control", True),
        ("Weight: much", True),
        ("(" * 5000 + ",a:" * 5000, True),
    ],
)
def test_what_is_no_control_unit_is_a_note(value, noted):
    found, notes = read({"ControlNet 0": value})
    assert found == []
    assert [note.key for note in notes] == ["ControlNet 0"] * noted


def test_a_unit_that_was_switched_off_and_numbers_out_of_range():
    fields = {"ControlNet-0 Enabled": False, "ControlNet-0 Model": "a", "ControlNet-0 Module": "canny"}
    assert read(fields)[0] == []
    text = "Module: canny, Model: b, Weight: 9, Processor Res: 9000, Guidance End: -3, Threshold A: nan"
    (unit,), _ = read({"ControlNet 0": text})
    assert (unit.weight, unit.processor_resolution, unit.end, unit.threshold_a) == (2, 2048, 0, None)
    many = {f"ControlNet {n}": "Module: canny, Model: b" for n in range(6)}
    found, notes = read(many)
    assert len(found) == 4
    assert [note.key for note in notes] == ["ControlNet 4", "ControlNet 5"]


def test_the_shell_has_no_control_pictures_and_says_so():
    values, notes = read_infotext_option(
        build_infotext("a cat", "", BASE | {"ControlNet 0": f"Module: canny, Model: {CANNY}"})
    )
    assert "control" not in values
    assert [(note.key, note.value) for note in notes] == [("ControlNet 0", CANNY)]
