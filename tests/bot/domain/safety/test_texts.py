"""Everything in a spec that steers pictures is found, whatever part of it holds it."""

from bot.domain.safety.texts import given_refs, steering_of
from gpu_worker.protocol.specs import (
    ControlUnit,
    ConvertSpec,
    DetailFix,
    Hires,
    ImageRef,
    Img2Img,
    Mask,
    RenderedSource,
    Texts,
    Txt2Img,
    Upscale,
)

REF = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=1)
BASE = {"checkpoint": "m", "width": 64, "height": 64, "seed": 1}


def test_prompts_of_every_pass_are_read_together():
    source = Txt2Img(prompt="a source", **BASE)
    hires = Hires(prompt="second", negative_prompt="blur", checkpoint="other", source=RenderedSource(spec=source))
    found = steering_of(Txt2Img(prompt="first", negative_prompt="bad", hires=hires, **BASE))
    assert found.whole == ["first , second , a source"]
    assert found.parts == ["first", "second", "a source"]
    assert sorted(found.away) == ["bad", "blur"]
    assert sorted(found.names) == ["m", "m", "other"]


def test_pictures_with_texts_of_their_own_are_read_apart():
    texts = (Texts(prompt="a child in a park"), Texts(prompt="a woman in a bikini", negative_prompt="fog"))
    spec = Txt2Img(prompt="a child in a park", texts=texts, count=2, hires=Hires(prompt="sun"), **BASE)
    found = steering_of(spec)
    assert found.whole == ["a child in a park , sun", "a woman in a bikini , sun"]
    assert found.away == ["fog"]


def test_what_finds_are_drawn_with_is_read_as_it_is_put_together():
    units = (
        DetailFix(model="faces", prompt="[PROMPT]ild, smiling [SEP] old"),
        DetailFix(model="hands", prompt="a ring"),
    )
    spec = Txt2Img(prompt="a ch", details=units, **BASE)
    shared = "[PROMPT]ild, smiling [SEP] old , a ring"
    assert steering_of(spec).whole == [f"a ch , {shared}", f"a child, smiling , {shared}", f"old , {shared}"]


def test_a_model_files_preview_is_a_drawing():
    spec = ConvertSpec(model="m", output="o", preview=Txt2Img(prompt="a view", **BASE))
    assert steering_of(spec).whole == ["a view"]
    assert steering_of(ConvertSpec(model="m", output="o")).whole == [""]


def test_given_pictures_are_found_and_masks_are_none():
    spec = Img2Img(prompt="x", image=REF, mask=Mask(image=REF.model_copy(update={"ref": "mask"})), **BASE)
    assert [ref.ref for ref in given_refs(spec)] == [REF.ref]
    assert [ref.ref for ref in given_refs(Upscale(image=REF))] == [REF.ref]
    assert list(given_refs(Txt2Img(prompt="x", **BASE))) == []


def test_control_pictures_are_given_ones_and_their_masks_are_not():
    mask = REF.model_copy(update={"ref": "input:" + "1" * 64})
    units = (ControlUnit(model="c", image=REF, mask=mask), ControlUnit(model="c"))
    assert [ref.ref for ref in given_refs(Txt2Img(prompt="x", control=units, **BASE))] == [REF.ref]
