"""What lies in an outbox when a worker starts."""

from __future__ import annotations

import pytest

from gpu_worker.outbox import WorkerOutbox

KEPT = {"a.1.fin", "a.1.0.png", "a.1.1.png", "b.2.k3.kept", "b.2.k3.safetensors", "odd.name.png.txt", "c.1.bad"}
LEFT = {"c.1.0.png", "b.2.0.png", "b.2.k4.bin", "b.1.k3.bin", "d.1.0.safetensors.part", "a.1.fin.part"}


@pytest.fixture
def box(tmp_path):
    for name in KEPT | LEFT:
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_what_a_dead_process_was_writing_goes_and_every_entry_stays_whole(box):
    WorkerOutbox(box)
    assert {path.name for path in box.iterdir()} == KEPT


def test_box_that_another_process_writes_into_is_left_as_it_is(box):
    WorkerOutbox(box, shared=True)
    assert {path.name for path in box.iterdir()} == KEPT | LEFT
