"""Units of detail fix: what people call them, what they name, what they cost, and what their lines say."""

import pytest

from bot.domain.detail_fixes import detail_changes, find_detector, known_units, plain_fixes, read_fixes, unit_line
from bot.domain.detail_forms import read_drawing, read_finding, read_mask, size_of
from bot.domain.job import work_units
from bot.domain.limits import Limits
from bot.domain.models import DISABLED
from bot.domain.named_models import models_of
from bot.domain.safety.texts import steering_of
from bot.errors import UserFacingError
from bot.studio.safety.amounts import wanted_of
from gpu_worker.language.detectors import detail_prompts, wanted_classes
from gpu_worker.language.infotext import parse_generation_parameters
from gpu_worker.language.parameters import drawing_from_infotext
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import DetailFix, ImageRef, Img2Img, Txt2Img

FACTS = (
    ModelFact(kind="detector", name="my_faces"),
    ModelFact(kind="detector", name="hand_yolov8n"),
    ModelFact(kind="detector", name="locked", problem=DISABLED),
    ModelFact(kind="face", name="detection_Resnet50_Final"),
)
IMAGE = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=9)


def spec(*units, **changes):
    values = {"prompt": "a crowd", "checkpoint": "x", "width": 512, "height": 512, "seed": 1, "details": units}
    return Txt2Img(**(values | changes))


def refusal(call, *args):
    with pytest.raises(UserFacingError) as caught:
        call(*args)
    return caught.value


class TestNames:
    def test_words_find_the_first_detector_of_that_kind(self):
        assert find_detector("Faces", FACTS) == "my_faces"
        assert find_detector("HAND", FACTS) == "hand_yolov8n"
        assert find_detector("face", FACTS[1:]) == "retinaface"
        assert find_detector("retinaface", FACTS) == "retinaface"

    def test_what_is_not_there_names_its_install_or_what_is_near(self):
        assert refusal(find_detector, "person", FACTS).values == {"install": "detector-person"}
        assert refusal(find_detector, "face_yolov8s", ()).values == {"install": "detector-face-s"}
        assert refusal(find_detector, "locked", FACTS).key == "model_disabled"
        assert "my" in refusal(find_detector, "my_face", FACTS).values["closest"]

    def test_what_a_line_says_is_read_back(self):
        units = read_fixes("hands, my_faces, hand", FACTS)
        assert [unit.model for unit in units] == ["hand_yolov8n", "my_faces", "hand_yolov8n"]
        assert plain_fixes(units) == "hand_yolov8n, my_faces, hand_yolov8n"
        assert read_fixes(plain_fixes(units[:2]), FACTS) == units[:2]
        assert plain_fixes((DetailFix(model="my_faces", steps=9),)) is None
        assert plain_fixes(()) is None
        assert read_fixes("off", FACTS) == ()


class TestWhatASpecHolds:
    def test_rules_are_asked_about_the_detector_and_what_its_words_name(self):
        found = models_of(
            spec(DetailFix(model="my_faces", prompt="<lora:old:1> a face"), DetailFix(model="retinaface"))
        )
        assert ("detector", "my_faces") in found
        assert ("face", "detection_Resnet50_Final") in found
        assert ("lora", "old") in found

    def test_its_words_are_judged(self):
        steering = steering_of(spec(DetailFix(model="x", prompt="wise words", negative_prompt="foolish words")))
        assert "wise words" in " ".join(steering.whole)
        assert "foolish words" in steering.away

    def test_it_costs_something_and_nothing_where_nothing_is_drawn(self):
        plain = work_units(spec())
        assert work_units(spec(DetailFix(model="x"))) > plain
        assert work_units(spec(DetailFix(model="x", denoising_strength=0))) == plain
        assert work_units(spec(DetailFix(model="x"), count=3)) == pytest.approx(
            3 * work_units(spec(DetailFix(model="x")))
        )
        values = spec(DetailFix(model="x")).model_dump(exclude={"kind", "hires"}) | {"image": IMAGE}
        alone = Img2Img(**values, details_only=True)
        assert 0 < work_units(alone) < plain

    @pytest.mark.parametrize(
        "changes", [{"width": 64}, {"width": 8, "height": 8}, {"min_ratio": 0.5, "max_ratio": 0.1}, {"most": 0}]
    )
    def test_what_cannot_be_is_refused(self, changes):
        with pytest.raises(ValueError, match=r"drawn at|no box|greater than"):
            DetailFix(model="x", **changes)


def test_sizes_and_steps_of_finds_are_bounded_as_those_of_pictures():
    small = Limits(max_side_px=1024, max_pixels=1024 * 768)
    assert size_of("768x1024", small) == (768, 1024)
    for text in ("1032", "1024x1024"):
        with pytest.raises(UserFacingError) as caught:
            size_of(text, small)
        assert caught.value.key == "detail_size"
    (unit,), _ = known_units([{"model": "my_faces", "width": 1024, "height": 1024, "steps": 9}], FACTS, small)
    assert unit == DetailFix(model="my_faces", steps=9)
    wanted = wanted_of(spec(DetailFix(model="x", width=640, height=1024, steps=99)), lambda *_: 1.0)
    assert (wanted.side_px, wanted.steps) == (1024, 99)
    assert wanted_of(spec(), lambda *_: 1.0).steps == 20


def test_prompts_of_finds():
    assert detail_prompts("", "a crowd") == ("a crowd",)
    assert detail_prompts("[PROMPT], smiling [SEP] [SKIP][SEP]old", "a crowd") == ("a crowd, smiling", None, "old")
    assert detail_prompts("a [SEP] ", "a crowd") == ("a", "a crowd")
    assert len(detail_prompts("[SEP]" * 500, "x")) == 32
    assert detail_prompts("a [PROMPT]", "x" * 6000) == ("a " + "x" * 6000,)
    (text,) = detail_prompts("[PROMPT]" * 500, "x" * 6000)
    assert text is not None
    assert len(text) == 10_000, "no bomb"


def test_classes_by_name_and_number():
    assert wanted_classes("", ("cat",)) == frozenset()
    assert wanted_classes(" Dog, 3 ,cat", ("cat", "dog")) == {0, 1, 3}
    assert wanted_classes("bird", ("cat", "dog")) is None
    assert wanted_classes("99999999", ("cat",)) is None


def test_lines_say_what_is_not_as_usual():
    assert unit_line(DetailFix(model="my_faces")) == "my_faces, denoise 0.4"
    line = unit_line(DetailFix(model="x", denoising_strength=0.6, prompt="a\nb", only_masked=False))
    assert "denoise 0.6" in line
    assert "\n" not in line


def test_changes_are_told_by_unit():
    one, two = DetailFix(model="x"), DetailFix(model="x", steps=12)
    assert detail_changes((one,), (two, one)) == [("Detail 1 steps", "0", "12"), ("Detail 2", "", "x")]
    assert detail_changes((one,), ()) == [("Detail 1", "x", "")]


def test_emptied_fields_are_the_defaults():
    usual = DetailFix(model="x")
    changed = DetailFix(
        model="x", confidence=0.9, dilate=9, x_offset=9, width=64, height=64, cfg_scale=3, sampler="DDIM"
    )
    assert read_finding(read_mask(read_drawing(changed, {}), {}), {}) == usual


@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ("ADetailer model: mediapipe_face_full", {"model": "retinaface"}),
        ("ADetailer model: my faces.onnx, ADetailer sampler: DPM++ 2M Karras, ADetailer use separate sampler: True",
         {"model": "my faces", "sampler": "DPM++ 2M Karras"}),
        ("ADetailer model: a.pt, ADetailer scheduler: Use same scheduler, ADetailer inpaint only masked: False",
         {"model": "a", "only_masked": False}),
        ("ADetailer model: a.pt, ADetailer dilate erode: 900", {"model": "a", "dilate": 128}),
        ("ADetailer model: a.pt, ADetailer sampler: nobody's", {"model": "a"}),
    ],
)  # fmt: skip
def test_texts_of_adetailer(line, unit):
    fields = parse_generation_parameters(f"a cat\nSteps: 20, Sampler: Euler a, Seed: 5, Size: 512x512, {line}")
    values, _ = drawing_from_infotext(fields, "x")
    assert [DetailFix(**each) for each in values["details"]] == [DetailFix(**unit)]


def test_a_text_of_a_picture_whose_details_alone_were_fixed_asks_for_a_picture():
    text = "a\nSteps: 20, Sampler: Euler a, Seed: 5, Size: 512x512, ADetailer model: a.pt, Details only: True"
    values, notes = drawing_from_infotext(parse_generation_parameters(text), "x")
    assert values["kind"] == "img2img"
    assert values["details_only"]
    assert [note.reason for note in notes] == ["picture_needed"]
