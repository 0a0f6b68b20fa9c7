"""Taggers of the WD14 layout: what they are shown, what they say, and what is wrong with some."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.tagging.tagger import Taggers
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.results import Description
from gpu_worker.protocol.specs import Describe, ImageRef
from gpu_worker.workshop import Workshop
from tests.gpu_worker.engine.small_tagger import TABLE, write_tagger


def picture(colour, width=40, height=40):
    return np.full((height, width, 3), colour, np.uint8)


def file_of(path, stamp=None):
    return ModelFile(ModelFact(kind="tagger", name=path.parent.name), path, path, stamp=stamp)


def say(path, shown, *, general=0.0, character=0.0, taggers=None, check=lambda: None):
    return (taggers or Taggers()).describe(shown, file_of(path), general=general, character=character, check=check)


@pytest.mark.parametrize("channels_first", [False, True])
def test_blue_green_red_in_that_order(tmp_path, channels_first):
    path = write_tagger(tmp_path / "small", channels_first=channels_first)
    found = say(path, picture((255, 51, 0)))
    assert [(tag.name, round(tag.score, 2)) for tag in found.general] == [("mostly_red", 1.0), ("mostly_blue", 0.0)]
    assert [(tag.name, round(tag.score, 2)) for tag in found.character] == [("mostly_green", 0.2)]


def test_a_picture_that_is_not_square_lies_on_white(tmp_path):
    path = write_tagger(tmp_path / "small")
    found = say(path, picture((0, 0, 0), width=80, height=40))
    assert found.general[0].score == pytest.approx(0.5, abs=0.02)


def test_thresholds_and_ratings(tmp_path):
    table = TABLE.replace("mostly_blue,0", "explicit,9")
    path = write_tagger(tmp_path / "small", table=table)
    found = say(path, picture((255, 255, 255)))
    assert [tag.name for tag in (*found.general, *found.character)] == ["mostly_red", "mostly_green"]
    assert say(path, picture((100, 100, 100)), general=0.5, character=0.5) == Description()


def test_a_changed_file_is_read_anew_and_an_unchanged_one_kept(tmp_path):
    path = write_tagger(tmp_path / "small")
    taggers = Taggers()
    taggers.describe(picture(0), file_of(path, ("a",)), general=0, character=0, check=lambda: None)
    kept = taggers._loaded
    taggers.describe(picture(0), file_of(path, ("a",)), general=0, character=0, check=lambda: None)
    assert taggers._loaded is kept
    taggers.describe(picture(0), file_of(path, ("b",)), general=0, character=0, check=lambda: None)
    assert taggers._loaded is not kept


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (None, "no_tags"), ("", "bad_tags"), ("a,b\n1,2\n", "bad_tags"), (TABLE + "3,more,0,1\n", "bad_tags"),
        (TABLE.replace(",0,", ",x,"), "bad_tags"), (TABLE.replace("mostly_red", ""), "bad_tags"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit(tmp_path, table, problem):
    path = write_tagger(tmp_path / "small", table=table)
    with pytest.raises(EngineError) as caught:
        say(path, picture(0))
    assert (caught.value.kind, caught.value.detail["tagger"], caught.value.detail["problem"]) == (
        "bad_model", "small", problem,
    )  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"no onnx"])
def test_files_that_are_none(tmp_path, data):
    path = write_tagger(tmp_path / "small")
    path.write_bytes(data)
    with pytest.raises(EngineError) as caught:
        say(path, picture(0))
    assert caught.value.detail == {"tagger": "small", "problem": "corrupt"}


def test_a_cancel_is_seen(tmp_path):
    def check():
        raise DrawingCancelled

    with pytest.raises(DrawingCancelled):
        say(write_tagger(tmp_path / "small"), picture(0), check=check)


def test_taggers_in_one_folder_have_tables_of_their_own(tmp_path):
    path = write_tagger(tmp_path / "taggers")
    other = path.rename(path.with_name("colours.onnx"))
    other.with_suffix(".csv").write_text(TABLE.replace("mostly_", "all_"), encoding="utf-8")
    assert say(other, picture((255, 0, 0))).general[0].name == "all_red"


# --- as a task of the worker ------------------------------------------------------------------------------------------


class Asked:
    def __init__(self, data):
        self._data = data
        self.phases = []
        self.preview = None

    def progress(self, phase, step, of, preview):
        self.phases.append(phase)

    def cancelled(self):
        return False

    def open_image(self, ref):
        return self._data


def spec(data, tagger="small", **values):
    ref = ImageRef(ref="x", sha256=hashlib.sha256(data).hexdigest(), mime="image/png", size_bytes=max(1, len(data)))
    return Describe(image=ref, tagger=tagger, **values)


@pytest.fixture
def workshop(tmp_path):
    write_tagger(tmp_path / "models" / "taggers" / "small")
    engine = Engine(models_dir=tmp_path / "models", demo_dir=tmp_path / "none")
    yield Workshop(engine)
    engine.close()


def test_the_task(workshop):
    text = "a wall\nSteps: 4, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64"
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", text)
    out = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(out, "PNG", pnginfo=info)
    asked = Asked(out.getvalue())
    (said,) = workshop.draw(spec(out.getvalue(), general=0.7), asked)
    found = Description.model_validate(json.loads(said.json))
    assert [tag.name for tag in found.general] == ["mostly_red"]
    assert (found.width, found.height, found.infotext) == (64, 32, text)
    assert asked.phases == ["looking"]


@pytest.mark.parametrize(("data", "tagger", "kind"), [(b"x", "small", "bad_input"), (None, "none", "missing_model")])
def test_what_the_task_refuses(workshop, data, tagger, kind):
    if data is None:
        out = io.BytesIO()
        Image.new("RGB", (8, 8)).save(out, "PNG")
        data = out.getvalue()
    with pytest.raises(EngineError) as caught:
        workshop.draw(spec(data, tagger), Asked(data))
    assert caught.value.kind == kind
