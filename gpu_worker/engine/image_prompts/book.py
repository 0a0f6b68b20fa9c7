"""From pictures to the tokens that a UNet reads: adapters and image encoders by name, the last used stay loaded."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.checkpoints.weights import open_weights
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.image_prompts.adapter import ImageAdapter, load_adapter
from gpu_worker.engine.image_prompts.vision import Seen, VisionEncoder, load_encoder
from gpu_worker.engine.memory import free
from gpu_worker.engine.upscale.load import Shelf
from gpu_worker.language.kinds import vision_widths
from gpu_worker.language.models import ModelFile

__all__ = ["ImagePromptBook", "ImageTokens"]

SEEN_MAX = 64


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """For each picture [1, tokens, context width]; `nothing` stands beside the negative prompt."""

    pictures: tuple[torch.Tensor, ...]
    nothing: tuple[torch.Tensor, ...]


class ImagePromptBook:
    """`models` names what is there now. Not thread-safe, like all of the engine."""

    def __init__(self, models: Callable[[], Sequence[ModelFile]], device: Device) -> None:
        self._models = models
        self._device = device
        self._adapters: Shelf[ImageAdapter] = Shelf(2)
        self._encoders: Shelf[VisionEncoder] = Shelf(1)
        self._seen: OrderedDict[tuple[str, int, int, str], Seen] = OrderedDict()

    def clear(self) -> None:
        self._adapters.clear()
        self._encoders.clear()
        self._seen.clear()
        free(self._device.torch_device)

    def adapter(self, file: ModelFile) -> ImageAdapter:
        """Raises EngineError `missing_model`, `bad_model`."""
        return self._adapters.borrow(file, "controlnet", lambda path: load_adapter(path, file.fact.name))

    @torch.inference_mode()
    def tokens(self, adapter: ImageAdapter, pictures: Sequence[Picture], check: Callable[[], None]) -> ImageTokens:
        """`check` may raise between pictures. Raises EngineError `missing_model` (with the reason `no_image_encoder`)
        where no encoder of the adapter's kind is there, `bad_model` for one that is damaged."""
        file = self._encoder_for(adapter)
        made = []
        for picture in pictures:
            check()
            made.append(self._projected(adapter, self._see(file, picture)))
        if adapter.reads == "embedding":
            blank = adapter.project(torch.zeros(1, adapter.width))
        else:
            blank = self._projected(adapter, self._see(file, None))
        target, dtype = self._device.torch_device, self._device.dtype
        return ImageTokens(
            tuple(tokens.to(target, dtype) for tokens in made), (blank.to(target, dtype),) * len(pictures)
        )

    def _projected(self, adapter: ImageAdapter, seen: Seen) -> torch.Tensor:
        return adapter.project(seen.embedding if adapter.reads == "embedding" else seen.patches)

    def _see(self, file: ModelFile, picture: Picture | None) -> Seen:
        try:
            stat = file.weights.stat()
        except OSError as error:
            raise EngineError("missing_model", f"{file.weights}: {error!r}", {"annotator": file.fact.name}) from error
        # With the size, since a row of bytes has none; a file that changed is another encoder.
        shown = f"{picture.shape}{hashlib.sha256(picture.tobytes()).hexdigest()}" if picture is not None else ""
        place = (str(file.weights), stat.st_size, stat.st_mtime_ns, shown)
        if place not in self._seen:
            encoder = self._encoders.borrow(file, "annotator", lambda path: load_encoder(path, file.fact.name))
            self._seen[place] = encoder.see(picture, self._device.torch_device, self._device.dtype)
            while len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
        self._seen.move_to_end(place)
        return self._seen[place]

    def _encoder_for(self, adapter: ImageAdapter) -> ModelFile:
        for file in self._models():
            if file.fact.kind != "annotator" or file.fact.variant != "clip_vision" or file.fact.problem is not None:
                continue
            widths = vision_widths(open_weights(file.path, {"annotator": file.fact.name}).shapes)
            if widths is not None and adapter.width == widths[0 if adapter.reads == "patches" else 1]:
                return file
        detail = {"annotator": "CLIP vision", "reason": "no_image_encoder", "controlnet": adapter.name}
        raise EngineError("missing_model", f"{adapter.name} reads {adapter.reads} of width {adapter.width}", detail)
