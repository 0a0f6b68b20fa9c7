"""What is known of a card, and that what is not known stays unknown."""

import shutil
from types import SimpleNamespace

import pytest

from gpu_worker import sensors as module
from gpu_worker.protocol import messages as m
from gpu_worker.sensors import Vitals, parse_smi, sensors


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("45, 97, 312.51\n", Vitals(45, 97, 313)),
        ("45, [N/A], [Not Supported]\n", Vitals(45)),
        ("", Vitals()),
        ("No devices were found", Vitals()),
        ("inf, nan, 1", Vitals(None, None, 1)),
    ],
)
def test_reads_what_nvidia_smi_says(text, found):
    assert parse_smi(text) == found


def test_a_processor_has_no_sensors():
    assert sensors(SimpleNamespace(type="cpu"), None) is None


def test_nothing_is_asked_where_nothing_can_answer(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    assert sensors(SimpleNamespace(type="cuda"), "GPU-1") is None


def test_a_failing_program_leaves_all_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(module.shutil, "which", lambda _: str(tmp_path / "no-such-program"))
    read = sensors(SimpleNamespace(type="cuda"), "GPU-1")
    assert read is not None
    assert read() == Vitals()


def test_an_older_workers_heartbeat_still_parses():
    beat = m.parse_to_bot({"t": "hb", "worker": "w1", "boot": "b"})
    assert isinstance(beat, m.Heartbeat)
    assert (beat.temperature_c, beat.utilisation_pct, beat.power_w) == (None, None, None)


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no nvidia-smi")
def test_a_real_card_tells_its_temperature():
    import torch

    device = torch.device("cuda:0")
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    read = sensors(device, uuid)
    assert read is not None
    found = read()
    assert found.temperature_c is not None
    assert 5 < found.temperature_c < 110
