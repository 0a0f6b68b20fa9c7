"""Trains a LoRA beside a checkpoint (behaviours §24): prepares, learns step by step, saves, goes on where it was."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.options import EngineOptions, Precision
from gpu_worker.language.models import ModelFile
from gpu_worker.language.training.steps import Length, training_length
from gpu_worker.protocol.specs import Train
from gpu_worker.training.batches import Epochs, number_of
from gpu_worker.training.curve import LossCurve
from gpu_worker.training.examples import Moment
from gpu_worker.training.hooks import Outcome, TrainingHooks, TrainingProgress
from gpu_worker.training.latents import KeptLatents
from gpu_worker.training.network import make_network
from gpu_worker.training.pictures import Pictures, PreparingPaused
from gpu_worker.training.refusals import out_of_memory, refusal
from gpu_worker.training.saving import Base, Saver
from gpu_worker.training.state import Snapshots
from gpu_worker.training.steps import Steps
from gpu_worker.training.targets import targets_of

__all__ = ["SNAPSHOT_EVERY", "Base", "Models", "digest_of", "train"]

log = logging.getLogger(__name__)

SNAPSHOT_EVERY = 50
"""Steps between two saved states: what a death costs at most."""
SNAPSHOT_S = 120.0
"""The same where steps take long."""
AVERAGE_STEPS = 100


@dataclass(frozen=True)
class Models:
    """Where the base lies. `vocabulary` is CLIP's tokenizer, which single files lack."""

    checkpoint: ModelFile
    vae: ModelFile | None = None
    vocabulary: Path | None = None


def train(
    spec: Train,
    models: Models,
    base: Base,
    hooks: TrainingHooks,
    folder: Path,
    *,
    device: str | None = None,
    snapshot_every: int = SNAPSHOT_EVERY,
    state: Path | None = None,
    clears: bool = True,
) -> Outcome:
    """Files go to `folder`, what it takes to go on to `state` (default: `folder/state`). Called again with the same
    spec it goes on from the last state there, and on a processor ends with the same weights, bit by bit. Where there is
    no room for a new state the one before stays. At the end it goes, unless whoever has to hand the files over first
    says otherwise (`clears`).

    Memory is given back when it returns. Raises EngineError, whose message is a sentence (see refusals.py),
    and DrawingCancelled; the last state is kept then.
    """
    given = spec.parameters
    cuda = Device.choose(device).is_cuda
    precision: Precision = "fp32"
    if cuda and given.mixed_precision != "no":
        precision = given.mixed_precision
    options = EngineOptions(device=device, precision=precision, memory="high")
    where = Device.choose(options)
    place, digest = state or folder / "state", digest_of(spec, base)
    snapshots, latents = Snapshots(place, digest), KeptLatents(place, digest)

    def all_of_it() -> Outcome:
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as borrowed:
            cache = ModelCache(where, options, models.vocabulary)
            checkpoint = borrowed.enter_context(cache.borrow(models.checkpoint, models.vae))
            return _Run(spec, checkpoint, base, hooks, folder, snapshots, latents, snapshot_every).all()

    outcome: Outcome = "paused"
    ended: Exception | None = None
    try:
        outcome = all_of_it()
    except PreparingPaused:
        pass
    except (DrawingCancelled, EngineError) as error:
        if error.__cause__ is not None:
            log.warning("the training ends: %r", error.__cause__)
        error.__cause__ = error.__context__ = None
        ended = error.with_traceback(None)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        ended = out_of_memory(spec)
    # Only here: until now a frame, or an error's, has held all models, and circles among them still do.
    free(where.torch_device)
    if ended is not None:
        raise ended
    if outcome == "done" and clears:
        snapshots.clear()
        latents.clear()
    return outcome


class _Run:
    def __init__(
        self,
        spec: Train,
        checkpoint: Checkpoint,
        base: Base,
        hooks: TrainingHooks,
        folder: Path,
        snapshots: Snapshots,
        latents: KeptLatents,
        every: int,
    ) -> None:
        self._spec = spec
        self._checkpoint = checkpoint
        self._base = base
        self._hooks = hooks
        self._folder = folder
        self._every = every
        self._snapshots = snapshots
        self._latents = latents

    def all(self) -> Outcome:
        spec, checkpoint = self._spec, self._checkpoint
        given = spec.parameters
        if checkpoint.concat != "none" or checkpoint.family == "sdxl_refiner":
            raise refusal("base_not_trainable", checkpoint=spec.checkpoint)
        before, foreign = self._snapshots.newest()
        if foreign:
            raise refusal("other_training")
        pictures = Pictures.prepared(spec, checkpoint, self._hooks, self._latents)
        epochs = Epochs(spec, pictures)
        length = training_length(
            epochs.batches_per_epoch,
            max_train_epochs=given.max_train_epochs,
            max_train_steps=given.max_train_steps,
            accumulation=given.gradient_accumulation_steps,
        )
        steps, network = self._made(epochs, length)
        session = {"id": str(secrets.randbits(32)), "started": time.time()} if before is None else before["session"]
        losses: deque[float] = deque([] if before is None else before["losses"], maxlen=AVERAGE_STEPS)
        curve = LossCurve(None if before is None else before.get("curve"))
        start = 0
        if before is not None:
            steps.load(before)
            start = int(before["step"])
        saver = Saver(spec, checkpoint, self._base, pictures, length, network, self._folder, session)
        kept_at = time.monotonic()

        def keep(step: int) -> None:
            nonlocal kept_at
            kept_at = time.monotonic()
            try:
                self._snapshots.keep(
                    step, {**steps.state(), "session": session, "losses": list(losses), "curve": curve.state()}
                )
            except OSError as error:
                # What the steps since the last one cost may be paid again; the training itself goes on.
                log.warning("the state at step %s cannot be kept: %s", step, error)

        def left() -> bool:
            return self._hooks.wish() != "go on"

        step = start
        while step < length.total_steps:
            if (wish := self._hooks.wish()) != "go on":
                if step > start or before is None:
                    keep(step)
                if wish == "cancel":
                    raise DrawingCancelled
                return "paused"
            epoch, place = divmod(step, length.steps_per_epoch)
            share = given.gradient_accumulation_steps
            batches = epochs.batches(epoch)[place * share : (place + 1) * share]
            loss = steps.learn(batches, Moment(epoch, step, length.total_steps), left)
            if loss is None:
                continue
            losses.append(loss)
            curve.add(loss)
            step = done = step + 1
            self._tell(done, epoch, length, losses, curve, steps)
            for file in saver.after(done, _average(losses)):
                self._hooks.saved(file)
            due = done % self._every == 0 or time.monotonic() - kept_at > SNAPSHOT_S
            if due and done < length.total_steps:
                keep(done)
        self._hooks.saved(saver.final(_average(losses)))
        return "done"

    def _made(self, epochs: Epochs, length: Length) -> tuple[Steps, Any]:
        checkpoint, given = self._checkpoint, self._spec.parameters
        checkpoint.need("text")
        checkpoint.need("unet")
        unet_lr, text_lr = given.rates
        targets = targets_of(checkpoint, unet=unet_lr > 0, text=text_lr > 0, conv=given.conv_dim is not None)
        if not targets:
            raise refusal("no_part_trains", checkpoint=self._spec.checkpoint)
        network = make_network(targets, given, number_of(self._spec.seed, "network"))
        for model in (checkpoint.unet, *(encoder.model for encoder in checkpoint.text_encoders)):
            model.train()
        if given.gradient_checkpointing:
            checkpoint.unet.enable_gradient_checkpointing()
            for encoder in checkpoint.text_encoders if text_lr else ():
                encoder.model.activation_checkpointing_enable()
        return Steps(checkpoint, network, epochs, given, length.total_steps), network

    def _tell(
        self, done: int, epoch: int, length: Length, losses: deque[float], curve: LossCurve, steps: Steps
    ) -> None:
        unet_lr, text_lr = steps.rates
        self._hooks.progress(
            TrainingProgress(
                step=done,
                total_steps=length.total_steps,
                epoch=epoch + 1,
                epochs=length.epochs,
                loss=losses[-1],
                average_loss=_average(losses),
                unet_lr=unet_lr,
                text_encoder_lr=text_lr,
                curve=curve.points,
            )
        )


def _average(losses: deque[float]) -> float:
    return sum(losses) / len(losses)


def digest_of(spec: Train, base: Base) -> str:
    """What the weights depend on. Pictures count by what they show: where they lie may change between two attempts, and
    a training that is taken up later may have to be called otherwise."""
    plain = spec.model_dump(mode="json", exclude={"output_name"})
    for dataset in plain["datasets"]:
        for subset in dataset["subsets"]:
            for image in subset["images"]:
                del image["image"]["ref"]
    return hashlib.sha256(json.dumps([base.sha256, base.vae_sha256, plain], sort_keys=True).encode()).hexdigest()
