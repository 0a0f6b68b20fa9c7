"""The worker's own way: by name, at the transport's place, cancelled at any moment, never half a file."""

import errno

import pytest
import torch
from make_checkpoint import write_checkpoint
from safetensors.torch import load_file

from gpu_worker.convert import writer
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.specs import ConvertSpec, MergeSpec, Txt2Img
from gpu_worker.workshop import Workshop


class Hooks:
    def __init__(self, place, stop_after=None):
        self.target = place
        self.told = []
        self.asked = 0
        self.stop_after = stop_after

    preview = None

    def progress(self, phase, step, of, preview):
        self.told.append((phase, step, of))

    def cancelled(self):
        self.asked += 1
        return self.stop_after is not None and self.asked > self.stop_after

    def place(self, suffix):
        return self.target.with_name(f"job.1.0{suffix}.part")


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "data" / "models" / "checkpoints"
    folder.mkdir(parents=True)
    for name, seed in (("one", 0), ("two", 1)):
        write_checkpoint(folder / f"{name}.safetensors", "sd15-small", seed=seed, dtype=torch.float32)
    return folder.parent


@pytest.fixture
def workshop(models, tmp_path):
    engine = Engine(models_dir=models, demo_dir=tmp_path / "none", options=EngineOptions(device="cpu"))
    yield Workshop(engine)
    engine.close()


@pytest.fixture
def box(tmp_path):
    folder = tmp_path / "box"
    folder.mkdir()
    return folder


def test_by_names_with_progress(workshop, box):
    hooks = Hooks(box / "x")
    (made,) = workshop.draw(MergeSpec(output="o", first="one", second="two"), hooks)
    assert made.path.parent == box
    assert made.size_bytes == made.path.stat().st_size
    assert load_file(made.path)
    assert [told[0] for told in hooks.told] == ["converting"] * len(hooks.told)
    steps = [told[1] for told in hooks.told]
    assert steps == sorted(steps)
    assert hooks.told[-1][1] == hooks.told[-1][2] > 0
    assert len(hooks.told) < 110


def test_a_cancel_leaves_nothing_whenever_it_comes(workshop, box):
    counted = Hooks(box / "x")
    workshop.draw(ConvertSpec(output="o", model="one"), counted)
    for path in box.iterdir():
        path.unlink()
    for after in (0, 1, counted.asked // 2, counted.asked - 1):
        with pytest.raises(DrawingCancelled):
            workshop.draw(ConvertSpec(output="o", model="one"), Hooks(box / "x", after))
        assert not list(box.iterdir()), after


def test_names_that_are_not_there(workshop, box):
    with pytest.raises(EngineError) as caught:
        workshop.draw(ConvertSpec(output="o", model="three"), Hooks(box / "x"))
    assert (caught.value.kind, caught.value.detail) == ("missing_model", {"checkpoint": "three"})


def test_a_full_disk_before_and_while_writing(workshop, box, monkeypatch):
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: type("U", (), {"free": 10 << 20})())
    with pytest.raises(EngineError) as caught:
        workshop.draw(ConvertSpec(output="o", model="one"), Hooks(box / "x"))
    assert caught.value.kind == "disk_full"
    assert not list(box.iterdir())
    monkeypatch.undo()

    def full(fd):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(writer.os, "fsync", full)
    with pytest.raises(EngineError) as caught:
        workshop.draw(ConvertSpec(output="o", model="one"), Hooks(box / "x"))
    assert caught.value.kind == "disk_full"
    assert not list(box.iterdir())


def test_drawings_go_to_the_engine(workshop, box):
    with pytest.raises(EngineError) as caught:
        workshop.draw(Txt2Img(prompt="a", checkpoint="none", width=64, height=64, seed=1), Hooks(box / "x"))
    assert caught.value.kind == "missing_model"
