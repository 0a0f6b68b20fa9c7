"""What an img2img job starts from: its picture, extended, masked, and brought to the job's size."""

from __future__ import annotations

import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.files import LIMIT_PIXELS
from gpu_worker.engine.images.geometry import fit
from gpu_worker.engine.images.inpaint import PreparedInpaint, prepare
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.engine.images.outpaint import extended
from gpu_worker.protocol.specs import Img2Img, Mask

__all__ = ["LATENT_RESIZE", "canvas_of"]

LATENT_RESIZE = "Just resize (latent upscale)"
ENCODED_MAX_PIXELS = 2048 * 2048
"""Of a picture that is encoded as it came."""


def canvas_of(picture: Picture, mask: Mask8 | None, spec: Img2Img) -> PreparedInpaint:
    """`mask` as uploaded, of any size. Without one, and without new canvas, all of the picture is drawn again."""
    wish = spec.mask
    if spec.extend is not None:
        picture, mask, wish = _extended(picture, mask, spec)
    if mask is None or wish is None:
        whole = spec.resize_mode == LATENT_RESIZE
        if whole and picture.shape[0] * picture.shape[1] > ENCODED_MAX_PIXELS:
            detail = {"reason": "source_picture", "limit_px": ENCODED_MAX_PIXELS}
            raise EngineError("bad_input", f"a picture of {picture.shape} encoded at its own size", detail)
        resized = picture if whole else fit(picture, spec.width, spec.height, spec.resize_mode)
        return PreparedInpaint(resized, None, lambda drawn: drawn)
    return prepare(picture, mask, wish, spec.width, spec.height, spec.resize_mode)


def _extended(picture: Picture, mask: Mask8 | None, spec: Img2Img) -> tuple[Picture, Mask8, Mask]:
    """A mask that came along is laid on the picture's own part of the canvas.

    The spec's size is the canvas', so what its sides leave is the picture's: a larger or smaller one is brought to that
    first. Otherwise a side of 128 would be a narrow strip beside a photo of 4000.
    """
    assert spec.extend is not None, "asked before"
    extend = spec.extend
    inner = spec.width - extend.left - extend.right, spec.height - extend.top - extend.bottom
    if min(inner) > 0 and inner != (picture.shape[1], picture.shape[0]):
        mode = "Just resize" if spec.resize_mode == LATENT_RESIZE else spec.resize_mode
        mask = mask if mask is None else fit(fit(mask, picture.shape[1], picture.shape[0], "Just resize"), *inner, mode)
        picture = fit(picture, *inner, mode)
    height, width = picture.shape[0] + extend.top + extend.bottom, picture.shape[1] + extend.left + extend.right
    if height * width > LIMIT_PIXELS:
        detail = {"reason": "size", "width": width, "height": height, "limit_px": int(LIMIT_PIXELS**0.5)}
        raise EngineError("bad_input", f"a canvas of {width} x {height}", detail)
    grown = extended(picture, extend)
    wish = spec.mask or Mask(image=spec.image)
    if mask is None:
        return grown.canvas, grown.mask, wish
    own = fit(mask, picture.shape[1], picture.shape[0], "Just resize")
    own = 255 - own if wish.invert else own
    painted = np.zeros_like(grown.mask)
    painted[extend.top : extend.top + own.shape[0], extend.left : extend.left + own.shape[1]] = own
    return grown.canvas, np.maximum(grown.mask, painted), wish.model_copy(update={"invert": False})
