"""What the real engine makes passes the bot's inspection, and its texts stay to the letter."""

import hashlib

import pytest

from bot.inspection.expected import expected_pictures, how_many
from gpu_worker.looker.pictures import checked_picture
from gpu_worker.protocol.looking import LookAtPicture
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import (
    Extend,
    Hires,
    ImageRef,
    Img2Img,
    Mask,
    Preprocess,
    StoredSource,
    Txt2Img,
    Ultimate,
    Upscale,
)


class Quiet:
    preview = PreviewWish(hz=0)

    def __init__(self):
        self.pictures = {}

    def progress(self, *told): ...

    def cancelled(self):
        return False

    def open_image(self, ref):
        return self.pictures[ref.ref]

    def given(self, png):
        digest = hashlib.sha256(png).hexdigest()
        self.pictures[digest] = png
        return ImageRef(ref=digest, sha256=digest, mime="image/png", size_bytes=len(png))


@pytest.mark.slow
def test_what_the_engine_makes_is_what_the_bot_expects(engine, tmp_path):
    hooks = Quiet()
    checkpoint = next(fact.name for fact in engine.facts() if fact.kind == "checkpoint" and not fact.problem)

    def first(**fields):
        return Txt2Img(**{"prompt": "a (red:1.2) apple, größer", "negative_prompt": "blurry", "checkpoint": checkpoint,
                          "width": 128, "height": 64, "seed": 5, "steps": 1, **fields})  # fmt: skip

    drawn = engine.draw(first(count=2), hooks)
    source = hooks.given(drawn[0].png)

    def again(**fields):
        return Img2Img(**{**first().model_dump(exclude={"kind", "hires"}), "image": source, **fields})

    tasks = [
        first(count=2),
        first(hires=Hires(scale=1.5, denoising_strength=0.3)),
        first(hires=Hires(resize_width=200, resize_height=120)),
        first(hires=Hires(source=StoredSource(image=source))),
        again(width=64, height=128, resize_mode="Crop and resize"),
        again(mask=Mask(image=source)),
        again(mask=Mask(image=source, only_masked=True), width=64, height=64),
        again(width=192, height=128, extend=Extend(left=64, top=64)),
        Upscale(image=source, scale=2),
        Upscale(image=source, width=100, height=100),
        Preprocess(image=source, preprocessor="canny", width=128, height=128, fit=True),
        Preprocess(image=source, preprocessor="canny"),
        Ultimate(drawing=again(), width=256, height=128, tile_width=128, padding=8),
    ]
    for task in tasks:
        drawn = engine.draw(task, hooks)
        assert len(drawn) == how_many(task), task
        source_text = drawn[0].infotext if isinstance(task, Upscale) else ""
        expected = expected_pictures(task, [one.infotext for one in drawn], source_text)
        for one, wish in zip(drawn, expected, strict=True):
            assert one.infotext == wish.infotext, task
            assert one.seed == wish.seed or isinstance(task, Upscale), task
            (tmp_path / "p.png").write_bytes(one.png)
            width, height = wish.size or (0, 0)
            written = checked_picture(
                LookAtPicture(
                    source=str(tmp_path / "p.png"), target="", mime="image/png", width=width, height=height,
                    longest_px=wish.longest_px, limit_bytes=wish.limit_bytes, texts=wish.texts,
                )
            )  # fmt: skip
            assert (written.width, written.height) == (one.width, one.height), task
