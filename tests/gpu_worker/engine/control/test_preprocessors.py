"""Every preprocessor by name: what comes out, what is refused, and that nothing reaches for a network."""

import socket

import cv2
import numpy as np
import pytest
import torch

from gpu_worker.engine.control.preprocessors import networks
from gpu_worker.engine.control.preprocessors.book import MAKERS, NETWORK_MAX_PIXELS, Preprocessors
from gpu_worker.engine.control.preprocessors.plain import thinned
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.preprocessors import CATALOGUE_KEYS, PREPROCESSOR_TABLE, find_preprocessor
from gpu_worker.protocol.specs import ControlUnit
from tests.gpu_worker.engine.control.annotator_files import FILES, SMALL, annotator, content_of, write_annotator

CPU = Device(torch.device("cpu"), torch.float32)
PLAIN = [entry.name for entry in PREPROCESSOR_TABLE if not entry.files]
BY_TORCH = [entry for entry in PREPROCESSOR_TABLE if entry.files and set(entry.files) <= set(FILES)]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args, **_named):
        raise AssertionError("a preprocessor reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def picture():
    return np.random.default_rng(3).integers(0, 256, (90, 140, 3), dtype=np.uint8)


def unit(**wish):
    return ControlUnit(model="any", **{"processor_resolution": 64, **wish})


def book(*paths):
    files = [annotator(path) for path in paths]
    return Preprocessors(lambda: files, CPU)


def made(name, picture, *paths, seed=0, **wish):
    return book(*paths).preprocess(name, picture, unit(**wish), seed)


def test_everything_in_the_table_can_be_made_and_nothing_else():
    assert set(MAKERS) == {entry.name for entry in PREPROCESSOR_TABLE}
    names = [name.casefold() for entry in PREPROCESSOR_TABLE for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    assert {file for entry in PREPROCESSOR_TABLE for file in entry.files} - set(CATALOGUE_KEYS) == {"ZoeD_M12_N"}


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("depth", "depth_midas"),
        ("hed", "softedge_hed"),
        ("fake_scribble", "scribble_hed"),
        ("Lineart ", "lineart_realistic"),
    ],
)
def test_old_names(old, name):
    found = find_preprocessor(old)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("shape", [(90, 140, 3), (1, 1, 3), (2, 300, 3)])
def test_without_weights(name, shape):
    shown = np.random.default_rng(4).integers(0, 256, shape, dtype=np.uint8)
    first = made(name, shown)
    assert first.dtype == np.uint8
    assert first.shape[2:] == (3,)
    if find_preprocessor(name).resolution is not None:
        assert min(first.shape[:2]) == 64
    assert np.array_equal(first, made(name, shown))


def test_thresholds_are_held_to_their_sliders(picture):
    assert np.array_equal(made("threshold", picture), made("threshold", picture, threshold_a=127))
    assert np.array_equal(
        made("scribble_xdog", picture, threshold_a=255), made("scribble_xdog", picture, threshold_a=64)
    )
    assert made("tile_resample", picture, threshold_a=2).shape == (45, 70, 3)


def test_lines_of_a_drawing_are_white_on_black():
    drawing = np.full((128, 128, 3), 255, np.uint8)
    drawing[60:68] = 0
    for name in ("scribble", "scribble_xdog", "binary", "lineart_standard"):
        found = made(name, drawing, processor_resolution=128)
        assert found[64].mean() > 120, name
        assert found[20].max() == 0, name


def test_a_threshold_takes_the_darkest_channel():
    shown = np.full((64, 64, 3), (255, 255, 100), np.uint8)
    assert made("threshold", shown).max() == 0
    assert made("threshold", shown, threshold_a=90).min() == 255


def test_shuffling_goes_by_the_seed(picture):
    assert np.array_equal(made("shuffle", picture, seed=5), made("shuffle", picture, seed=5))
    assert not np.array_equal(made("shuffle", picture, seed=5), made("shuffle", picture, seed=6))


@pytest.mark.slow
def test_thinning_is_controlnet_auxs(picture):
    soft = cv2.GaussianBlur(picture[..., 0], (0, 0), 2.0) // 2 * 2
    pen = cv2.GaussianBlur(networks.aux("util").nms(soft, 127, 3.0), (0, 0), 3.0)
    assert np.array_equal(thinned(soft), np.where(pen > 4, 255, 0))
    assert set(np.unique(thinned(soft))) == {0, 255}


@pytest.mark.slow
@pytest.mark.parametrize("entry", BY_TORCH, ids=lambda entry: entry.name)
def test_with_weights_in_the_published_layout(entry, picture, tmp_path, monkeypatch):
    read = networks.read_weights
    monkeypatch.setattr(
        networks, "read_weights", lambda path, what, name: read(path, what, name) if name in SMALL else content_of(name)
    )
    paths = [write_annotator(tmp_path, name) if name in SMALL else tmp_path / f"{name}.pth" for name in entry.files]
    for path in paths:
        path.touch()
    before = torch.get_rng_state()
    preprocessors = book(*paths)
    first = preprocessors.preprocess(entry.name, picture, unit())
    assert first.shape == (64, 100, 3)
    assert first.dtype == np.uint8
    if entry.name != "depth_zoe":  # a quarter of a minute each time
        assert np.array_equal(first, preprocessors.preprocess(entry.name, picture, unit()))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("entry", [entry for entry in PREPROCESSOR_TABLE if entry.files], ids=lambda entry: entry.name)
def test_a_missing_file_says_what_installs_it(entry, picture):
    with pytest.raises(EngineError) as caught:
        made(entry.name, picture)
    detail = caught.value.detail
    assert caught.value.kind == "missing_model"
    assert (detail["annotator"], detail["reason"], detail["preprocessor"]) == (
        entry.files[0],
        "no_annotator",
        entry.name,
    )
    if entry.name != "depth_zoe":
        assert detail["install"].split() == [CATALOGUE_KEYS[file] for file in entry.files]


def lacks(weights):
    del weights["model4.1.bias"]


def wrong_shape(weights):
    weights["model0.1.weight"] = weights["model0.1.weight"][:10]


def no_numbers(weights):
    weights["model0.1.bias"][3] = float("nan")


@pytest.mark.slow
@pytest.mark.parametrize("change", [lacks, wrong_shape, no_numbers])
def test_damaged_weights(change, picture, tmp_path):
    path = write_annotator(tmp_path, "sk_model", change)
    with pytest.raises(EngineError) as caught:
        made("lineart_realistic", picture, path)
    assert (caught.value.kind, caught.value.detail) == ("bad_model", {"annotator": "sk_model", "problem": "corrupt"})


@pytest.mark.slow
def test_a_file_of_something_else_and_one_of_nothing(picture, tmp_path):
    path = tmp_path / "sk_model.pth"
    torch.save({"anything": torch.zeros(3)}, path)
    with pytest.raises(EngineError) as caught:
        made("lineart_realistic", picture, path)
    assert caught.value.detail == {"annotator": "sk_model", "problem": "unknown_layout"}
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(EngineError) as caught:
        made("lineart_realistic", picture, path)
    assert caught.value.detail == {"annotator": "sk_model", "problem": "corrupt"}


def test_an_unknown_name(picture):
    with pytest.raises(EngineError) as caught:
        made("seg_ufade20k", picture)
    assert (caught.value.kind, caught.value.detail["reason"]) == ("bad_input", "preprocessor")


def test_what_is_too_long_for_a_network_is_refused_before_it_is_loaded(tmp_path):
    path = tmp_path / "sk_model.pth"
    path.touch()
    long = np.zeros((10, 4000, 3), np.uint8)
    with pytest.raises(EngineError) as caught:
        made("lineart_realistic", long, path, processor_resolution=512)
    assert caught.value.detail == {"reason": "source_picture", "limit_px": NETWORK_MAX_PIXELS}
