"""The driver: answers the calls of tasks, and so owns batches, memory, progress, previews, pace and cancelling.

It can advance several tasks at once. Model calls that want the same model state are evaluated together, whatever their
samplers, steps, prompts and seeds (continuous batching, as in Yu et al., "Orca", OSDI 2022); no sampler ever knows.
Tasks of another state wait until those of this one are through with the model.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch

from gpu_worker.engine.calls import (
    Call,
    DecodeCall,
    DetectCall,
    EncodeCall,
    GuidedCall,
    Picture,
    Prediction,
    RestoreCall,
    Task,
    UpscaleCall,
)
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.evaluate import evaluate
from gpu_worker.engine.guidance import Question, Rows, ask
from gpu_worker.engine.hooks import Watch
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.engine.memory import Portions, is_out_of_memory
from gpu_worker.engine.preview import preview_bytes
from gpu_worker.engine.state import ModelStates
from gpu_worker.engine.taesd import PreviewDecoders
from gpu_worker.engine.vae import decode_latents, encode_pictures, pictures_of
from gpu_worker.protocol.messages import PreviewWish

__all__ = ["Driver", "Outcome", "Tools"]

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """What answers the calls that no checkpoint is needed for."""

    enlarge: Callable[[UpscaleCall, Watch], list[Picture]]
    restore: Callable[[RestoreCall, Watch], list[Picture]]
    detect: Callable[[DetectCall, Watch], list[Mask8]]


@dataclass
class Outcome(Generic[T]):
    """Of one task; an error is that task's alone."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value  # pyright: ignore[reportReturnType] (set whenever there is no error)


@dataclass(eq=False)
class _Lane:
    task: Task[Any]
    watch: Watch
    outcome: Outcome[Any] = field(default_factory=Outcome)
    call: Call | None = None
    """What it waits for; None once it has ended."""


class Driver:
    def __init__(
        self, states: ModelStates, tools: Tools, device: Device, decoders: PreviewDecoders | None = None
    ) -> None:
        self._decoders = decoders
        self._states = states
        self._tools = tools
        self._device = device
        self._portions = Portions(device.torch_device)
        self._fences: deque[torch.cuda.Event] = deque()
        self._state: tuple[object, ...] = ()
        self._entered: tuple[object, ...] = ()

    def run(self, task: Task[T], watch: Watch) -> T:
        """Raises what the task raises, and DrawingCancelled before the next call once the job is cancelled."""
        return self.run_all([(task, watch)])[0].get()

    def run_all(self, tasks: Sequence[tuple[Task[T], Watch]]) -> list[Outcome[T]]:
        """Every task to its end."""
        lanes = [_Lane(task, watch) for task, watch in tasks]
        try:
            for lane in lanes:
                self._advance(lane, None)
            while waiting := [lane for lane in lanes if lane.call is not None]:
                self._round(waiting)
        finally:
            for lane in lanes:
                lane.task.close()
        return [lane.outcome for lane in lanes]

    def _advance(self, lane: _Lane, answer: Any) -> None:
        try:
            lane.call = lane.task.send(answer)
            lane.watch.check()
        except StopIteration as stop:
            lane.outcome.value, lane.call = stop.value, None
        except Exception as error:
            self._fail(lane, error)

    def _fail(self, lane: _Lane, error: BaseException) -> None:
        lane.outcome.error, lane.call = error, None
        lane.task.close()

    def _round(self, lanes: list[_Lane]) -> None:
        groups: dict[tuple[object, ...], list[tuple[_Lane, Question]]] = {}
        for lane in lanes:
            if isinstance(lane.call, GuidedCall):
                question = self._asked(lane, lane.call)
                if question is not None:
                    groups.setdefault(question.guide.state.key, []).append((lane, question))
            else:
                self._serve(lane)
        if not groups:
            return
        # Switching states costs more than a step (LoRAs are merged anew): one is stayed with until nobody wants it.
        self._state = self._state if self._state in groups else next(iter(groups))
        self._predict(groups.pop(self._state))
        for waiting in groups.values():
            for lane, _ in waiting:
                self._check(lane)
        self._keep_pace()

    def _asked(self, lane: _Lane, call: GuidedCall) -> Question | None:
        try:
            return ask(call)
        except Exception as error:
            self._fail(lane, error)
            return None

    def _serve(self, lane: _Lane) -> None:
        try:
            answer = self._answer(lane.call, lane.watch)
        except Exception as error:
            self._fail(lane, error)
        else:
            self._advance(lane, answer)

    def _check(self, lane: _Lane) -> None:
        try:
            lane.watch.check()
        except Exception as error:
            self._fail(lane, error)

    def _predict(self, members: list[tuple[_Lane, Question]]) -> None:
        """Out of memory, jobs that shared a batch are tried alone, so that only the one that is too large fails."""
        predictions: list[Prediction] | None = None
        try:
            predictions = self._predictions([question for _, question in members])
        except Exception as error:
            if len(members) == 1 or not is_out_of_memory(error):
                for lane, _ in members:
                    self._fail(lane, error)
                return
        # Outside the handler, whose traceback holds the failed tensors.
        if predictions is None:
            for member in members:
                self._predict([member])
            return
        for (lane, question), prediction in zip(members, predictions, strict=True):
            self._told(lane, question, prediction)

    def _predictions(self, questions: list[Question]) -> list[Prediction]:
        state = questions[0].guide.state
        # Where memory is short, weights are changed where they will be used.
        state.checkpoint.need("unet")
        outputs = iter(self._outputs([row for question in questions for row in question.rows]))
        return [question.answer([next(outputs) for _ in question.rows]) for question in questions]

    def _outputs(self, rows: list[Rows]) -> list[torch.Tensor]:
        """Texts may have networks of their own that have to be merged; the weights that stand are used first."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for index, row in enumerate(rows):
            groups.setdefault(row.state.key, []).append(index)
        answers: dict[int, torch.Tensor] = {}
        for members in sorted(groups.values(), key=lambda members: rows[members[0]].state.key != self._entered):
            state = rows[members[0]].state
            self._states.enter(state)
            self._entered = state.key
            own = evaluate(
                state.checkpoint,
                [rows[index] for index in members],
                self._portions,
                self._states.beside(state.checkpoint),
            )
            answers |= zip(members, own, strict=True)
        return [answers[index] for index in range(len(rows))]

    def _told(self, lane: _Lane, question: Question, prediction: Prediction) -> None:
        call = question.call.call
        checkpoint = question.guide.state.checkpoint
        try:
            lane.watch.report(
                call.phase, call.step + 1, call.of, lambda wish: self._preview(checkpoint, prediction.denoised, wish)
            )
        except Exception as error:
            self._fail(lane, error)
        else:
            self._advance(lane, prediction)

    def _answer(self, call: Call | None, watch: Watch) -> list[Picture] | list[Mask8] | torch.Tensor:
        if isinstance(call, EncodeCall):
            self._states.tile(call.state)
            return encode_pictures(call.state.checkpoint, call.pictures)
        if isinstance(call, DecodeCall):
            watch.report("decoding", 0, 1)
            self._states.tile(call.state)
            return self._decoded(call)
        if isinstance(call, UpscaleCall):
            watch.report("upscaling", 0, 1)
            return self._tools.enlarge(call, watch)
        if isinstance(call, DetectCall):
            watch.report("looking", 0, 0)
            return self._tools.detect(call, watch)
        assert isinstance(call, RestoreCall), f"no such call: {call!r}"
        watch.report("restoring", 0, 1)
        return self._tools.restore(call, watch)

    def _decoded(self, call: DecodeCall) -> list[Picture]:
        if not bool(torch.isfinite(call.latents).all()):
            raise EngineError("other", "the latents are not finite", {"reason": "not_finite"})
        decoded = decode_latents(call.state.checkpoint, call.latents)
        if not bool(torch.isfinite(decoded).all()):
            raise EngineError("other", "the decoded pictures are not finite", {"reason": "not_finite"})
        call.state.checkpoint.preview_map.learn(call.latents, decoded)
        return pictures_of(decoded)

    def _keep_pace(self) -> None:
        """Lets the card run at most one step ahead: kernels are only queued here, and without this a whole drawing
        would be queued at once, its progress invented and no cancel in time."""
        if not self._device.is_cuda:
            return
        fence = torch.cuda.Event()
        fence.record()
        self._fences.append(fence)
        if len(self._fences) > 1:
            self._fences.popleft().synchronize()

    def _preview(self, checkpoint: Checkpoint, denoised: torch.Tensor, wish: PreviewWish) -> bytes | None:
        colours = checkpoint.preview_map
        try:
            shown = self._decoders.colours(checkpoint, denoised) if self._decoders is not None else None
            if shown is not None:
                return preview_bytes(shown, wish)
            if colours.empty:
                # The first preview of a checkpoint pays for one small decode; later ones cost next to nothing.
                small = torch.nn.functional.adaptive_avg_pool2d(
                    denoised[:1], (min(16, denoised.shape[2]), min(16, denoised.shape[3]))
                )
                colours.learn(small, decode_latents(checkpoint, small))
            return preview_bytes(colours.colours(denoised), wish)
        except (RuntimeError, MemoryError):
            log.warning("no preview of this step", exc_info=True)
            return None  # a picture does not fail for its preview
