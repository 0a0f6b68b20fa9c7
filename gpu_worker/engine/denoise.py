"""The driver: answers the calls of a task, and so owns guidance, precision, memory, progress, previews, cancelling."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from gpu_worker.engine.calls import Call, DecodeCall, EncodeCall, ModelCall, Picture, Prediction, Task
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.hooks import Watch
from gpu_worker.engine.memory import Portions
from gpu_worker.engine.preview import preview_bytes
from gpu_worker.engine.vae import decode_latents, encode_pictures, pictures_of
from gpu_worker.protocol.messages import PreviewWish

__all__ = ["Driver", "Guidance"]

T = TypeVar("T")


@dataclass(frozen=True)
class Guidance:
    """Encoded prompts, each [1, length, width]; the lengths may differ. `scale` 1 leaves the negative prompt out."""

    cond: torch.Tensor
    uncond: torch.Tensor
    scale: float


class Driver:
    """Runs one task on one checkpoint. Classifier-free guidance: Ho and Salimans (2022), on the denoised estimate."""

    def __init__(self, checkpoint: Checkpoint, guidance: Guidance, watch: Watch) -> None:
        self._checkpoint = checkpoint
        self._guidance = guidance
        self._watch = watch
        self._portions = Portions(checkpoint.device.torch_device)
        self._fences: deque[torch.cuda.Event] = deque()

    def run(self, task: Task[T]) -> T:
        """Raises DrawingCancelled before the next call once the job is cancelled."""
        answer: Any = None
        try:
            while True:
                call = task.send(answer)
                self._watch.check()
                answer = self._answer(call)
        except StopIteration as stop:
            return stop.value
        finally:
            task.close()

    def _answer(self, call: Call) -> Prediction | list[Picture] | torch.Tensor:
        if isinstance(call, ModelCall):
            prediction = Prediction(self._denoised(call))
            self._keep_pace()
            self._watch.report(
                call.phase, call.step + 1, call.of, lambda wish: self._preview(prediction.denoised, wish)
            )
            return prediction
        if isinstance(call, EncodeCall):
            self._watch.report("encoding", 0, 1)
            return encode_pictures(self._checkpoint, call.pictures)
        self._watch.report("decoding", 0, 1)
        return self._decoded(call)

    def _decoded(self, call: DecodeCall) -> list[Picture]:
        if not bool(torch.isfinite(call.latents).all()):
            raise EngineError("other", "the latents are not finite", {"reason": "not_finite"})
        decoded = decode_latents(self._checkpoint, call.latents)
        self._checkpoint.preview_map.learn(call.latents, decoded)
        return pictures_of(decoded)

    def _denoised(self, call: ModelCall) -> torch.Tensor:
        scale_in = 1 / math.sqrt(call.sigma**2 + 1)
        timestep = torch.tensor(self._checkpoint.table.timestep(call.sigma), device=call.x.device)

        def estimate(x: torch.Tensor) -> torch.Tensor:
            return x - call.sigma * self._guided_noise((x * scale_in).to(self._checkpoint.unet.dtype), timestep)

        return self._portions.run(call.x, estimate)

    def _guided_noise(self, x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        cond, uncond, scale = self._guidance.cond, self._guidance.uncond, self._guidance.scale
        if scale == 1:
            return self._noise(x, timestep, cond)
        if cond.shape == uncond.shape:
            both = torch.cat([uncond.expand(len(x), -1, -1), cond.expand(len(x), -1, -1)])
            without, with_prompt = self._noise(torch.cat([x, x]), timestep, both).chunk(2)
        else:
            without, with_prompt = self._noise(x, timestep, uncond), self._noise(x, timestep, cond)
        return without + scale * (with_prompt - without)

    def _noise(self, x: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        if len(context) != len(x):
            context = context.expand(len(x), -1, -1)
        return self._checkpoint.unet(x, timestep, encoder_hidden_states=context, return_dict=False)[0].float()

    def _keep_pace(self) -> None:
        """Lets the card run at most one step ahead: kernels are only queued here, and without this a whole drawing
        would be queued at once, its progress invented and no cancel in time."""
        if not self._checkpoint.device.is_cuda:
            return
        fence = torch.cuda.Event()
        fence.record()
        self._fences.append(fence)
        if len(self._fences) > 1:
            self._fences.popleft().synchronize()

    def _preview(self, denoised: torch.Tensor, wish: PreviewWish) -> bytes | None:
        colours = self._checkpoint.preview_map
        if colours.empty:
            # The first preview of a checkpoint pays for one small decode; later ones cost next to nothing.
            small = torch.nn.functional.adaptive_avg_pool2d(
                denoised[:1], (min(16, denoised.shape[2]), min(16, denoised.shape[3]))
            )
            colours.learn(small, decode_latents(self._checkpoint, small))
        return preview_bytes(colours.colours(denoised), wish)
