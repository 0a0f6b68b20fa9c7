"""Where a worker trains: finds the base, clears the engine's memory, and hands over what is saved.

What it takes to go on stays in the job's folder (work.py), so that whoever has waited gets the card between two steps.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import shutil
from pathlib import Path

from gpu_worker.engine.checkpoints.hashes import old_hash
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import SavedModel, TrainingTold
from gpu_worker.protocol.specs import ImageRef, Train
from gpu_worker.task import InputLostError, JobHooks, JobPaused
from gpu_worker.training.hooks import SavedFile, TrainingProgress, Wish
from gpu_worker.training.refusals import refusal
from gpu_worker.training.state import kept_step, write_whole
from gpu_worker.training.trainer import Base, Models, digest_of, train
from gpu_worker.training.work import WorkFolders, state_folder

__all__ = ["TrainingRoom"]

_PICTURES = "pictures"
LOOK_S = 0.5
"""How often a cancel is looked for while a file is hashed."""


class TrainingRoom:
    def __init__(self, engine: Engine, work: Path, device: str | None) -> None:
        """`work` is the folder of all trainings' folders; `device` torch's name of the engine's."""
        self._engine = engine
        self._folders = WorkFolders(work)
        self._device = device
        self._folders.sweep()

    def train(self, spec: Train, hooks: JobHooks) -> None:
        """To its end; each saved file has been handed over when it returns.

        Raises JobPaused, DrawingCancelled and EngineError; what it takes to go on is kept then. Kinds are those of
        refusals.py, and `missing_model` and `bad_model`, which name the `checkpoint` or `vae`.
        """
        watch = _Hooks(hooks)
        hooks.progress("loading", 0, 0, None)
        checkpoint = self._engine.model_file("checkpoint", spec.checkpoint)
        vae = self._engine.vae_for(spec.vae, checkpoint)
        base = self._base(checkpoint, vae, watch)
        models = Models(checkpoint, vae, self._engine.vocabulary)
        self._folders.sweep()
        with self._folders.opened(hooks.job, digest_of(spec, base), watch.check) as folder:
            self._engine.clear()
            if not spec.parameters.cache_latents:
                watch.pictures = folder / _PICTURES
            state = state_folder(folder)
            try:
                # The state goes with its folder, once the end is stored: a death before that costs no more than any
                # other.
                outcome = train(spec, models, base, watch, folder, device=self._device, state=state, clears=False)
            except (DrawingCancelled, EngineError):
                self._folders.ended(folder)
                raise
            finally:
                shutil.rmtree(folder / _PICTURES, ignore_errors=True)  # the next attempt is given all of them again
            if outcome == "paused":
                raise JobPaused(kept_step(state), watch.total_steps, watch.reason)

    def kept(self) -> tuple[str, ...]:
        """Jobs of which something is kept."""
        return self._folders.kept()

    def forget(self, job: str) -> None:
        self._folders.forget(job)

    def _base(self, checkpoint: ModelFile, vae: ModelFile | None, watch: _Hooks) -> Base:
        sha256 = self._hash(checkpoint, {"checkpoint": checkpoint.fact.name}, watch)
        if vae is None:
            return Base(sha256, old_hash(checkpoint.weights))
        vae_sha256 = self._hash(vae, {"vae": vae.fact.name}, watch)
        return Base(sha256, old_hash(checkpoint.weights), vae.path.name, vae_sha256, old_hash(vae.weights))

    def _hash(self, model: ModelFile, detail: dict[str, str], watch: _Hooks) -> str:
        future = self._engine.sha256_of(model.weights)
        while True:
            try:
                found = future.result(LOOK_S)
            except concurrent.futures.TimeoutError:
                watch.check()
                continue
            if found is None:
                raise EngineError("missing_model", f"{model.weights} cannot be read", detail)
            return found


class _Hooks:
    """A training's hooks over those of its job."""

    def __init__(self, hooks: JobHooks) -> None:
        self._hooks = hooks
        self.reason = ""
        self.total_steps = 0
        self.pictures: Path | None = None
        """Where copies are kept: they are read in each epoch, and the bot has them lie for a day alone."""

    def check(self) -> None:
        """Before anything is loaded: a pause there has nothing to keep."""
        wish = self.wish()
        if wish == "cancel":
            raise DrawingCancelled
        if wish == "pause":
            raise JobPaused(0, 0, self.reason)

    def wish(self) -> Wish:
        if self._hooks.cancelled():
            return "cancel"
        self.reason = self._hooks.pause()
        return "pause" if self.reason else "go on"

    def preparing(self, done: int, of: int) -> None:
        self._hooks.progress("preparing", done, of, None)

    def progress(self, progress: TrainingProgress) -> None:
        self.total_steps = progress.total_steps
        told = TrainingTold(
            epoch=progress.epoch, epochs=progress.epochs, step=progress.step, total_steps=progress.total_steps,
            average_loss=progress.average_loss, unet_lr=progress.unet_lr, text_encoder_lr=progress.text_encoder_lr,
            curve=progress.curve,
        )  # fmt: skip
        self._hooks.progress("training", progress.step, progress.total_steps, None, told)

    def saved(self, file: SavedFile) -> None:
        told = SavedModel(
            name=file.path.stem, epoch=file.epoch, step=file.step, final=file.final, loss=file.loss, gone=file.gone
        )
        try:
            with file.path.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
            self._hooks.save(told, file.path, digest, file.path.stat().st_size)
        except OSError as error:
            raise refusal("disk_full", step=file.step) from error
        with contextlib.suppress(OSError):
            file.path.unlink()  # the outbox has it

    def open_image(self, ref: ImageRef) -> bytes:
        copy = None if self.pictures is None else self.pictures / ref.sha256
        if copy is not None:
            with contextlib.suppress(OSError):
                data = copy.read_bytes()
                if hashlib.sha256(data).hexdigest() == ref.sha256:
                    return data
        try:
            data = self._hooks.open_image(ref)
        except InputLostError as error:
            # The bot puts it there again for the next attempt.
            raise refusal("picture_gone", retryable=True) from error
        if copy is not None:
            with contextlib.suppress(OSError):  # without room it is asked for once more
                copy.parent.mkdir(exist_ok=True)
                write_whole(copy, lambda file: file.write(data))
        return data
