"""A training that dies, waits or is stopped goes on as if nothing had happened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from setting import Watcher, spec, subset, train

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.training.state import Snapshots, write_whole

pytestmark = pytest.mark.slow

# Dropout, shuffled captions, mirrored pictures, two buckets and an unfinished epoch: all dice are thrown.
WANTED = spec(max_train_steps=7, network_dropout=0.1, lr_scheduler="cosine", lr_warmup_steps=2.0)


def weights(folder):
    return load_file(folder / "zorb.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(WANTED, folder)
    return weights(folder)


def test_kill_9_costs_no_bit(tmp_path, whole):
    command = [sys.executable, str(Path(__file__).with_name("setting.py")), WANTED.model_dump_json(), str(tmp_path)]
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": root}
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().strip() for _ in range(5)]
        child.kill()  # after the second state, in the middle of an epoch
    assert said == ["1", "2", "3", "4", "5"]
    assert not (tmp_path / "zorb.safetensors").exists()
    outcome, watcher = train(WANTED, tmp_path)
    assert outcome == "done"
    assert watcher.steps[0].step == 5
    assert same(weights(tmp_path), whole)
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("kind", ["AdamW", "Lion", "Prodigy"])
def test_a_pause_changes_nothing_for_any_optimizer(tmp_path, kind):
    rate = 1.0 if kind == "Prodigy" else 1e-3
    few = subset(["p0", "p1"], num_repeats=1)
    wanted = spec(
        few, max_train_steps=3, optimizer_type=kind, unet_lr=rate, text_encoder_lr=rate, rules={"batch_size": 1}
    )
    train(wanted, tmp_path / "whole")
    outcome, watcher = train(wanted, tmp_path / "paused", Watcher(until=2))
    assert (outcome, len(watcher.steps)) == ("paused", 2)
    assert not (tmp_path / "paused" / "zorb.safetensors").exists()
    train(wanted, tmp_path / "paused")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "paused"))


def test_a_cancelled_training_ends_between_two_steps_and_can_go_on(tmp_path, whole):
    with pytest.raises(DrawingCancelled):
        train(WANTED, tmp_path, Watcher(until=3, then="cancel"))
    with pytest.raises(DrawingCancelled):
        train(WANTED, tmp_path, Watcher(until=0, then="cancel"))
    _, watcher = train(WANTED, tmp_path)
    assert watcher.steps[0].step == 4
    assert same(weights(tmp_path), whole)


def test_a_pause_in_the_middle_of_a_step_leaves_the_step_undone(tmp_path):
    few = subset(["p0", "p1"], num_repeats=2)
    wanted = spec(few, max_train_steps=3, gradient_accumulation_steps=3, network_dropout=0.1, rules={"batch_size": 1})
    train(wanted, tmp_path / "whole")

    class Impatient(Watcher):
        """Pauses in the middle of the third step."""

        asked = 0

        def wish(self):
            self.asked += bool(self.steps)
            return "pause" if self.asked >= 3 else "go on"

    outcome, watcher = train(wanted, tmp_path / "paused", Impatient())
    assert (outcome, len(watcher.steps), watcher.asked) == ("paused", 2, 4)
    train(wanted, tmp_path / "paused")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "paused"))


def test_the_state_of_another_training_is_left_alone(tmp_path):
    train(WANTED, tmp_path, Watcher(until=1))
    with pytest.raises(EngineError) as refused:
        train(spec(seed=4), tmp_path)
    assert refused.value.detail["reason"] == "other_training"
    assert "another training" in refused.value.message


def test_a_damaged_state_is_passed_over(tmp_path):
    snapshots = Snapshots(tmp_path, "a")
    snapshots.keep(1, {"x": torch.ones(2)})
    snapshots.keep(2, {"x": torch.zeros(2)})
    snapshots.keep(3, {"x": torch.zeros(2)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-00000002.pt", "state-00000003.pt"]
    whole = (tmp_path / "state-00000003.pt").read_bytes()
    (tmp_path / "state-00000003.pt").write_bytes(whole[: len(whole) // 2])
    state, foreign = Snapshots(tmp_path, "a").newest()
    assert (state["step"], foreign) == (2, False)
    assert Snapshots(tmp_path, "b").newest() == (None, True)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
