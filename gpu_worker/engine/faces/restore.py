"""Restore faces: behaviours §21. Faces are found, drawn again by GFPGAN or CodeFormer, and put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.faces.align import Landmarks, box_mask, crop, paste, placement
from gpu_worker.engine.faces.detect import DETECTOR_NAME, SCORE_MIN, Face, find_faces, load_detector
from gpu_worker.engine.faces.outline import OUTLINE_NAME, load_outline, outline_mask
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.upscale.load import ImageModel, Shelf, bad_model, load_image_model
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.specs import FaceRestore

__all__ = ["FaceRestorer", "Finder"]

FILES = {"GFPGAN": "GFPGANv1.4.pth", "CodeFormer": "codeformer-v0.1.0.pth"}
"""Restorers, and what to install for one; every file whose name begins like it will do."""
LOADED_MAX = 4
"""Detector, outline and both restorers."""

Finder = Callable[[Picture], Sequence[Landmarks]]
"""The landmarks of every face in a picture."""
T = TypeVar("T", bound=nn.Module)


class FaceRestorer:
    """`models` names what is there now; of it the kind `face` is used. Not thread-safe, like all of the engine."""

    def __init__(self, models: Callable[[], Sequence[ModelFile]], device: Device, finder: Finder | None = None) -> None:
        """`finder` takes the place of the installed detector."""
        self._models = models
        self._device = device
        self._finder = finder
        self._shelf: Shelf[Any] = Shelf(LOADED_MAX)

    def clear(self) -> None:
        """Lets go of all loaded models."""
        self._shelf.clear()
        free(self._device.torch_device)

    def restore(self, pictures: Sequence[Picture], wish: FaceRestore, check: Callable[[], None]) -> list[Picture]:
        """Pictures of the same sizes; one without a face comes back as it is. `check` may raise, before each face too.

        Raises EngineError `missing_model` (detail `face`: the file to install), `bad_model`, `oom`.
        """
        if wish.visibility == 0:
            return list(pictures)
        try:
            find, restorer, outline = self._find(), self._restorer(wish.model), self._outline()
            return [self._restored(picture, wish, find, restorer, outline, check) for picture in pictures]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = repr(error)
        # Outside the handler: the exception's frames would keep the failed tensors alive.
        self.clear()
        raise EngineError("oom", f"restoring faces: {reason}", {"face": wish.model})

    def _restored(
        self,
        picture: Picture,
        wish: FaceRestore,
        find: Finder,
        restorer: ImageModel,
        outline: Callable[[Picture], Floats],
        check: Callable[[], None],
    ) -> Picture:
        check()
        restored = picture
        for landmarks in find(picture):
            check()
            place = placement(landmarks)
            # All faces are cut from the untouched picture, so that their order does not matter.
            face = self._drawn(restorer, crop(picture, place), wish) if place is not None else None
            if place is not None and face is not None:
                restored = paste(restored, face, place, outline(face))
        if wish.visibility < 1 and restored is not picture:
            return np.asarray(Image.blend(Image.fromarray(picture), Image.fromarray(restored), wish.visibility))
        return restored

    @torch.inference_mode()
    def _drawn(self, restorer: ImageModel, face: Picture, wish: FaceRestore) -> Picture | None:
        """The square face drawn again; None where the network answers with no numbers."""
        x = torch.from_numpy(face.transpose(2, 0, 1).copy()).to(self._device.torch_device).float()[None] / 127.5 - 1
        if restorer.network.architecture.id == "CodeFormer":
            y = restorer.network.model(x, weight=wish.weight)[0]
        else:
            # Its stored noise instead of new one: the same picture is restored the same way.
            y = restorer.network.model(x, randomize_noise=False)[0]
        if not y.isfinite().all():
            return None
        return ((y[0].clamp(-1, 1) + 1) * 127.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy()

    def _restorer(self, name: str) -> ImageModel:
        file = self._file(name.casefold(), FILES[name])
        if name == "CodeFormer" and find_spec("spandrel_extra_arches") is None:
            detail = {"face": name, "problem": "needs_extra", "extra": "codeformer"}
            raise EngineError("bad_model", "the extra `codeformer` is not installed", detail)

        def load(path: Path) -> ImageModel:
            model = load_image_model(path, "face", file.fact.name)
            if model.network.architecture.id != name:
                raise bad_model(path, model.network.architecture.id, "face", file.fact.name, "unsupported")
            model.network.model.to(self._device.torch_device)
            return model

        return self._shelf.borrow(file, "face", load)

    def finder(self) -> Callable[[Picture, float], list[Face]]:
        """What finds faces of at least that certainty. Raises EngineError `missing_model`, `bad_model`."""
        file = self._file(DETECTOR_NAME.casefold(), f"{DETECTOR_NAME}.pth")
        detector = self._shelf.borrow(file, "face", lambda path: self._moved(load_detector(path)))
        return lambda picture, least: find_faces(detector, picture, least)

    def _find(self) -> Finder:
        if self._finder is not None:
            return self._finder
        find = self.finder()
        return lambda picture: [face.landmarks for face in find(picture, SCORE_MIN)]

    def _outline(self) -> Callable[[Picture], Floats]:
        """By the parsing network if it is there; without it the whole square is pasted, soft at its border."""
        if not any(self._named(OUTLINE_NAME)):
            mask = box_mask()
            return lambda face: mask
        file = self._file(OUTLINE_NAME, f"{OUTLINE_NAME}.pth")
        network = self._shelf.borrow(file, "face", lambda path: self._moved(load_outline(path)))
        return lambda face: outline_mask(network, face)

    def _moved(self, network: T) -> T:
        return network.to(self._device.torch_device)

    def _named(self, start: str) -> list[ModelFile]:
        """Face models whose name begins like this; usable ones first, of them the last by name: the newest version."""
        found = [m for m in self._models() if m.fact.kind == "face" and m.fact.name.casefold().startswith(start)]
        return sorted(found, key=lambda model: (model.fact.problem is None, model.fact.name.casefold()), reverse=True)

    def _file(self, start: str, wanted: str) -> ModelFile:
        found = self._named(start)
        if not found:
            raise EngineError("missing_model", f"no face model {wanted}", {"face": wanted})
        fact = found[0].fact
        if fact.problem is not None:
            detail = {"face": fact.name, "problem": fact.problem}
            raise EngineError("bad_model", f"{found[0].path}: {fact.problem}", detail)
        return found[0]
