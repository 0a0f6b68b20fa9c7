"""Inpainting before and after the latent space: behaviours §9.3, steps 2 to 6 and 8, in one call each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.images.geometry import ResizeMode, fit, resample
from gpu_worker.engine.images.masks import (
    Mask8,
    Region,
    blurred,
    crop_region,
    expand_region,
    fill,
    hidden,
    latent_mask,
    model_mask,
    overlay,
    paste,
)
from gpu_worker.protocol.specs import Mask

__all__ = ["PreparedInpaint", "PreparedMask", "prepare", "prepared_mask"]


@dataclass(frozen=True)
class PreparedMask:
    """A mask in the two sizes that count."""

    drawn: Mask8
    """Blurred, at the size that is drawn."""
    overlay: Mask8
    """How far the drawn picture will show; at the size of the finished picture."""
    region: Region | None
    """The part of the original that is drawn; None for the whole."""


@dataclass(frozen=True)
class PreparedInpaint:
    """What inpainting encodes, and the way back."""

    picture: Picture
    """To be encoded: [height, width, 3] of the job; with a latent upscale, the source's own size. Colour correction
    matches to it."""
    mask: PreparedMask | None
    """None where the mask is empty and ignored: then this is plain img2img."""
    finish: Callable[[Picture], Picture]
    """From a drawn picture to the finished one: the crop goes back to its place, unmasked pixels are the original's."""

    @property
    def latent_mask(self) -> Floats | None:
        """float32 [h // 8, w // 8] of 0 and 1 for the sampler; None with `mask`."""
        if self.mask is None:
            return None
        height, width = self.mask.drawn.shape
        return latent_mask(self.mask.drawn, width // 8, height // 8)

    def model_mask(self) -> Floats | None:
        """What an inpainting checkpoint reads beside the latent, of the same size; None with `mask`."""
        if self.mask is None:
            return None
        height, width = self.mask.drawn.shape
        return model_mask(self.mask.drawn, width // 8, height // 8)

    def hidden(self, weight: float) -> Floats:
        """The picture as an inpainting checkpoint may see it: float32 [h, w, 3] in 0..255, see `masks.hidden`."""
        if self.mask is None:
            return self.picture.astype("float32")
        height, width = self.picture.shape[:2]
        return hidden(self.picture, resample(self.mask.drawn, width, height), weight)


def prepare(
    picture: Picture,
    mask: Mask8,
    spec: Mask,
    width: int,
    height: int,
    resize_mode: ResizeMode,
) -> PreparedInpaint:
    """`mask` as uploaded, of any size; `width` and `height` are the job's.

    An empty mask with `only_masked` is ignored, as A1111 1.10 does; without, nothing will be repainted.
    """
    ready = prepared_mask(mask, spec, (picture.shape[1], picture.shape[0]), width, height, resize_mode)
    if ready is not None and ready.region is not None:
        left, top, right, bottom = region = ready.region
        crop = fit(picture[top:bottom, left:right], width, height, "Resize and fill")
        return PreparedInpaint(
            picture=crop if spec.content == "original" else fill(crop, ready.drawn),
            mask=ready,
            finish=lambda drawn: paste(picture, drawn, region, ready.overlay),
        )
    latent = resize_mode == "Just resize (latent upscale)"
    whole = fit(picture, width, height, resize_mode)
    source = picture if latent else whole
    if ready is None:
        return PreparedInpaint(source, None, lambda drawn: drawn)
    if spec.content != "original":
        # A latent upscale encodes the source at its own size, so its mask goes back to that.
        source = fill(source, resample(ready.drawn, source.shape[1], source.shape[0]))
    return PreparedInpaint(
        source, ready, lambda drawn: overlay(_like(whole, drawn), drawn, _like(ready.overlay, drawn))
    )


def prepared_mask(
    mask: Mask8, spec: Mask, size: tuple[int, int], width: int, height: int, resize_mode: ResizeMode
) -> PreparedMask | None:
    """The mask for a picture of `size` that is drawn at `width` x `height`; None where it is empty and so ignored."""
    mask = resample(mask, *size)
    soft = blurred(255 - mask if spec.invert else mask, spec.blur)
    if not spec.only_masked:
        drawn = fit(soft, width, height, resize_mode)
        return PreparedMask(drawn, _doubled(drawn), None)
    if not soft.any():
        return None
    left, top, right, bottom = region = expand_region(crop_region(soft, spec.padding_px), width, height, *size)
    return PreparedMask(fit(soft[top:bottom, left:right], width, height, "Resize and fill"), soft, region)


def _doubled(mask: Mask8) -> Mask8:
    """min(255, 2 * mask): the seam lies in what was half masked, where nothing of the original need show through."""
    return mask.clip(max=127) * 2 + (mask > 127)


def _like(pixels: Picture, drawn: Picture) -> Picture:
    """Cut to the drawn size: sizes that are no multiple of eight come out of the latent smaller."""
    return pixels if pixels.shape[:2] == drawn.shape[:2] else resample(pixels, drawn.shape[1], drawn.shape[0])
