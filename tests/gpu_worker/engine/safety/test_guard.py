"""The classifier at work: an operator's own ONNX file, NudeNet where its package is, and what fails closed."""

import importlib.util
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gpu_worker.engine.safety.guard import PictureGuard, find_classifier, veil
from gpu_worker.engine.safety.nudenet import NudeNet
from gpu_worker.engine.safety.onnx_file import OnnxClassifier
from gpu_worker.language.classifiers import installed_classifier
from gpu_worker.protocol import messages as m
from gpu_worker.task import GuardedPreviews, JobHooks, Task
from tests.contract.farm import new_job
from tests.gpu_worker.engine.safety.tiny_onnx import install


def png(red=0, green=0, blue=0, size=(48, 32)):
    target = io.BytesIO()
    Image.new("RGB", size, (red, green, blue)).save(target, "PNG")
    return target.getvalue()


def test_any_onnx_file_with_its_sheet_is_a_classifier(tmp_path):
    install(tmp_path)
    guard = find_classifier(tmp_path)
    assert guard is not None
    assert guard.name == "colours"
    looked = guard.look(png(red=255, blue=51))
    assert (looked.by, looked.failed) == ("colours", False)
    assert looked.nude == pytest.approx(1.0)
    assert looked.suggestive == pytest.approx(0.2)
    assert guard.look(png(green=255)).nude == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("activation", "nude"), [("softmax", np.exp(1) / (np.exp(1) + 2)), ("sigmoid", 1 / (1 + np.exp(-1)))]
)
def test_outputs_become_certainties_as_the_sheet_says(tmp_path, activation, nude):
    weights = install(tmp_path, activation=activation)
    scores = OnnxClassifier(weights).scores(np.full((20, 20, 3), (255, 0, 0), np.uint8))
    assert scores.nude == pytest.approx(nude, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"labels": ["a"]}, {"nude": ["missing"]}, {"layout": "NHWC"}, {"size": 17}, {"std": [0, 1, 1]}, {"odd": 1}],
)
def test_what_does_not_fit_together_fails_closed(tmp_path, changes):
    install(tmp_path, **changes)
    guard = find_classifier(tmp_path)
    assert guard is not None
    looked = guard.look(png(green=255))
    assert looked.failed
    assert guard.veiled(png(green=255)) != png(green=255)


def test_a_damaged_file_or_a_missing_sheet_fails_closed(tmp_path):
    weights = install(tmp_path)
    weights.with_suffix(".json").unlink()
    assert find_classifier(tmp_path).look(png()).failed
    install(tmp_path).write_bytes(b"no onnx")
    guard = find_classifier(tmp_path)
    assert guard.look(png()).failed
    assert guard.look(b"no picture").failed


def test_a_preview_that_it_objects_to_becomes_a_few_cells(tmp_path):
    install(tmp_path)
    guard = find_classifier(tmp_path)
    clean = png(green=200)
    assert guard.veiled(clean) == clean
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).save(target, "PNG")
    veiled = Image.open(io.BytesIO(guard.veiled(target.getvalue())))
    assert veiled.size == (64, 64)
    assert len(set(np.asarray(veiled.resize((12, 12), Image.Resampling.NEAREST)).reshape(-1))) > 5
    assert np.abs(np.diff(np.asarray(veiled, np.int16)[2, :4, 0])).max() < 12  # one cell is one colour
    assert len(veil(png(red=9))) < 5000


def test_many_threads_may_ask_at_once(tmp_path):
    install(tmp_path)
    loads = []
    guard = PictureGuard(
        "c", lambda: loads.append(threading.get_ident()) or OnnxClassifier(tmp_path / "safety/colours.onnx")
    )
    with ThreadPoolExecutor(4) as pool:
        looked = list(pool.map(guard.look, [png(red=255)] * 8))
    assert all(found.nude > 0.9 for found in looked)
    assert len(loads) == 1


def test_without_any_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert find_classifier(tmp_path) is None


def test_an_installed_package_is_found_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "nudenet").mkdir()
    (tmp_path / "nudenet" / "320n.onnx").write_bytes(b"x")
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path / "nudenet")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found if name == "nudenet" else None)
    guard = find_classifier(tmp_path)
    assert guard is not None
    assert guard.name == "nudenet"
    assert guard.look(png()).failed  # no such weights
    install(tmp_path)
    assert find_classifier(tmp_path).name == "colours"  # the operator's own goes first


@pytest.mark.skipif(importlib.util.find_spec("nudenet") is None, reason="the extra `nudenet` is not installed")
def test_nudenet_finds_nobody_in_noise(tmp_path):
    noise = np.random.default_rng(2).integers(0, 255, (200, 320, 3), np.uint8)
    assert NudeNet(installed_classifier(tmp_path).weights).scores(noise).nude < 0.2


def test_hooks_send_only_previews_that_were_looked_at_and_wait_for_none(tmp_path):
    install(tmp_path)
    sent = []
    transport = SimpleNamespace(event=sent.append)
    nude = png(red=255)
    for guarded, looker in ((True, find_classifier(tmp_path)), (False, find_classifier(tmp_path)), (True, None)):
        assign = m.Assign(job="j", attempt=1, spec=new_job("x").task, preview=m.PreviewWish(guarded=guarded))
        hooks = JobHooks(Task(assign), transport, looker)
        hooks.progress("sampling", 1, 3, nude)
        if hooks._guard is not None:
            hooks._guard.settled()
        hooks.progress("sampling", 2, 3, None)
    assert [(bool(told.preview), told.preview_guarded) for told in sent] == [
        (False, True), (True, True), (True, False), (False, False), (True, False), (False, False),
    ]  # fmt: skip
    assert sent[1].preview != nude
    assert sent[2].preview == nude


def test_a_slow_look_leaves_previews_out_instead_of_holding_up_the_drawing():
    asked, go = [], threading.Event()

    def veiled(preview):
        asked.append(preview)
        go.wait(20)
        return preview

    guard = GuardedPreviews(SimpleNamespace(veiled=veiled))
    assert [guard.swapped(b"1"), guard.swapped(b"2"), guard.swapped(b"3")] == [None, None, None]
    go.set()
    guard.settled()
    assert guard.swapped(None) == b"1"
    assert guard.swapped(None) is None
    assert asked == [b"1"]
