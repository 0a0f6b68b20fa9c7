"""How the painter trains: no pictures are looked at, losses fall, and each saved epoch is a LoRA of a few bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from gpu_worker.language.training.outputs import SUFFIX, epoch_name, final_name, saves_epoch
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.specs import Train
from gpu_worker.protocol.specs.training import picture_repeats

__all__ = ["TrainingPainter"]

AGAIN_S = 0.2
Tell = Callable[[m.ToBot], Awaitable[None]]


class TrainingPainter:
    """Goes on where a training was paused, as a worker does; an epoch at a time."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._epochs: dict[str, int] = {}
        """Of each training, those that are behind it."""
        self._yields: dict[str, str] = {}
        self.stop = asyncio.Event()
        """Set while the training that runs is to stop at its next step."""
        self.running: str | None = None

    def pause(self, reason: str) -> None:
        if self.running is not None:
            self._yields[self.running] = reason
            self.stop.set()

    async def train(self, assign: m.Assign, tell: Tell, may_go_on: asyncio.Event) -> m.Done | m.Paused:
        """Each epoch waits for `may_go_on`."""
        spec = assign.spec
        assert isinstance(spec, Train)
        frame = {"worker": self._name, "job": assign.job, "attempt": assign.attempt}
        epochs = spec.parameters.max_train_epochs or 1
        per_epoch = sum(
            math.ceil(sum(map(sum, picture_repeats(dataset))) / dataset.rules.batch_size) for dataset in spec.datasets
        )
        self.running, self.stop = assign.job, asyncio.Event()
        try:
            done = self._epochs.setdefault(assign.job, 0)
            await tell(m.Progress(**frame, n=0, phase="preparing", step=1, of=1))
            while done < epochs:
                told = self._progress(frame, done, epochs, per_epoch)
                await tell(told)
                if not await _unless(self.stop, may_go_on, lambda told=told: tell(told)):
                    reason = self._yields.pop(assign.job, "others")
                    return m.Paused(**frame, step=done * per_epoch, of=epochs * per_epoch, run_s=0.1, reason=reason)
                done = self._epochs[assign.job] = done + 1
                final = done == epochs
                if final or saves_epoch(done, epochs, spec.parameters.save_every_n_epochs):
                    await tell(self._saved(frame, spec, done, done * per_epoch, final=final))
            await tell(self._progress(frame, done, epochs, per_epoch))
            return m.Done(**frame, outputs=(), run_s=0.1)
        finally:
            self.running = None

    @staticmethod
    def _progress(frame: dict[str, object], done: int, epochs: int, per_epoch: int) -> m.Progress:
        step, of = done * per_epoch, epochs * per_epoch
        curve = tuple(0.5 / (1 + n / per_epoch) for n in range(min(step, m.CURVE_POINTS_MAX)))
        told = m.TrainingTold(
            epoch=min(epochs, done + 1), epochs=epochs, step=step, total_steps=of,
            average_loss=curve[-1] if curve else None, unet_lr=1e-4, text_encoder_lr=5e-5, curve=curve,
        )  # fmt: skip
        return m.Progress(**frame, n=step + 1, phase="training", step=step, of=of, eta_s=60.0, training=told)  # type: ignore[arg-type]

    def _saved(self, frame: dict[str, object], spec: Train, epoch: int, step: int, *, final: bool) -> m.Partial:
        name = (final_name(spec.output_name) if final else epoch_name(spec.output_name, epoch)).removesuffix(SUFFIX)
        header = json.dumps({"__metadata__": {"ss_output_name": spec.output_name, "epoch": str(epoch)}}).encode()
        data = struct.pack("<Q", len(header)) + header
        blob = f"{frame['job']}.{frame['attempt']}.model{epoch}"
        (self._folder / blob).write_bytes(data)
        output = m.Output(
            blob=blob, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), mime=MODEL_MIME, width=0,
            height=0, seed=0, infotext="",
        )  # fmt: skip
        file = m.SavedModel(name=name, epoch=epoch, step=step, final=final, loss=0.5 / (1 + epoch))
        return m.Partial(**frame, n=epoch, outputs=(output,), file=file)  # type: ignore[arg-type]


async def _unless(stop: asyncio.Event, go_on: asyncio.Event, tell: Callable[[], Awaitable[None]]) -> bool:
    """Whether `go_on` came before `stop`; meanwhile it tells again where it is, as something that trains does."""
    waits = [asyncio.create_task(event.wait()) for event in (stop, go_on)]
    try:
        while not (await asyncio.wait(waits, timeout=AGAIN_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            await tell()
        return not stop.is_set()
    finally:
        for task in waits:
            task.cancel()
