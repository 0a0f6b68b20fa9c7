"""What a step does where a card's half precision is not enough, and data sets of which nothing is seen."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from setting import Watcher, spec, subset, train

from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.language.training.buckets import Bucketed
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.protocol.specs import TrainDataset
from gpu_worker.training import pictures
from gpu_worker.training.pictures import Pictures, TrainedPicture, View
from gpu_worker.training.steps import Steps

CPU = SimpleNamespace(torch_device=torch.device("cpu"))


def make_steps(weight, *, half):
    network = SimpleNamespace(
        parameters=lambda part: [weight] if part == "unet" else [], tensors=dict, load=lambda tensors: None
    )
    checkpoint = SimpleNamespace(device=CPU, table=SigmaTable.scaled_linear(), prediction="epsilon")
    given = Parameters(unet_lr=1.0, network_train_unet_only=True, lr_scheduler="linear", max_grad_norm=0.0)
    steps = Steps(checkpoint, network, SimpleNamespace(), given, 4)
    steps._scaler = torch.amp.GradScaler("cpu", enabled=half)
    return steps


def test_a_training_that_begins_on_a_processor_goes_on_in_halves():
    weight = torch.nn.Parameter(torch.ones(1))
    state = make_steps(weight, half=False).state()
    later = make_steps(weight, half=True)
    later.load(state)
    assert later._scaler.get_scale() == torch.amp.GradScaler("cpu").get_scale()


def test_a_step_that_is_left_out_does_not_move_the_schedule():
    weight = torch.nn.Parameter(torch.ones(1))
    steps = make_steps(weight, half=True)
    for factor, rate in ((float("inf"), 1.0), (1.0, 0.75), (float("inf"), 0.75), (1.0, 0.5)):
        steps._scaler.scale(weight.sum() * factor).backward()
        steps._change()
        assert steps.rates == (rate, 0.0)
    assert torch.isfinite(weight).all()


def test_pictures_are_encoded_apart_from_autocast(monkeypatch):
    seen = []

    def encode(_, found):
        seen.append(torch.is_autocast_enabled("cpu"))
        return torch.zeros(len(found), 4, 1, 1)

    monkeypatch.setattr(pictures, "encode_pictures", encode)
    made = Pictures(SimpleNamespace(device=CPU), Watcher(), keeps=False)
    monkeypatch.setattr(Pictures, "_pixels", lambda *_: np.zeros((8, 8, 3), np.uint8))
    one = subset(["p0"])
    picture = TrainedPicture(0, 0, one, one.images[0], 1, (8, 8), Bucketed((8, 8), (8, 8), 0.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made.latents(picture, View())
    assert seen == [False]


@pytest.mark.slow
def test_a_data_set_of_the_class_alone_is_not_seen_and_told_of(tmp_path):
    wanted = spec(subset(["p0"], num_repeats=1), max_train_steps=1, rules={"batch_size": 1})
    of_class = subset(["p1"], num_repeats=1, is_reg=True, name="1_class")
    more = TrainDataset(rules=wanted.datasets[0].rules, subsets=(of_class,))
    outcome, watcher = train(wanted.model_copy(update={"datasets": (*wanted.datasets, more)}), tmp_path)
    assert (outcome, len(watcher.files)) == ("done", 1)
