"""Control units under tiles: each sees its part, as an inpainting of that part by itself would."""

import io

import numpy as np
import pytest
from control_files import controlnet, save
from drawing import Recorder, draw, pixels, ref_to, spec
from PIL import Image

from gpu_worker.engine.images.geometry import resample
from gpu_worker.protocol.specs import Img2Img, Ultimate


@pytest.fixture(scope="module", autouse=True)
def tile_model(engine, models_dir):
    folder = models_dir / "controlnet"
    folder.mkdir(exist_ok=True)
    with engine._cache.borrow(engine.model_file("checkpoint", "pincel-demo")) as checkpoint:
        save(controlnet(checkpoint.unet, 1).state_dict(), folder / "demo-tile.safetensors")
    yield
    (folder / "demo-tile.safetensors").unlink()


def png(picture):
    target = io.BytesIO()
    Image.fromarray(np.asarray(picture).astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


def values(control, **more):
    own = spec(seed=3, steps=4, width=192, height=192).model_dump(exclude={"kind", "hires"})
    return own | {"control": control, "denoising_strength": 0.6} | more


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["the tile itself", "a picture of its own"])
def test_tiles_are_led_as_inpainting_is(engine, own):
    (source,) = draw(engine, steps=8, seed=21)
    led = png(Image.radial_gradient("L").convert("RGB").resize((200, 150)))
    pictures = {"picture": source.png, "led": led}
    unit = {
        "model": "demo-tile", "preprocessor": "none" if own else "tile_resample", "control_type": "Tile",
        "image": ref_to(led, "led") if own else None,
    }  # fmt: skip
    drawing = Img2Img.model_validate(values([unit], image=ref_to(source.png)))
    wish = Ultimate(drawing=drawing, width=256, height=256, tile_width=128, padding=16)
    (drawn,) = engine.draw(wish, Recorder(pictures=pictures))
    free = wish.model_copy(update={"drawing": drawing.model_copy(update={"control": ()})})
    (unled,) = engine.draw(free, Recorder(pictures=pictures))
    canvas = resample(pixels(source).astype(np.uint8), 256, 256)
    for left, top in ((0, 0), (128, 0), (0, 128), (128, 128)):
        mask = np.zeros((256, 256), np.uint8)
        mask[top : top + 129, left : left + 129] = 255
        pictures |= {"canvas": png(canvas), "mask": png(mask)}
        more = {
            "image": ref_to(pictures["canvas"], "canvas"),
            "mask": {"image": ref_to(pictures["mask"], "mask"), "blur": 8, "padding_px": 16, "only_masked": True},
        }
        (next_one,) = engine.draw(Img2Img.model_validate(values([unit], **more)), Recorder(pictures=pictures))
        canvas = pixels(next_one).astype(np.uint8)
    off = np.abs(pixels(drawn) - canvas).mean()
    # Its own picture is cut before it is enlarged, not after: that is less than a grey level.
    assert off <= (1 if own else 0)
    assert np.abs(pixels(unled) - canvas).mean() > 3 * max(off, 0.5)
