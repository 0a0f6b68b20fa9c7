"""One change of the weights after another: accumulation, clipping, mixed precision."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.training.batches import Batch, Epochs, dice, number_of
from gpu_worker.training.examples import Moment, example_of
from gpu_worker.training.loss import NoiseSchedule, batch_loss
from gpu_worker.training.network import TrainedNetwork
from gpu_worker.training.optimizers import make_optimizer, make_scheduler
from gpu_worker.training.refusals import refusal

__all__ = ["Steps"]


class Steps:
    """All that changes while a network learns, besides the network."""

    def __init__(
        self, checkpoint: Checkpoint, network: TrainedNetwork, epochs: Epochs, given: Parameters, total_steps: int
    ) -> None:
        device = checkpoint.device.torch_device
        self._checkpoint = checkpoint
        self._network = network
        self._epochs = epochs
        self._given = given
        self._total = total_steps
        self._schedule = NoiseSchedule(checkpoint)
        self._learnt = [*network.parameters("text"), *network.parameters("unet")]
        self._optimizer: Any = make_optimizer(network, given, device)
        self._rates: Any = make_scheduler(self._optimizer, given, total_steps)
        # Half precision is the card's; a processor is not faster with it.
        self._half = _HALVES.get(given.mixed_precision) if device.type == "cuda" else None
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._half is torch.float16)

    def learn(
        self, batches: Sequence[Batch], moment: Moment, leave: Callable[[], bool] = lambda: False
    ) -> float | None:
        """One step over `batches`, whose gradients are added up; returns their mean loss. Where `leave` says so between
        two of them nothing has changed, and None is returned: the step is to be done again. Raises EngineError `other`
        (`loss_not_finite`) before anything is changed."""
        total, share = 0.0, self._given.gradient_accumulation_steps
        for place, batch in enumerate(batches):
            if place and leave():
                self._optimizer.zero_grad(set_to_none=True)
                return None
            seed = self._epochs.spec.seed
            with self._apart(number_of(seed, "network", moment.step, place)), self._precision():
                throw = dice(seed, "batch", moment.step, place)
                example = example_of(self._checkpoint, self._epochs, batch, self._given, moment, throw)
                noise = number_of(seed, "noise", moment.step, place)
                loss = batch_loss(self._checkpoint, self._schedule, example, self._given, noise)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise refusal("loss_not_finite", step=moment.step + 1)
                total += value
                self._scaler.scale(loss / share).backward()
        self._change()
        return total / len(batches)

    @property
    def rates(self) -> tuple[float, float]:
        """Of the UNet and of the text encoders, for the next step."""
        rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        both = bool(self._network.parameters("text")), bool(self._network.parameters("unet"))
        return (rates[-1] if both[1] else 0.0), (rates[0] if both[0] else 0.0)

    def state(self) -> dict[str, Any]:
        return {
            "network": self._network.tensors(),
            "optimizer": self._optimizer.state_dict(),
            "rates": self._rates.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self._network.load(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rates.load_state_dict(state["rates"])
        if state["scaler"]:  # none was kept where a processor has trained so far
            self._scaler.load_state_dict(state["scaler"])

    def _change(self) -> None:
        if self._given.max_grad_norm:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(self._learnt, self._given.max_grad_norm)
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        if self._scaler.get_scale() >= scale:  # it shrinks where the step was too large for fp16, and left out
            self._rates.step()

    @contextlib.contextmanager
    def _apart(self, seed: int) -> Iterator[None]:
        """The dice of torch itself (dropout) are thrown from `seed`, and left as they were."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self._half is None:
            return contextlib.nullcontext()
        return torch.autocast("cuda", dtype=self._half)


_HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
