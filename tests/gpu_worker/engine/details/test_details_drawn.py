"""Details of a picture, found by an ONNX file written by hand and drawn once more by the demo."""

import shutil

import numpy as np
import pytest
from drawing import Recorder, draw, drawn_over, pixels, ref_to, spec

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.images.files import png_bytes
from gpu_worker.language.infotext import parse_generation_parameters
from gpu_worker.protocol.specs import DetailFix, Img2Img
from tests.gpu_worker.engine.details.detector_files import boxed, red_squares, saying

RED = 96, 128, 32, 64
"""Top, bottom, left and right of the one red cell, at the second of four columns and the last row."""


@pytest.fixture(scope="module")
def detectors(models_dir):
    folder = models_dir / "detectors"
    red_squares(folder / "red.onnx", names="{0: 'red'}")
    saying(folder / "two.onnx", boxed((8, 8, 40, 40, 0.9), (80, 80, 120, 120, 0.8)))
    saying(folder / "nothing.onnx", boxed())
    yield
    shutil.rmtree(folder)  # the folder of models is every test's


def grey(width=128, height=128):
    return np.random.default_rng(3).integers(90, 120, (height, width, 3), np.uint8)


def with_red():
    picture = grey()
    top, bottom, left, right = RED
    picture[top:bottom, left:right] = 250, 5, 5
    return picture


def fixed(engine, picture, *units, hooks=None, **changes):
    png = png_bytes(picture, "")
    values = spec().model_dump(exclude={"kind", "hires"}) | {"image": ref_to(png), "details_only": True} | changes
    hooks = hooks or Recorder(pictures={"picture": png})
    hooks._pictures = {"picture": png}
    return engine.draw(Img2Img.model_validate(values | {"details": units}), hooks)


def unit(model="red", **changes):
    return DetailFix(**({"model": model, "padding_px": 8, "steps": 4} | changes))


@pytest.mark.usefixtures("detectors")
class TestFinishedPictures:
    def test_only_what_was_found_changes(self, engine):
        picture = with_red()
        (drawn,) = fixed(engine, picture, unit(denoising_strength=0.9))
        after = pixels(drawn)
        assert after.shape == picture.shape
        changed = (after != picture).any(axis=2)
        top, bottom, left, right = RED
        around = np.zeros_like(changed)
        # Grown by 4 pixels, blurred with a kernel of 21.
        around[top - 13 : bottom, left - 13 : right + 13] = True
        assert not changed[~around].any()
        assert changed[top + 8 : bottom, left + 8 : right - 8].mean() > 0.9

    def test_at_strength_0_nothing_is_drawn(self, engine):
        hooks = Recorder()
        (drawn,) = fixed(engine, with_red(), unit(denoising_strength=0), hooks=hooks)
        assert np.array_equal(pixels(drawn), with_red())
        assert not [call for call in hooks.calls if call[0] == "looking"]

    def test_where_nothing_is_found_the_picture_stays(self, engine):
        (drawn,) = fixed(engine, grey(), unit())
        assert np.array_equal(pixels(drawn), grey())
        assert "ADetailer model: red.pt" in drawn.infotext

    def test_a_picture_keeps_its_size_whatever_that_is(self, engine):
        (drawn,) = fixed(engine, grey(250, 131), unit("two", mask_blur=0))
        assert pixels(drawn).shape == (131, 250, 3)
        assert (pixels(drawn) != grey(250, 131)).any()

    def test_the_whole_picture_as_the_canvas(self, engine):
        (drawn,) = fixed(engine, grey(140, 131), unit("two", only_masked=False, denoising_strength=0.9))
        changed = (pixels(drawn) != grey(140, 131)).any(axis=2)
        assert changed.any()
        assert not changed[:, 66:70].any()

    def test_the_same_wish_gives_the_same_picture_and_another_seed_another(self, engine):
        first, second = fixed(engine, with_red(), unit(), count=2)
        (again,) = fixed(engine, with_red(), unit())
        assert first.png == again.png
        assert (pixels(first) != pixels(second)).any()
        assert second.seed == first.seed + 1

    def test_finds_count_their_seeds_up(self, engine):
        """The second find is drawn as if it were the only one of a picture with the next seed."""
        skipping = fixed(engine, grey(), unit("two", prompt="[SKIP] [SEP] a red apple", mask_blur=0, dilate=0))
        alone = fixed(engine, grey(), unit("two", prompt="a red apple", mask_blur=0, dilate=0, only_k=1), seed=2)
        assert np.array_equal(pixels(skipping[0]), pixels(alone[0]))

    def test_each_find_has_its_prompt(self, engine):
        same = fixed(engine, grey(), unit("two", prompt="a green tree [SEP] a blue door"))
        other = fixed(engine, grey(), unit("two", prompt="a green tree [SEP] a yellow sun"))
        changed = (pixels(same[0]) != pixels(other[0])).any(axis=2)
        assert not changed[:60, :60].any()
        assert changed[80:120, 80:120].any()

    def test_negative_prompts_are_parted_and_filled_in_as_well(self, engine):
        first, other, same = (
            fixed(engine, grey(), unit("two", negative_prompt=f"{text} [SEP] {second}"), negative_prompt="blurry")
            for text, second in (("[PROMPT], dark", "red"), ("[PROMPT], dark", "yellow"), ("blurry, dark", "red"))
        )
        changed = (pixels(first[0]) != pixels(other[0])).any(axis=2)
        assert not changed[:60, :60].any()
        assert changed[80:120, 80:120].any()
        assert np.array_equal(pixels(first[0]), pixels(same[0]))

    def test_progress_counts_the_finds(self, engine):
        hooks = Recorder(hz=1e6)
        fixed(engine, grey(), unit("two"), hooks=hooks)
        drawn = [(step, of) for phase, step, of in hooks.calls if phase.startswith("details")]
        named = [phase for phase, _, _ in hooks.calls if phase.startswith("details")]
        assert named == sorted(["details 1/2", "details 2/2"] * (len(named) // 2))
        assert len({of for _, of in drawn}) == 1
        assert [step for step, _ in drawn] == list(range(1, drawn[0][1] + 1))
        assert drawn[0][1] % 2 == 0
        assert hooks.previews
        assert any(phase == "looking" for phase, _, _ in hooks.calls)

    def test_a_cancelled_fix_ends(self, engine):
        hooks = Recorder(cancel_at=4)
        with pytest.raises(DrawingCancelled):
            fixed(engine, grey(), unit("two"), hooks=hooks)
        (drawn,) = draw(engine, width=64, height=64)
        assert pixels(drawn).shape == (64, 64, 3)


@pytest.mark.usefixtures("detectors")
class TestDrawings:
    def test_after_text_to_picture(self, engine):
        (plain,), (drawn,) = draw(engine), draw(engine, details=[unit("two", mask_blur=0, dilate=0)])
        changed = (pixels(plain) != pixels(drawn)).any(axis=2)
        assert changed[8:40, 8:40].any()
        assert changed[80:120, 80:120].any()
        assert not changed[:, 50:70].any()

    def test_unit_after_unit(self, engine):
        once = draw(engine, details=[unit("two")])
        twice = draw(engine, details=[unit("two"), unit("two", prompt="a green tree")])
        assert (pixels(once[0]) != pixels(twice[0])).any()
        fields = parse_generation_parameters(twice[0].infotext)
        assert fields["ADetailer model"] == "two.pt"
        assert fields["ADetailer prompt 2nd"] == "a green tree"

    def test_after_the_second_pass_of_a_hires_fix(self, engine):
        hires = {"scale": 1.5, "denoising_strength": 0.4, "steps": 3}
        (plain,) = draw(engine, width=64, height=64, hires=hires)
        (drawn,) = draw(engine, width=64, height=64, hires=hires, details=[unit("two")])
        assert pixels(drawn).shape == pixels(plain).shape == (96, 96, 3)
        assert (pixels(plain) != pixels(drawn)).any()

    def test_in_a_picture_that_is_partly_drawn_again_only_what_shows(self, engine):
        (source,) = draw(engine)
        mask = np.zeros((128, 128), np.uint8)
        mask[:60, :60] = 255
        plain, fixed = (
            drawn_over(engine, source, mask, mask_options={"blur": 0}, denoising_strength=0.5, details=details)[0]
            for details in ((), (unit("two"),))
        )
        changed = (pixels(plain) != pixels(fixed)).any(axis=2)
        assert changed[8:40, 8:40].any()
        assert not changed[62:, :].any()


@pytest.mark.usefixtures("detectors")
class TestRefusals:
    def test_a_detector_that_is_not_there(self, engine):
        with pytest.raises(EngineError) as caught:
            draw(engine, details=[unit("face_yolov8n")])
        assert caught.value.kind == "missing_model"
        assert caught.value.detail == {
            "detector": "face_yolov8n", "reason": "no_detector", "install": "detector-face",
        }  # fmt: skip

    def test_faces_without_the_file_that_finds_them(self, engine):
        with pytest.raises(EngineError) as caught:
            draw(engine, details=[unit("retinaface")])
        assert caught.value.detail == {"face": "detection_Resnet50_Final.pth"}

    def test_a_class_that_the_detector_does_not_know(self, engine):
        with pytest.raises(EngineError) as caught:
            fixed(engine, with_red(), unit(classes="red, cat"))
        assert caught.value.detail == {"detector": "red", "reason": "detector_classes", "classes": "red"}
        (drawn,) = fixed(engine, with_red(), unit(classes="RED"))
        assert (pixels(drawn) != with_red()).any()
        (drawn,) = fixed(engine, with_red(), unit(classes="1"))
        assert np.array_equal(pixels(drawn), with_red())
