"""The text of a picture that was enlarged tile by tile: what was done, and what can be drawn after it."""

from gpu_worker.language.infotext import build_infotext, parse_generation_parameters
from gpu_worker.language.parameters import drawing_from_infotext
from gpu_worker.language.ultimate_fields import ultimate_fields
from gpu_worker.protocol.specs import ImageRef, Img2Img, Ultimate

PICTURE = ImageRef(ref="a", sha256="0" * 64, mime="image/png", size_bytes=1)
DRAWING = Img2Img(prompt="a tower", checkpoint="demo", seed=1, image=PICTURE, width=512, height=512)


def test_a_text_of_8192_pixels_draws_the_picture_that_was_enlarged():
    spec = Ultimate(drawing=DRAWING, width=8192, height=8192, seams="band pass", redraw="chess")
    fields = {"Steps": 20, "Sampler": "Euler", "Seed": 1, "Denoising strength": 0.3, "Init image hash": "0" * 10}
    text = build_infotext("a tower", "", fields | ultimate_fields(spec))
    assert "Ultimate SD upscale type: chess" in text
    assert "Ultimate SD upscale seams fix width: 64" in text
    values, notes = drawing_from_infotext(parse_generation_parameters(text), "demo")
    assert (values["kind"], values["prompt"], values["seed"]) == ("txt2img", "a tower", 1)
    assert "width" not in values
    assert notes == []


def test_only_what_was_done_is_told():
    fields = ultimate_fields(Ultimate(drawing=DRAWING, width=1024, height=1024, tile_width=0, tile_height=768))
    assert fields["Ultimate SD upscale tile_width"] == 768
    assert {key for key, value in fields.items() if value is None} == {
        f"Ultimate SD upscale {key}"
        for key in (
            "type", "seams fix", "seams fix denoise", "seams fix width", "seams fix mask_blur", "seams fix padding",
        )
    }  # fmt: skip
