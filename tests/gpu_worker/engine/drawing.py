"""Specs, hooks and eyes for the drawing tests."""

import hashlib
import io

import numpy as np
from PIL import Image

from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Img2Img, Txt2Img


class Recorder:
    """Hooks that remember; `cancel_at` is the number of progress calls after which the job is cancelled."""

    def __init__(self, *, hz=0.0, cancel_at=None, pictures=None):
        self.preview = PreviewWish(hz=hz)
        self.calls = []
        self.previews = []
        self._cancel_at = cancel_at
        self._pictures = pictures or {}

    def progress(self, phase, step, of, preview):
        self.calls.append((phase, step, of))
        if preview is not None:
            self.previews.append(preview)

    def cancelled(self):
        return self._cancel_at is not None and len(self.calls) >= self._cancel_at

    def open_image(self, ref):
        return self._pictures[ref.ref]


def spec(**changes):
    """The demo's best settings at few steps; tests that judge the picture ask for 20."""
    values = {
        "prompt": "a red apple on a blue background", "checkpoint": "pincel-demo", "width": 128, "height": 128,
        "steps": 4, "cfg_scale": 5, "sampler": "DPM++ 2M", "schedule": "Karras", "seed": 1,
    }  # fmt: skip
    return Txt2Img(**(values | changes))


def draw(engine, hooks=None, **changes):
    return engine.draw(spec(**changes), hooks or Recorder())


def pixels(drawn):
    return np.asarray(Image.open(io.BytesIO(drawn.png)).convert("RGB")).astype(int)


def ref_to(png, name="picture"):
    return ImageRef(ref=name, sha256=hashlib.sha256(png).hexdigest(), mime="image/png", size_bytes=len(png))


def border_colour(drawn):
    """Median of the outer eighth."""
    image = pixels(drawn)
    edge = image.shape[0] // 8
    mask = np.ones(image.shape[:2], bool)
    mask[edge:-edge, edge:-edge] = False
    return np.median(image[mask], axis=0)


def centre_colour(drawn):
    """Median of the inner third."""
    image = pixels(drawn)
    third = image.shape[0] // 3
    return np.median(image[third:-third, third:-third].reshape(-1, 3), axis=0)


def borrowed(engine, name="pincel-demo"):
    """The loaded checkpoint itself, as long as the block lasts."""
    return engine.builder.cache.borrow(engine.builder.finder.find("checkpoint", name))


def drawn_over(engine, source, mask=None, *, mask_options=None, hooks=None, **changes):
    """img2img of a drawn picture, with a mask of uint8 [h, w]."""
    pictures = {"picture": source.png}
    values = spec().model_dump(exclude={"kind", "hires"}) | {"image": ref_to(source.png)} | changes
    if mask is not None:
        target = io.BytesIO()
        Image.fromarray(mask).save(target, "PNG")
        pictures["mask"] = target.getvalue()
        values["mask"] = {"image": ref_to(pictures["mask"], "mask"), **(mask_options or {})}
    return engine.draw(Img2Img.model_validate(values), hooks or Recorder(pictures=pictures))
