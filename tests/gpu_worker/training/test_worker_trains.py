"""A real worker trains between everything that may happen to it, and the weights are those of an undisturbed run."""

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from setting import spec
from worker_process import WorkerProcess

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import unpack
from gpu_worker.protocol.specs import Txt2Img
from gpu_worker.training.state import kept_step

pytestmark = pytest.mark.slow

WANTED = spec(max_train_steps=24, network_dropout=0.1, lr_scheduler="cosine", save_every_n_epochs=2)
DRAWING = Txt2Img(prompt="a disc", checkpoint="pincel-demo", width=64, height=64, seed=1, steps=1)


def assign(job, attempt, task=WANTED):
    return m.Assign(job=job, attempt=attempt, spec=task)


def test_nothing_that_happens_to_a_training_changes_its_weights(tmp_path):
    data, work = tmp_path / "data", tmp_path / "data" / "training-work"
    with WorkerProcess(data) as worker:
        assert "train" in worker.until(lambda one: isinstance(one, m.Hello)).tasks
        worker.say(assign("undisturbed", 1))
        assert worker.end("undisturbed", 1).t == "done"
        undisturbed = load_file(worker.box / worker.last_saved("undisturbed").outputs[0].blob)
        worker.say(assign("a", 1))
        told = worker.step("a", 1, 2).training
        assert (told.total_steps, len(told.curve), told.unet_lr > 0) == (24, told.step, True)
        worker.say(assign("b", 1, DRAWING))
        paused = worker.end("a", 1)
        assert (paused.t, paused.reason, paused.of) == ("paused", "others", 24)
        assert worker.end("b", 1).t == "done"
        worker.say(assign("a", 2))
        assert worker.step("a", 2, 1).step > paused.step
        worker.step("a", 2, paused.step + 2)
        worker.kill()
    with WorkerProcess(data, "--lanes", "training") as worker:
        assert worker.until(lambda one: isinstance(one, m.Hello)).lanes == ("training",)
        worker.say(assign("a", 3))
        told = worker.step("a", 3, paused.step + 1).training
        assert len(told.curve) == told.step, "it is the curve of the whole run"
        worker.say(m.Cancel(job="a", attempt=3, reason="pause"))
        paused = worker.end("a", 3)
        assert (paused.t, paused.reason) == ("paused", "asked")
        # Somebody cancels it after all, and later wants the very same once more.
        worker.say(assign("a", 4))
        worker.step("a", 4, paused.step + 1)
        worker.say(m.Cancel(job="a", attempt=4, reason="user"))
        assert worker.end("a", 4).t == "cancelled"
        assert {path.name for path in work.iterdir() if path.is_dir()} == {"a"}
        worker.say(assign("c", 1))
        done = worker.end("c", 1)
        assert (done.t, done.outputs) == ("done", ())
        first = next(one for one in worker.said if one.t == "progress" and one.job == "c" and one.phase == "training")
        assert first.step > paused.step
        final = worker.last_saved("c")
        assert final.file == m.SavedModel(name="zorb", epoch=6, step=24, final=True, loss=final.file.loss)
        file = worker.box / final.outputs[0].blob
        mine = load_file(file)
        assert mine.keys() == undisturbed.keys()
        assert all((mine[name] == undisturbed[name]).all() for name in mine)
        with safe_open(file, "np") as opened:
            facts = opened.metadata()
        assert (len(facts["ss_sd_model_hash"]), len(facts["ss_new_sd_model_hash"])) == (8, 64)
        kept = [m.parse_to_bot(unpack(path.read_bytes())) for path in worker.box.glob("[ac].*.kept")]
        assert {part.file.name for part in kept} == {"zorb-000002", "zorb-000004", "zorb"}
        # The next begins anew: what was over left nothing. A bot that stops in good order finds its state kept.
        worker.say(assign("d", 1))
        worker.step("d", 1, 1)
        worker.say(m.Drain())
        paused = worker.end("d", 1)
        assert (paused.t, paused.reason, paused.step) == ("paused", "drained", kept_step(work / "d" / "state"))
        assert paused.step > 0
        worker.process.stdin.close()
        assert worker.process.wait(60) == 0
    assert {path.name for path in work.iterdir()} == {"d", "d.lock"}
