"""Training goes on where it was interrupted, and attends as torch does."""

import shutil

import pytest
import torch
from torch import nn

from demo_kit.attention import _Attend
from demo_kit.loop import Schedule, train


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PINCEL_TRAINING", str(tmp_path))


def run(name, stop_at=None):
    torch.manual_seed(1)
    model = nn.Linear(4, 1)

    def loss_at(step):
        if step == stop_at:
            raise KeyboardInterrupt
        seen = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        return (model(seen) - seen.sum(1, keepdim=True)).pow(2).mean(), {}

    train(name, model, loss_at, Schedule(steps=40, rate=0.05, warmup=5))
    return model.weight.detach().clone()


def test_an_interrupted_run_ends_as_one_that_was_not(monkeypatch, capsys):
    whole = run("whole")
    monkeypatch.setattr("demo_kit.loop._SAVE_EVERY_S", 0)
    with pytest.raises(KeyboardInterrupt):
        run("parted", stop_at=23)
    assert torch.allclose(run("parted"), whole, atol=1e-7)
    assert "step 40/40" in capsys.readouterr().out


def test_a_finished_run_is_loaded_and_not_run_again():
    trained = run("once")
    assert torch.equal(run("once", stop_at=0), trained)


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence():
    model = nn.Linear(1, 1)
    with pytest.raises(SystemExit, match="bad: the loss is nan at step 0"):
        train("bad", model, lambda step: (model.weight.sum() * float("nan"), {}), Schedule(2, 0.1))


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize(("queries", "keys", "width"), [(64, 64, 8), (64, 77, 12), (16, 77, 16), (4, 3, 8)])
def test_fast_attention_equals_torchs(queries, keys, width):
    torch.manual_seed(2)
    tensors = [torch.randn(2, length, 8, width) * 2 for length in (queries, keys, keys)]
    weights = torch.randn(2, queries, 8, width)
    results = []
    for attend in (
        _Attend.apply,
        lambda *t: nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in t)).transpose(1, 2),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        made = attend(*leaves)
        (made * weights).sum().backward()
        results.append([made, *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)
