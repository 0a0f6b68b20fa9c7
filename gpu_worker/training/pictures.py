"""The pictures of a training: which bucket each is in, and its latents, kept or made anew (behaviours §24.1, §24.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.images.files import open_picture
from gpu_worker.engine.vae import encode_pictures
from gpu_worker.language.training.buckets import Bucketed, bucket_of
from gpu_worker.protocol.specs import Train, TrainDataset, TrainImage, TrainSubset
from gpu_worker.protocol.specs.training import picture_repeats
from gpu_worker.training.hooks import TrainingHooks
from gpu_worker.training.latents import KeptLatents, LatentKey
from gpu_worker.training.refusals import refusal

__all__ = ["Pictures", "PreparingPaused", "TrainedPicture", "View"]

Tensor = torch.Tensor


class PreparingPaused(Exception):  # noqa: N818 (an outcome, not an error)
    """A pause was wished while pictures were prepared."""


@dataclass(frozen=True)
class TrainedPicture:
    number: int
    """Its place among all pictures of the training."""
    dataset: int
    subset: TrainSubset
    image: TrainImage
    repeats: int
    size: tuple[int, int]
    """Of the picture as it came, in pixels."""
    fit: Bucketed

    @property
    def caption(self) -> str:
        return self.subset.class_tokens if self.image.caption is None else self.image.caption


@dataclass(frozen=True)
class View:
    """One look at a picture: mirrored or not, and from where it is cut (shares of what is over, 0.5 is the middle)."""

    flipped: bool = False
    left: float = 0.5
    top: float = 0.5


@dataclass(eq=False)
class Pictures:
    """All of them, in the order of the spec. Pictures of the class that find no use are left out."""

    checkpoint: Checkpoint
    hooks: TrainingHooks
    keeps: bool
    """`cache_latents`."""
    all: list[TrainedPicture] = field(default_factory=list[TrainedPicture])
    _latents: dict[LatentKey, Tensor] = field(default_factory=dict[LatentKey, Tensor])

    @classmethod
    def prepared(
        cls, spec: Train, checkpoint: Checkpoint, hooks: TrainingHooks, kept: KeptLatents | None = None
    ) -> Pictures:
        """What `kept` has is not made again, and it gets what it lacks, however this ends.

        Raises EngineError `bad_input` for what is no picture or too narrow for its buckets, DrawingCancelled, and
        PreparingPaused.
        """
        found = cls(checkpoint, hooks, spec.parameters.cache_latents)
        try:
            found._prepare(spec, kept)
        finally:
            if kept is not None and len(found._latents) > len(kept.latents):
                kept.keep([picture.size for picture in found.all], found._latents)
        return found

    def _prepare(self, spec: Train, kept: KeptLatents | None) -> None:
        of = sum(1 for _ in spec.images())
        seen = 0
        for place, dataset in enumerate(spec.datasets):
            repeats = picture_repeats(dataset)
            for subset, own in zip(dataset.subsets, repeats, strict=True):
                for number, (image, times) in enumerate(zip(subset.images, own, strict=True), 1):
                    if (wish := self.hooks.wish()) != "go on":
                        raise DrawingCancelled if wish == "cancel" else PreparingPaused
                    if times:
                        try:
                            self._add(place, dataset, subset, image, times, number, kept)
                        except EngineError as error:
                            # Which of many pictures it is has to be in the sentence.
                            error.detail = {"number": number, "folder": subset.name, **error.detail}
                            raise
                    seen += 1
                    self.hooks.preparing(seen, of)

    def latents(self, picture: TrainedPicture, view: View) -> Tensor:
        """[channels, height, width] in float32."""
        key = picture.number, view.flipped
        if not self.keeps:
            return self._encoded(self._pixels(picture), picture, view)
        if key not in self._latents:
            self._latents[key] = self._encoded(self._pixels(picture), picture, view)
        return self._latents[key]

    def offsets(self, picture: TrainedPicture, view: View) -> tuple[int, int]:
        """Pixels that are cut off at the left and at the top."""
        (width, height), (wide, high) = picture.fit.resized, picture.fit.bucket
        return round((width - wide) * view.left), round((height - high) * view.top)

    def _add(
        self,
        place: int,
        dataset: TrainDataset,
        subset: TrainSubset,
        image: TrainImage,
        times: int,
        number: int,
        kept: KeptLatents | None,
    ) -> None:
        at = len(self.all)
        pixels: Picture | None = None
        if self.keeps and kept is not None and at < len(kept.sizes):
            size = kept.sizes[at]
        else:
            pixels = open_picture(self.hooks.open_image(image.image), image.image)
            size = (pixels.shape[1], pixels.shape[0])
        try:
            fit = bucket_of(size, dataset.rules)
        except ValueError as error:
            step = dataset.rules.bucket_reso_steps
            values = {"number": number, "folder": subset.name, "width": size[0], "height": size[1]}
            raise refusal("picture_too_narrow", bucket_reso_steps=step, **values) from error
        picture = TrainedPicture(at, place, subset, image, times, size, fit)
        if self.keeps:
            for flipped in (False, True) if subset.rules.flip_aug else (False,):
                made = kept.latents.get((at, flipped)) if kept is not None else None
                if made is None:
                    pixels = self._pixels(picture) if pixels is None else pixels
                    made = self._encoded(pixels, picture, View(flipped))
                self._latents[at, flipped] = made
        self.all.append(picture)

    def _pixels(self, picture: TrainedPicture) -> Picture:
        return open_picture(self.hooks.open_image(picture.image.image), picture.image.image)

    def _encoded(self, pixels: Picture, picture: TrainedPicture, view: View) -> Tensor:
        if (pixels.shape[1], pixels.shape[0]) != picture.fit.resized:
            pixels = np.asarray(Image.fromarray(pixels).resize(picture.fit.resized, Image.Resampling.LANCZOS))
        (left, top), (wide, high) = self.offsets(picture, view), picture.fit.bucket
        pixels = pixels[top : top + high, left : left + wide]
        pixels = np.ascontiguousarray(pixels[:, ::-1] if view.flipped else pixels)
        # Autocast would make halves of a VAE that went to full precision because halves were not enough.
        with torch.no_grad(), torch.autocast(self.checkpoint.device.torch_device.type, enabled=False):
            return encode_pictures(self.checkpoint, [pixels])[0].float().cpu()
