"""Upscalers by name: behaviours §20. `None`, `Lanczos`, `Nearest`, every model file that spandrel reads, and
LDSR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gpu_worker.engine.addons import Upscaling, engine_parts
from gpu_worker.engine.calls import Picture
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import resample
from gpu_worker.engine.memory import free
from gpu_worker.engine.upscale.ldsr import STEPS, LatentUpscaler
from gpu_worker.engine.upscale.ldsr_file import is_ldsr, load_ldsr
from gpu_worker.engine.upscale.load import ImageModel, Shelf, load_image_model, to_device
from gpu_worker.engine.upscale.run import run_model
from gpu_worker.language.models import ModelFile
from gpu_worker.language.passes import upscale_plan

__all__ = ["PLAIN", "Upscalers"]

PLAIN: dict[str, Image.Resampling] = {
    "None": Image.Resampling.LANCZOS,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
"""Upscalers without a model, first in the list."""
LOADED_MAX = 2
INTERMEDIATE_MAX_PX = 16384
"""Longest side that a model may draw before the resize to the target."""


class Upscalers:
    """`models` names what is there now; of it the upscalers are used. Not thread-safe, like all of the engine."""

    def __init__(self, models: Callable[[], Sequence[ModelFile]], device: Device, *, ldsr_steps: int = STEPS) -> None:
        self._models = models
        self._device = device
        self._ldsr_steps = ldsr_steps
        self._shelf: Shelf[ImageModel | LatentUpscaler] = Shelf(LOADED_MAX)

    def names(self) -> tuple[str, ...]:
        """In A1111's order: those without a model, then the models by name. Unusable files are left out."""
        models = (model.fact.name for model in self._files() if model.fact.problem is None)
        return (*PLAIN, *sorted(models, key=lambda name: (name.lower(), name)), *engine_parts().upscalers)

    def clear(self) -> None:
        """Lets go of all loaded models."""
        self._shelf.clear()
        free(self._device.torch_device)

    def enlarge(
        self,
        pictures: Sequence[Picture],
        width: int,
        height: int,
        name: str,
        *,
        check: Callable[[], None],
        report: Callable[[int, int], None],
    ) -> list[Picture]:
        """Each at exactly `width` x `height`, as a hires fix or img2img has it: the upscaler where that is larger, then
        Lanczos. `None` is Lanczos alone.

        `check` may raise, between tiles too; `report` hears hundredths of the whole, done and of.
        Raises EngineError `missing_model`, `bad_model`, `oom`.
        """
        enlarged: list[Picture] = []
        for number, picture in enumerate(pictures):
            check()
            scale = max(width / picture.shape[1], height / picture.shape[0])
            if scale > 1 and name != "None":
                picture = self.scaled(picture, scale, name, check=check, report=_part(report, number, len(pictures)))
            enlarged.append(resample(picture, width, height))
            report(100 * (number + 1) // len(pictures), 100)
        return enlarged

    def scaled(
        self,
        picture: Picture,
        scale: float,
        name: str,
        *,
        check: Callable[[], None],
        report: Callable[[int, int], None],
    ) -> Picture:
        """`scale` times larger, down to the next multiple of eight: A1111's common wrapper of all upscalers.

        A model runs until it reaches the size, at most three times; what is left is Lanczos.
        """
        height, width = picture.shape[:2]
        if name in PLAIN:
            plan = upscale_plan(width, height, scale, 1.0)
            if plan.calls_on and name != "None":
                size = (int(width * scale), int(height * scale))
                picture = np.asarray(Image.fromarray(picture).resize(size, PLAIN[name]))
            return resample(picture, *plan.out)
        added = engine_parts().upscalers.get(name)
        if added is not None and all(file.fact.name != name for file in self._files()):
            check()
            enlarged = _by_addon(added, picture, scale, name)
            report(100, 100)
            return resample(enlarged, *upscale_plan(width, height, scale, 1.0).out)
        model = self._model(name)
        factor = model.scale if isinstance(model, LatentUpscaler) else model.network.scale
        plan = upscale_plan(width, height, scale, factor)
        for number, _ in enumerate(plan.calls_on):
            if max(picture.shape[:2]) * factor > INTERMEDIATE_MAX_PX:
                # The last of several runs may overshoot the target by far: it gets what leads just there.
                picture = resample(picture, ceil(plan.out[0] / factor), ceil(plan.out[1] / factor))
            picture = self._run(model, name, picture, check, _part(report, number, len(plan.calls_on)))
        return resample(picture, *plan.out)

    def _run(
        self,
        model: ImageModel | LatentUpscaler,
        name: str,
        picture: Picture,
        check: Callable[[], None],
        report: Callable[[int, int], None],
    ) -> Picture:
        try:
            if isinstance(model, LatentUpscaler):
                return model.run(picture, self._device, check, report)
            return run_model(model, picture, self._device, check, report)
        except EngineError as error:
            raise EngineError(error.kind, error.message, {**error.detail, "upscaler": name}) from error
        except torch.AcceleratorError:
            raise  # the card's own trouble
        except (RuntimeError, ValueError, AssertionError) as error:
            # A network that its library took for another, or one for other pictures.
            detail = {"upscaler": name, "problem": "unsupported"}
            raise EngineError("bad_model", f"{name}: {error!r}", detail) from error

    def _model(self, name: str) -> ImageModel | LatentUpscaler:
        file = next((model for model in self._files() if model.fact.name == name), None)
        if file is None:
            raise EngineError("missing_model", f"no upscaler {name}", {"upscaler": name})
        if file.fact.problem is not None:
            detail = {"upscaler": name, "problem": file.fact.problem}
            raise EngineError("bad_model", f"{file.path}: {file.fact.problem}", detail)

        def load(path: Path) -> ImageModel | LatentUpscaler:
            if is_ldsr(path):
                return LatentUpscaler(load_ldsr(path, name), self._ldsr_steps)
            return load_image_model(path, "upscaler", name)

        model = self._shelf.borrow(file, "upscaler", load)
        if isinstance(model, ImageModel):
            to_device(model, self._device, "upscaler", name)
        return model

    def _files(self) -> list[ModelFile]:
        return [model for model in self._models() if model.fact.kind == "upscaler"]


def _by_addon(function: Upscaling, picture: Picture, scale: float, name: str) -> Picture:
    """Raises EngineError `bad_model` for whatever the add-on raises, and for what is no picture."""
    try:
        made = function(picture.copy(), scale)
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        detail = {"upscaler": name, "problem": "unsupported"}
        raise EngineError("bad_model", f"{name}: {error!r}", detail) from error
    if not isinstance(made, np.ndarray) or made.dtype != np.uint8 or made.ndim != 3 or made.shape[2] != 3:
        raise EngineError("bad_model", f"{name} gave no picture", {"upscaler": name, "problem": "unsupported"})
    return made


def _part(report: Callable[[int, int], None], number: int, of: int) -> Callable[[int, int], None]:
    """Progress of one of several parts, in hundredths of all."""
    return lambda done, total: report(100 * (number * total + done) // (of * total), 100)
