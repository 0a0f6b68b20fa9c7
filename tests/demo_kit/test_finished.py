"""Parts start from the kit's own checkpoint, and whole lanes of them run by themselves."""

import subprocess

import pytest
import torch

from demo_kit import finished, lanes, loop
from demo_kit.export import save_checkpoint
from demo_kit.networks import new_diffusion
from demo_kit.original import text_weights, unet_weights, vae_weights
from demo_kit.parts import FURTHER, PARTS
from demo_kit.render import wanted
from demo_kit.vae import new_vae


def test_networks_come_back_from_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(finished, "CHECKPOINT", tmp_path / "kit.safetensors")
    model, vae = new_diffusion(), new_vae()
    save_checkpoint(finished.CHECKPOINT, model.unet, model.text, vae, title="Test")
    blank, blank_vae = new_diffusion(), new_vae()
    networks = [(model.unet, blank.unet, unet_weights), (vae, blank_vae, vae_weights)]
    for before, after, renamed in networks:
        for value in after.parameters():
            value.data.zero_()
        finished.read_back(after, renamed)
        for name, value in before.state_dict().items():
            assert torch.allclose(after.state_dict()[name], value, atol=1e-3, rtol=1e-3), name
    finished.read_back(blank.text, text_weights)


def test_without_a_kit_training_goes_on_from_its_start(tmp_path, monkeypatch):
    monkeypatch.setattr(finished, "CHECKPOINT", tmp_path / "none.safetensors")
    model, vae = new_diffusion(), new_vae()
    for network, renamed in ((model.unet, unet_weights), (model.text, text_weights), (vae, vae_weights)):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        finished.read_back(network, renamed)
        assert any(not torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_without_a_checkpoint_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(finished, "CHECKPOINT", tmp_path / "none.safetensors")
    monkeypatch.setattr(finished, "START", tmp_path / "none.safetensors")
    with pytest.raises(SystemExit, match="Train it first"):
        finished.read_back(new_vae(), vae_weights)


def test_a_run_ends_when_its_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_TRAINING", str(tmp_path))
    monkeypatch.setattr(loop, "_time_limit", 0.05)
    weight = torch.nn.Linear(1, 1)
    steps = []
    loop.train("timed", weight, lambda step: (steps.append(step) or weight.weight.sum(), {}), loop.Schedule(10**9, 0.1))
    assert 0 < len(steps) < 10**6


def test_lanes_name_parts_each_once():
    known = {part.__name__ for part in PARTS | FURTHER}
    whole = [part for stage in lanes.STAGES for lane in stage for part, _ in lane]
    assert sorted(whole) == sorted(part.__name__ for part in PARTS)
    assert {part for stage in lanes.FURTHER_STAGES for lane in stage for part, _ in lane} <= known


def test_every_shard_is_drawn_once():
    tasks = [(task.func.__name__, task.args) for task in wanted()]
    assert len(tasks) == len(set(tasks)) > 200


def test_a_failed_part_keeps_later_stages_from_beginning(tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_TRAINING", str(tmp_path))
    begun = []

    def run(command, **_options):
        begun.append(command[4])
        return subprocess.CompletedProcess(command, 1 if command[4] == "vae" else 0)

    class Rendering:
        def __init__(self, _command):
            self.ended = None

        def poll(self):
            return 0

        def terminate(self):
            self.ended = -15

        def wait(self):
            return self.ended

    monkeypatch.setattr(lanes.subprocess, "run", run)
    monkeypatch.setattr(lanes.subprocess, "Popen", Rendering)
    monkeypatch.setattr(lanes, "use_best_device", lambda: None)
    assert lanes.main([]) == 1
    assert sorted(begun) == ["tagger", "vae"]
