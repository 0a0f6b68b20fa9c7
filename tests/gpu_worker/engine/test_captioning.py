"""Captions for many pictures, by a real tagger file."""

import hashlib
import io

import pytest
from PIL import Image

from gpu_worker.convert.captioning import PART_PICTURES, captioned
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.protocol.results import Captions, Description, Tag
from gpu_worker.protocol.specs import Caption, CaptionPicture, ImageRef
from gpu_worker.task import InputLostError
from gpu_worker.workshop import Workshop
from tests.gpu_worker.engine.small_tagger import write_tagger


class Desk:
    """The hooks of a job: its pictures by their address, and what it has handed over."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.told, self.parts, self.opened = [], {}, []
        self.stop_after = None

    def progress(self, phase, step, of, preview):
        self.told.append((phase, step, of))

    def cancelled(self):
        return self.stop_after is not None and len(self.opened) >= self.stop_after

    def open_image(self, ref):
        self.opened.append(ref.ref)
        if self.pictures.get(ref.ref) is None:
            raise InputLostError(ref.ref)
        return self.pictures[ref.ref]

    def part(self, number):
        return self.parts.get(number)

    def keep(self, number, data, state=None):
        self.parts[number] = data


def png(colour):
    out = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(out, "PNG")
    return out.getvalue()


def asked(pictures, **values):
    given = [
        CaptionPicture(
            id=f"id{name}",
            image=ImageRef(
                ref=name, sha256=hashlib.sha256(data or b"").hexdigest(), mime="image/png",
                size_bytes=max(1, len(data or b"")),
            ),
        )
        for name, data in pictures.items()
    ]  # fmt: skip
    return Caption(pictures=tuple(given), tagger="small", **values), Desk(pictures)


@pytest.fixture
def workshop(tmp_path):
    write_tagger(tmp_path / "models" / "taggers" / "small")
    engine = Engine(models_dir=tmp_path / "models", demo_dir=tmp_path / "none")
    yield Workshop(engine)
    engine.close()


def said(workshop, spec, desk):
    (text,) = workshop.draw(spec, desk)
    return Captions.model_validate_json(text.json).pictures


def test_one_broken_picture_does_not_fail_the_others(workshop):
    spec, desk = asked({"a": png("red"), "b": b"no picture", "c": None, "d": png("lime")})
    found = said(workshop, spec, desk)
    assert [(one.id, one.caption, one.problem) for one in found] == [
        ("ida", "mostly red", None), ("idb", "", "unreadable"), ("idc", "", "gone"), ("idd", "mostly green", None),
    ]  # fmt: skip
    assert found[0].scores == (1.0,)
    assert desk.told[0] == ("tagging", 0, 4)
    assert desk.told[-1] == ("tagging", 4, 4)


def test_a_worker_that_dies_writes_only_the_last_ones_again(workshop):
    pictures = {str(number): png("red") for number in range(PART_PICTURES + 3)}
    spec, desk = asked(pictures)
    desk.stop_after = PART_PICTURES + 1
    with pytest.raises(DrawingCancelled):
        workshop.draw(spec, desk)
    desk.stop_after, desk.opened = None, []
    found = said(workshop, spec, desk)
    assert [one.id for one in found] == [f"id{name}" for name in pictures]
    assert desk.opened == [str(number) for number in range(PART_PICTURES, PART_PICTURES + 3)]


def test_a_part_of_other_pictures_is_not_taken_for_this_one(workshop):
    spec, desk = asked({str(number): png("red") for number in range(PART_PICTURES + 1)})
    desk.parts[0] = Captions().model_dump_json().encode()
    assert len(said(workshop, spec, desk)) == PART_PICTURES + 1


def test_a_tagger_that_is_not_there(workshop):
    spec, desk = asked({"a": png("red")})
    with pytest.raises(EngineError) as caught:
        workshop.draw(spec.model_copy(update={"tagger": "none"}), desk)
    assert caught.value.kind == "missing_model"


SEEN = Description(
    general=(
        Tag(name="1girl", score=0.98), Tag(name="long_hair", score=0.9), Tag(name="^_^", score=0.5),
        Tag(name="smile", score=0.4), Tag(name="hat_(object)", score=0.36),
    ),
    character=(Tag(name="somebody", score=0.95),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "caption"),
    [
        ({}, "1girl, somebody, long hair, ^_^, smile, hat (object)"),
        ({"escape": True}, r"1girl, somebody, long hair, ^_^, smile, hat \(object\)"),
        ({"replace_underscore": False}, "1girl, somebody, long_hair, ^_^, smile, hat_(object)"),
        ({"alphabetical": True, "max_tags": 3}, "1girl, long hair, somebody"),
        ({"exclude_tags": ("smile", "1girl")}, "somebody, long hair, ^_^, hat (object)"),
        ({"additional_tags": ("mychar", "low")}, "mychar, low, 1girl, somebody, long hair, ^_^, smile, hat (object)"),
    ],
)
def test_from_scores_to_a_caption(values, caption):
    spec, _ = asked({"a": png("red")}, **values)
    text, scores = captioned(spec, SEEN)
    assert text == caption
    assert len(scores) == len(caption.split(", "))
