"""The server between a transport made of lists and an engine that does what the test says."""

from __future__ import annotations

import collections
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from gpu_worker import server as module
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import ImageRef, Train, TrainDataset, TrainImage, TrainSubset, Txt2Img
from gpu_worker.sensors import Vitals
from gpu_worker.server import Server
from gpu_worker.task import InputLostError, JobHooks, JobPaused
from gpu_worker.transport import OutFile
from tests.contract.stub_engine import StubCancelled, StubError, StubPicture

PATIENCE_S = 20


class ListTransport:
    def __init__(self) -> None:
        self.commands: queue.Queue[m.ToWorker | None] = queue.Queue()
        self.events: list = []
        self.ends: list[tuple[object, Sequence[OutFile]]] = []
        self.room = threading.Event()
        self.room.set()
        self.flushed = 0

    def run(self, on_command: Callable[[m.ToWorker], None]) -> None:
        while (message := self.commands.get()) is not None:
            on_command(message)

    def event(self, message) -> None:
        self.events.append(message)

    def flush(self, timeout_s: float) -> None:
        self.flushed += 1

    def finish(self, message, files: Sequence[OutFile] = ()) -> None:
        if getattr(message, "message", "") == "unpackable":
            raise TypeError("cannot be packed")
        self.room.wait(PATIENCE_S)
        self.ends.append((message, files))

    def open_input(self, ref: ImageRef) -> bytes:
        if ref.ref == "gone":
            raise FileNotFoundError(ref.ref)
        return b"input"


class Engine:
    device_name, vram_mb = "test", 7

    def __init__(self) -> None:
        self.loaded: str | None = None
        self.models = ("m1",)
        self.prepared: list[str] = []
        self.work: dict[str, Callable[[JobHooks], list[StubPicture]]] = {}
        self.drawn: list[str] = []
        self.facts_lock = threading.Lock()

    def facts(self) -> tuple[m.ModelFact, ...]:
        with self.facts_lock:
            return tuple(m.ModelFact(kind="checkpoint", name=name) for name in self.models)

    def vram_free_mb(self) -> int | None:
        return 5

    def prepare(self, checkpoint: str) -> None:
        self.prepared.append(checkpoint)
        if checkpoint == "broken":
            raise RuntimeError

    def draw(self, spec, hooks: JobHooks) -> list[StubPicture]:
        name = spec.output_name if isinstance(spec, Train) else spec.prompt
        self.drawn.append(name)
        work = self.work.get(name)
        return work(hooks) if work else [StubPicture(b"png", 8, 8, spec.seed, None, "text")]


class Rig:
    def __init__(self, **options) -> None:
        self.engine, self.transport = Engine(), ListTransport()
        self.hung = threading.Event()
        options.setdefault("orphan_grace_s", 5.0)
        self.server = Server(
            name="w1", app_version="1", engine=self.engine, transport=self.transport,
            cancelled_error=StubCancelled, engine_error=StubError, on_hang=self.hung.set, **options,
        )  # fmt: skip
        self.thread = threading.Thread(target=self.server.run)

    def start(self) -> Rig:
        self.thread.start()
        self.say(m.Welcome(hb_s=0.02))
        return self

    def say(self, *messages: m.ToWorker | None) -> None:
        for message in messages:
            self.transport.commands.put(message)

    def assign(self, job: str, attempt: int = 1, **options) -> None:
        spec = Txt2Img(prompt=job, checkpoint="m1", width=64, height=64, seed=1)
        self.say(m.Assign(job=job, attempt=attempt, spec=spec, **options))

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)

    def train(self, job: str, work: Callable[[JobHooks], list[StubPicture]] | None = None, **options) -> None:
        if work is not None:
            self.engine.work[job] = work
        image = ImageRef(ref="r", sha256="0" * 64, mime="image/png", size_bytes=1)
        subset = TrainSubset(name="1_a", images=(TrainImage(image=image),))
        spec = Train(checkpoint="m1", output_name=job, datasets=(TrainDataset(subsets=(subset,)),),
                     parameters=Parameters(seed=1))  # fmt: skip
        self.say(m.Assign(job=job, attempt=1, spec=spec, **options))

    def of(self, kind: type) -> list:
        return [event for event in self.transport.events if isinstance(event, kind)]

    def end_of(self, job: str):
        self.until(lambda: any(end.job == job for end, _ in self.transport.ends))
        return next(end for end, _ in self.transport.ends if end.job == job)


def steps(hooks: JobHooks) -> list[StubPicture]:
    """A training without end."""
    for step in range(1_000_000):
        if hooks.cancelled():
            raise StubCancelled
        if reason := hooks.pause():
            raise JobPaused(step, 1_000_000, reason)
        hooks.progress("training", step + 1, 1_000_000, None)
        time.sleep(0.002)
    raise AssertionError


def drawn_after(release: threading.Event) -> list[StubPicture]:
    release.wait(PATIENCE_S)
    return [StubPicture(b"png", 8, 8, 1, None, "")]


@pytest.fixture
def rig():
    made = Rig().start()
    yield made
    made.transport.room.set()
    made.say(None)
    made.thread.join(PATIENCE_S)
    assert not made.thread.is_alive()


@pytest.fixture
def stuck(rig):
    """A job that draws until `release` is set and looks at its cancel only then."""
    release = threading.Event()

    def work(hooks: JobHooks) -> list[StubPicture]:
        release.wait(PATIENCE_S)
        if hooks.cancelled():
            raise StubCancelled
        return []

    rig.engine.work["stuck"] = work
    rig.assign("stuck")
    rig.until(lambda: rig.engine.drawn)
    yield release
    release.set()


def test_hello_tells_what_there_is(rig):
    rig.until(lambda: rig.of(m.Hello))
    hello = rig.of(m.Hello)[0]
    assert (hello.gpu, hello.vram_mb, [fact.name for fact in hello.models]) == ("test", 7, ["m1"])


def end(rig):
    rig.say(None)
    rig.thread.join(PATIENCE_S)


def test_heartbeats_tell_of_the_card_and_hello_of_addons():
    addon = m.AddonFact(name="example", parts=("sampler Midpoint",))
    rig = Rig(sense=lambda: Vitals(54, 97, 312), addons=(addon,)).start()
    rig.until(lambda: any(beat.temperature_c for beat in rig.of(m.Heartbeat)))
    beat = rig.of(m.Heartbeat)[-1]
    assert (beat.temperature_c, beat.utilisation_pct, beat.power_w) == (54, 97, 312)
    assert rig.of(m.Hello)[0].addons == (addon,)
    end(rig)


def test_sensors_that_hang_or_fail_keep_nothing_else_waiting(monkeypatch):
    monkeypatch.setattr(module, "SENSE_EVERY_S", 0.0)
    hanging = threading.Event()
    rig = Rig(sense=lambda: hanging.wait(PATIENCE_S) or Vitals()).start()
    rig.until(lambda: len(rig.of(m.Heartbeat)) > 3)
    rig.assign("a")
    rig.end_of("a")
    hanging.set()
    end(rig)

    def fails() -> Vitals:
        raise OSError("no driver")

    rig = Rig(sense=fails).start()
    rig.until(lambda: len(rig.of(m.Heartbeat)) > 3)
    assert rig.of(m.Heartbeat)[-1].temperature_c is None
    end(rig)


def test_job_is_accepted_started_drawn_and_finished_with_its_files(rig):
    rig.assign("a")
    done = rig.end_of("a")
    assert isinstance(done, m.Done)
    assert rig.of(m.AssignReply)[0].accepted
    assert rig.of(m.Progress)[0].phase == "starting"
    assert rig.transport.flushed == 1  # before the first risk
    (file,) = rig.transport.ends[0][1]
    assert (file.data, file.output.size_bytes) == (b"png", 3)


def test_a_classifier_looks_at_every_picture_before_it_leaves():
    looks = []

    class Looker:
        name = "eyes"

        def look(self, data: bytes) -> Looked:
            looks.append(data)
            return Looked(by=self.name, nude=0.9)

        def veiled(self, preview: bytes) -> bytes:
            return preview

    rig = Rig(looker=Looker()).start()
    rig.until(lambda: rig.of(m.Hello))
    assert rig.of(m.Hello)[0].safety == "eyes"
    rig.assign("a")
    rig.end_of("a")
    (file,) = rig.transport.ends[0][1]
    assert (looks, file.output.safety) == ([b"png"], Looked(by="eyes", nude=0.9))
    rig.say(None)
    rig.thread.join(PATIENCE_S)


def test_repeated_assign_is_one_job_while_it_runs_and_after(rig, stuck):
    rig.assign("stuck")
    rig.assign("stuck")
    stuck.set()
    rig.end_of("stuck")
    rig.until(lambda: not rig.server._tasks)
    rig.assign("stuck")
    rig.assign("after")
    rig.end_of("after")
    assert rig.engine.drawn == ["stuck", "after"]
    assert [reply.accepted for reply in rig.of(m.AssignReply)] == [True] * 5


def test_next_attempt_of_a_job_is_another_job(rig):
    rig.assign("a", 1)
    rig.assign("a", 2)
    rig.until(lambda: len(rig.transport.ends) == 2)
    assert [end.attempt for end, _ in rig.transport.ends] == [1, 2]


def test_queued_job_is_cancelled_while_another_draws_and_the_disk_is_full(rig, stuck):
    rig.assign("next")
    rig.transport.room.clear()
    rig.say(m.Cancel(job="next", attempt=1))
    rig.say(m.Resync())  # commands are still obeyed
    rig.until(lambda: len(rig.of(m.Hello)) >= 2)
    rig.transport.room.set()
    assert isinstance(rig.end_of("next"), m.Cancelled)
    stuck.set()
    rig.end_of("stuck")
    assert "next" not in rig.engine.drawn


def test_cancel_of_another_attempt_or_job_does_nothing(rig, stuck):
    rig.say(m.Cancel(job="stuck", attempt=2), m.Cancel(job="unknown", attempt=1))
    stuck.set()
    assert isinstance(rig.end_of("stuck"), m.Done)


def test_cancel_reaches_the_running_job(rig, stuck):
    rig.say(m.Cancel(job="stuck", attempt=1), m.Resync())
    rig.until(lambda: len(rig.of(m.Hello)) >= 2)
    stuck.set()
    assert isinstance(rig.end_of("stuck"), m.Cancelled)


def test_heartbeat_goes_on_while_the_gpu_thread_holds_everything(rig):
    release = threading.Event()

    def work(hooks: JobHooks) -> list[StubPicture]:
        with rig.engine.facts_lock:  # even what the model list needs
            release.wait(PATIENCE_S)
        return []

    rig.engine.work["hog"] = work
    rig.assign("hog")
    rig.until(lambda: rig.engine.drawn)
    before = len(rig.of(m.Heartbeat))
    rig.until(lambda: len(rig.of(m.Heartbeat)) > before + 20)
    running = rig.of(m.Heartbeat)[-1].running
    assert [(r.job, r.attempt, r.phase) for r in running] == [("hog", 1, "starting")]
    release.set()


def test_next_job_draws_while_the_last_result_is_being_stored_but_not_without_end(rig):
    rig.transport.room.clear()
    for n in range(4):
        rig.assign(f"job{n}")
    rig.until(lambda: len(rig.engine.drawn) == 2)
    before = len(rig.of(m.Heartbeat))
    rig.until(lambda: len(rig.of(m.Heartbeat)) > before + 5)
    assert rig.engine.drawn == ["job0", "job1"]  # two pictures wait in memory for room; more would fill it
    assert [r.phase for r in rig.of(m.Heartbeat)[-1].running] == ["storing", "storing", "queued", "queued"]
    rig.transport.room.set()
    rig.end_of("job3")


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (StubError("oom", {"width": 64}), "oom", False),
        (StubError("oom", retryable=True), "oom", True),
        (StubError("fire"), "other", False),
        (ZeroDivisionError("a bug"), "other", False),
        (MemoryError(), "other", False),
        (SystemExit(1), "other", False),
        (InputLostError("ref"), "other", True),
    ],
)
def test_whatever_the_engine_raises_becomes_a_failure_and_the_thread_lives(rig, error, kind, retryable):
    def work(hooks: JobHooks) -> list[StubPicture]:
        raise error

    rig.engine.work["bad"] = work
    rig.assign("bad")
    failed = rig.end_of("bad")
    assert (failed.kind, failed.retryable) == (kind, retryable)
    rig.assign("good")
    assert isinstance(rig.end_of("good"), m.Done)


def test_end_that_cannot_be_told_is_told_as_a_failure(rig):
    def work(hooks: JobHooks) -> list[StubPicture]:
        error = StubError("oom")
        error.args = ("unpackable",)
        raise error

    rig.engine.work["bad"] = work
    rig.assign("bad")
    assert rig.end_of("bad").kind == "other"


def test_job_over_its_time_ends_as_timeout(rig):
    def work(hooks: JobHooks) -> list[StubPicture]:
        while not hooks.cancelled():
            time.sleep(0.005)
        raise AssertionError("not cancelled")

    rig.engine.work["slow"] = work
    rig.assign("slow", max_run_s=0.05)
    assert rig.end_of("slow").kind == "timeout"


def test_job_that_hangs_beyond_its_time_ends_the_process():
    rig = Rig(hang_grace_s=0.05).start()
    release = threading.Event()
    rig.engine.work["hang"] = lambda hooks: drawn_after(release)
    rig.assign("hang", max_run_s=0.01)
    assert rig.hung.wait(PATIENCE_S)
    release.set()
    rig.say(None)
    rig.thread.join(PATIENCE_S)


def test_inputs_are_checked(rig):
    seen = []

    def work(hooks: JobHooks) -> list[StubPicture]:
        import hashlib

        right = hashlib.sha256(b"input").hexdigest()
        seen.append(hooks.open_image(ImageRef(ref="r", sha256=right, mime="image/png", size_bytes=5)))
        for ref in (
            ImageRef(ref="r", sha256="0" * 64, mime="image/png", size_bytes=5),
            ImageRef(ref="r", sha256=right, mime="image/png", size_bytes=6),
            ImageRef(ref="gone", sha256=right, mime="image/png", size_bytes=5),
        ):
            with pytest.raises(InputLostError):
                hooks.open_image(ref)
        return []

    rig.engine.work["a"] = work
    rig.assign("a")
    assert isinstance(rig.end_of("a"), m.Done)
    assert seen == [b"input"]


def test_loading_time_is_told_apart(rig):
    def work(hooks: JobHooks) -> list[StubPicture]:
        hooks.progress("loading", 0, 1, None)
        time.sleep(0.1)
        hooks.progress("sampling", 0, 1, None)
        return []

    rig.engine.work["a"] = work
    rig.assign("a")
    done = rig.end_of("a")
    assert 0.1 <= done.load_s <= done.run_s


def test_model_list_is_told_again_when_it_changes(rig, monkeypatch):
    monkeypatch.setattr(module, "MODELS_EVERY_S", 0.01)
    rig.until(lambda: rig.of(m.Hello))
    rig.engine.models = ("m1", "m2")
    rig.until(lambda: len(rig.of(m.Hello)[-1].models) == 2)


def test_models_are_looked_at_as_soon_as_the_bot_says_so(rig, monkeypatch):
    monkeypatch.setattr(module, "MODELS_EVERY_S", 3600.0)
    for number in (2, 3):
        rig.engine.models = tuple(f"m{n}" for n in range(number))
        rig.say(m.Rescan())
        rig.until(lambda number=number: rig.of(m.Hello) and len(rig.of(m.Hello)[-1].models) == number)


def test_engine_that_cannot_list_its_models_keeps_the_last_list(rig, monkeypatch):
    def broken() -> tuple[m.ModelFact, ...]:
        raise OSError("the folder is gone")

    monkeypatch.setattr(module, "MODELS_EVERY_S", 0.01)
    rig.engine.facts = broken
    rig.say(m.Resync())
    rig.until(lambda: len(rig.of(m.Hello)) >= 2)
    assert [fact.name for fact in rig.of(m.Hello)[-1].models] == ["m1"]


def test_prepare_loads_and_its_failure_harms_nothing(rig):
    rig.say(m.Prepare(model="broken"))
    rig.until(lambda: rig.engine.prepared == ["broken"])
    rig.say(m.Prepare(model="m1"))
    rig.until(lambda: rig.engine.prepared == ["broken", "m1"])
    rig.assign("a")
    rig.end_of("a")


def test_drain_lets_go_of_everything_and_refuses_more(rig, stuck):
    rig.assign("next")
    rig.say(m.Drain())
    rig.assign("late")
    rig.until(lambda: any(not reply.accepted for reply in rig.of(m.AssignReply)))
    stuck.set()
    rig.until(lambda: not rig.server._tasks)
    rig.until(lambda: rig.of(m.Heartbeat) and rig.of(m.Heartbeat)[-1].draining)
    assert rig.transport.ends == []  # nobody asked for a cancel: the bot draws it again
    assert rig.engine.drawn == ["stuck"]


def test_end_of_the_connection_finishes_the_picture_and_drops_the_rest():
    rig = Rig().start()
    release = threading.Event()
    rig.engine.work["a"] = lambda hooks: drawn_after(release)
    rig.assign("a")
    rig.until(lambda: rig.engine.drawn)
    rig.assign("b")
    rig.say(None)
    time.sleep(0.05)
    release.set()
    rig.thread.join(PATIENCE_S)
    assert not rig.thread.is_alive()
    assert [end.job for end, _ in rig.transport.ends] == ["a"]


def test_end_of_the_connection_is_not_waited_out_for_ever():
    rig = Rig(orphan_grace_s=0.1).start()
    release = threading.Event()
    rig.engine.work["a"] = lambda hooks: drawn_after(release)
    rig.assign("a")
    rig.until(lambda: rig.engine.drawn)
    rig.say(None)
    rig.thread.join(5)
    assert not rig.thread.is_alive()
    release.set()


def test_command_that_fails_does_not_end_the_worker(rig):
    rig.say("nonsense")  # has no `t`
    rig.assign("a")
    rig.end_of("a")


def test_threads_are_named(rig):
    rig.until(lambda: {"gpu", "results", "heartbeat", "models"} <= {thread.name for thread in threading.enumerate()})


def test_a_training_makes_way_for_whoever_comes_but_not_for_another_training(rig):
    rig.train("long", steps)
    rig.until(lambda: rig.of(m.Progress) and rig.of(m.Progress)[-1].step > 2)
    rig.train("later", lambda hooks: [])
    rig.until(lambda: len(rig.of(m.AssignReply)) == 2)
    step = rig.of(m.Progress)[-1].step
    rig.until(lambda: rig.of(m.Progress)[-1].step > step + 2)
    rig.assign("a")
    paused = rig.end_of("long")
    assert (paused.t, paused.reason, paused.of) == ("paused", "others", 1_000_000)
    assert paused.step > step
    rig.end_of("a")
    assert rig.end_of("later").t == "done"


def test_a_pause_is_for_trainings_alone_and_cancel_ends_them(rig, stuck):
    rig.train("waits")
    rig.say(m.Cancel(job="stuck", attempt=1, reason="pause"), m.Cancel(job="waits", attempt=1, reason="pause"))
    assert (rig.end_of("waits").t, rig.end_of("waits").reason) == ("paused", "asked")
    stuck.set()
    assert rig.end_of("stuck").t == "done"
    for job, reason, end in (("asked", "pause", "paused"), ("ended", "user", "cancelled")):
        rig.train(job, steps)
        rig.until(lambda job=job: rig.engine.drawn[-1] == job)
        rig.say(m.Cancel(job=job, attempt=1, reason=reason))
        assert rig.end_of(job).t == end


def test_a_training_is_begun_after_whoever_waits(rig, stuck):
    rig.train("long", lambda hooks: [])
    rig.assign("a")
    rig.until(lambda: len(rig.of(m.AssignReply)) == 3)
    stuck.set()
    assert rig.end_of("long").t == "done"
    assert rig.engine.drawn == ["stuck", "a", "long"]


@pytest.mark.parametrize(("drains", "reason"), [(True, "drained"), (False, "orphaned")])
def test_a_training_pauses_where_its_bot_stops_or_dies(drains, reason):
    rig = Rig().start()
    rig.train("long", steps)
    rig.until(lambda: rig.of(m.Progress) and rig.of(m.Progress)[-1].step > 2)
    if drains:
        rig.say(m.Drain())
    end(rig)
    assert (rig.end_of("long").t, rig.end_of("long").reason) == ("paused", reason)


def test_a_training_may_take_any_time_as_long_as_it_gets_on():
    rig = Rig().start()
    release = threading.Event()

    def work(hooks: JobHooks) -> list[StubPicture]:
        for step in range(10):
            assert not hooks.cancelled()
            hooks.progress("training", step, 10, None)
            time.sleep(0.06)
        release.wait(0.6)
        hooks.cancelled()
        raise AssertionError("given up")

    rig.train("long", work, max_run_s=0.5)
    failed = rig.end_of("long")
    assert (failed.kind, failed.message) == ("timeout", "no progress for 0.5 s")
    assert rig.of(m.Progress)[-1].step == 9
    assert not rig.hung.is_set()
    end(rig)


def test_what_is_kept_of_a_training_goes_when_it_is_done_or_nobody_will_go_on_with_it():
    forgotten: list[str] = []
    rig = Rig(forget=forgotten.append, kept=lambda: ("a",), lanes=("training",)).start()
    rig.until(lambda: rig.of(m.Hello))
    assert (rig.of(m.Hello)[0].lanes, rig.of(m.Hello)[0].kept) == (("training",), ("a",))
    rig.train("done", lambda hooks: [])
    rig.until(lambda: forgotten == ["done"])
    assert rig.end_of("done").t == "done"
    rig.train("runs", steps)
    rig.until(lambda: rig.engine.drawn[-1] == "runs")
    rig.say(m.Forget(job="elsewhere"), m.Forget(job="runs"))
    rig.until(lambda: forgotten == ["done", "elsewhere", "runs"])
    assert rig.end_of("runs").t == "cancelled"

    class Late(collections.deque):
        """The bot says it while the end, which is stored, is still on the worker's list."""

        def popleft(self):
            rig.server._on_command(m.Forget(job="failed"))
            return super().popleft()

    def fail(hooks):
        rig.server._unstored = Late()
        raise StubError

    rig.train("failed", fail)
    rig.until(lambda: forgotten[3:] == ["failed"])
    end(rig)
