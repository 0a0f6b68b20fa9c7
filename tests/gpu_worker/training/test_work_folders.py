"""What trainings keep to go on from: whose it is, who may take it over, and when it goes."""

import os
import threading
import time

import pytest

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.training import work
from gpu_worker.training.work import WorkFolders, state_folder


def fine():
    pass


@pytest.fixture
def folders(tmp_path):
    return WorkFolders(tmp_path / "work")


def begun(folders, job, digest="d"):
    with folders.opened(job, digest, fine) as folder:
        (state_folder(folder) / "state-00000007.pt").write_bytes(b"state")
    return folder


def test_the_same_training_goes_on_under_another_job_and_no_other_does(folders, tmp_path):
    first = begun(folders, "a")
    with folders.opened("b", "d", fine) as folder:
        assert [path.name for path in state_folder(folder).iterdir()] == ["state-00000007.pt"]
        assert not first.exists()
    with folders.opened("c", "other", fine) as folder:
        assert list(state_folder(folder).iterdir()) == []
    with pytest.raises(EngineError) as refused, folders.opened("b", "changed", fine):
        pass
    assert (refused.value.kind, refused.value.detail) == ("bad_input", {"reason": "base_changed"})
    (tmp_path / "work" / "a folder that is no job's").mkdir()
    assert folders.kept() == ("b", "c")


def test_nobody_takes_or_removes_what_another_worker_holds(folders, tmp_path, monkeypatch):
    other = WorkFolders(tmp_path / "work")
    begun(folders, "a")
    with folders.opened("a", "d", fine):
        with other.opened("b", "d", fine) as folder:
            assert list(state_folder(folder).iterdir()) == []
        other.forget("a")
        other.sweep()
        assert other.kept() == ("a", "b")

        def cancelled():
            raise DrawingCancelled

        with pytest.raises(DrawingCancelled), other.opened("a", "d", cancelled):
            pass
        monkeypatch.setattr(work, "LOCK_WAIT_S", 0.0)
        with pytest.raises(EngineError) as refused, other.opened("a", "d", fine):
            pass
        assert (refused.value.retryable, refused.value.detail) == (True, {"reason": "in_use"})
    monkeypatch.setattr(work, "LOCK_WAIT_S", 60.0)
    with folders.opened("a", "d", fine):  # it comes free while the other waits
        entered = threading.Event()

        def enter():
            with other.opened("a", "d", fine):
                entered.set()

        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(20)
    thread.join()


def test_of_what_failed_or_was_cancelled_the_last_few_stay(folders, monkeypatch):
    monkeypatch.setattr(work, "ENDED_KEPT", 2)
    begun(folders, "paused")
    for age, job in enumerate(["newest", "taken", "second", "third"]):
        folders.ended(begun(folders, job, job))
        then = time.time() - age
        os.utime(folders._root / job / "ended", (then, then))
    begun(folders, "taken", "taken")
    folders.sweep()
    assert folders.kept() == ("newest", "paused", "second", "taken")


def test_what_is_over_leaves_nothing_and_what_was_left_goes_after_a_month(folders, tmp_path):
    begun(folders, "a")
    old = begun(folders, "old")
    folders.forget("a")
    for odd in ("", ".", "..", "../work", "unknown"):
        folders.forget(odd)
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"old", "old.lock"}
    then = time.time() - work.KEPT_S - 60
    for path in (*old.rglob("*"), old):
        os.utime(path, (then, then))
    begun(folders, "new")
    folders.sweep()
    assert folders.kept() == ("new",)
