"""One denoising pass: a sampler's calls under a guide, and what a mask keeps of a picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator
from typing import Any

import torch

from gpu_worker.engine.calls import Call, GuidedCall, Prediction, Sampling
from gpu_worker.engine.conditioning.guide import Guide

__all__ = ["guided", "kept"]


def guided(sampling: Sampling, guide: Guide, share: tuple[int, int] = (0, 1)) -> Generator[Call, Any, torch.Tensor]:
    """`share` is this batch's number and how many there are, so that progress runs once over all of them."""
    batch, batches = share
    number = 0
    try:
        call = next(sampling)
        while True:
            # A sampler may go back to higher levels (Restart, churn); a refiner that has begun stays.
            guide = guide.at(call.sigma)
            told = dataclasses.replace(call, step=batch * call.of + call.step, of=call.of * batches)
            prediction: Prediction = yield GuidedCall(
                told, guide, number, done=call.step / max(1, call.of), step=call.step
            )
            number += 1
            call = sampling.send(prediction)
    except StopIteration as stop:
        return stop.value
    finally:
        sampling.close()


def kept(sampling: Sampling, init: torch.Tensor, repaint: torch.Tensor, *, before: bool) -> Sampling:
    """The same sampler, held to `init` where `repaint` ([1, 1, h, w], 0 or 1) is 0 (behaviours §9.3.7).

    Most samplers have the model's estimate replaced after each call. Where `before` is set the model is shown the clean
    picture instead (samplers on timesteps), and the sampler gets the noise that the model saw in that.
    """
    keep = 1 - repaint
    try:
        call = next(sampling)
        while True:
            if before:
                # A1111's samplers on timesteps run in the variance-preserving scale: the clean latent counts as such.
                shown = call.x * repaint + init * (math.sqrt(1 + call.sigma**2) * keep)
                seen = yield dataclasses.replace(call, x=shown)
                moved = call.x - shown
                uncond = seen.uncond + moved if seen.uncond is not None else None
                prediction = Prediction(seen.denoised + moved, uncond)
            else:
                seen = yield call
                prediction = Prediction(seen.denoised * repaint + init * keep, seen.uncond)
            call = sampling.send(prediction)
    except StopIteration as stop:
        return stop.value * repaint + init * keep
    finally:
        sampling.close()
