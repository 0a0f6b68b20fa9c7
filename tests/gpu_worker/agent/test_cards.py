"""Which cards a machine serves with, and how each child is kept to its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_worker.agent.cards import CardsError, cards, nvidia_cards

TWO = {0: "NVIDIA GeForce RTX 3060", 1: "Tesla T4"}


def told(wanted: str, *, device: str = "auto", environment: dict[str, str] | None = None, found=TWO):
    chosen = cards(wanted, device, environment or {}, found)
    return [(choice.arguments, choice.environment.get("CUDA_VISIBLE_DEVICES")) for choice in chosen]


def test_each_card_gets_a_process_that_sees_it_alone():
    assert told("auto") == [((), "0"), ((), "1")]
    assert told("1") == [((), "1")]
    assert told("1, 0,1") == [((), "1"), ((), "0")]
    # Numbers mean what nvidia-smi prints, not the fastest card first.
    assert cards("auto", "auto", {}, TWO)[0].environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize("found", [{}, {0: "Tesla T4"}])
def test_one_card_or_none_that_can_be_counted_is_left_to_the_engine(found):
    assert told("auto", found=found) == [((), None)]


@pytest.mark.parametrize("device", ["cuda:1", "cpu"])
def test_cards_that_are_asked_for_count_more_than_a_device_that_is_set(device):
    """Each child sees one card alone, which has no second."""
    assert told("0,1", device=device) == [(("--device", "auto"), "0"), (("--device", "auto"), "1")]


def test_what_the_operator_named_stays():
    assert told("auto", device="cuda:1") == [((), None)]
    assert told("auto", environment={"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}) == [((), "GPU-a"), ((), "GPU-b")]
    assert told("auto", environment={"CUDA_VISIBLE_DEVICES": ""}) == [((), None)]
    assert told("cpu") == [(("--device", "cpu"), None)]


@pytest.mark.parametrize(("wanted", "words"), [("2", "no card 2 here"), ("first", "takes auto, cpu"), ("", "takes")])
def test_cards_that_are_not_there_are_refused_with_what_is(wanted, words):
    with pytest.raises(CardsError, match=words):
        told(wanted)


def test_number_is_believed_where_nothing_can_list_cards():
    assert told("3", found={}) == [((), "3")]


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands for nvidia-smi")
def test_cards_are_read_from_nvidia_smi(monkeypatch, tmp_path: Path):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)'\n"
        "echo '  MIG 1g.10gb     Device  0: (UUID: MIG-0d3c5a7d-1f6a-5b3a-9c5e-000000000000)'\n"
        "echo 'GPU 1: Tesla T4 (UUID: GPU-c4034b60-0000-4e9c-3aa3-9d2f6c0c9f00)'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_cards() == {0: "NVIDIA A100-SXM4-80GB", 1: "Tesla T4"}
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert nvidia_cards() == {}
    program.unlink()
    assert nvidia_cards() == {}
