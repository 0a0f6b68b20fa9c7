"""What a worker's training room holds while it trains."""

import pytest
from setting import DEMO, PICTURES, spec, subset

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.errors import DrawingCancelled
from gpu_worker.engine.options import EngineOptions
from gpu_worker.task import InputLostError
from gpu_worker.training.room import TrainingRoom

pytestmark = pytest.mark.slow


class OneDay:
    """A job's hooks whose pictures are swept away once each was read."""

    job = "a"

    def __init__(self, until=99):
        self.left = dict(PICTURES)
        self.until = until
        self.steps, self.saved = 0, []

    def progress(self, phase, *_):
        self.steps += phase == "training"

    def cancelled(self):
        return self.steps >= self.until

    def pause(self):
        return ""

    def open_image(self, ref):
        try:
            return self.left.pop(ref.ref)
        except KeyError as error:
            raise InputLostError(ref.ref) from error

    def save(self, saved, *_):
        self.saved.append(saved.name)


def test_pictures_that_are_read_in_each_epoch_outlive_the_day_that_the_bot_keeps_them(tmp_path):
    engine = Engine(models_dir=tmp_path / "models", demo_dir=DEMO, options=EngineOptions(device="cpu"))
    try:
        hooks, room = OneDay(), TrainingRoom(engine, tmp_path / "work", "cpu")
        wanted = spec(subset(["p0", "p1"], num_repeats=1), cache_latents=False, max_train_steps=3)
        with pytest.raises(DrawingCancelled):
            room.train(wanted, OneDay(until=1))
        assert (tmp_path / "work" / "a" / "ended").exists()
        room.train(wanted, hooks)
    finally:
        engine.close()
    assert (hooks.steps, hooks.saved) == (2, ["zorb"])
    assert not (tmp_path / "work" / "a" / "ended").exists()
    assert not list((tmp_path / "work" / "a").glob("pictures/*"))
