"""LoRAs change the picture while their job runs, and leave no trace."""

import pytest
import torch
from drawing import Recorder, draw, pixels, spec
from networks import CONV, LINEAR, MLP, POINT, dice, kohya, lora
from safetensors.torch import save_file

from gpu_worker.engine.engine import DrawingCancelled, EngineError
from gpu_worker.language.infotext import parse_infotext

TEXT = "lora_te_text_model_" + MLP.replace(".", "_")


def style():
    """One linear module, one 3x3 convolution, one 1x1 convolution and one text module, in kohya's naming."""
    unet = lora(kohya(LINEAR), 64, 96, alpha=1.0) | lora(kohya(CONV), 96, (64, 3, 3)) | lora(kohya(POINT), 64, 64)
    return unet | lora(TEXT, 384, 96)


@pytest.fixture(scope="module", autouse=True)
def loras(models_dir):
    folder = models_dir / "loras"
    files = {
        "style": style(),
        "text": lora(TEXT, 384, 96),
        "twin": lora(kohya(LINEAR), 64, 96, alpha=1.0),
        "peft": {
            f"unet.{LINEAR}.lora_A.weight": lora("x", 64, 96)["x.lora_down.weight"],
            f"unet.{LINEAR}.lora_B.weight": lora("x", 64, 96)["x.lora_up.weight"],
            f"unet.{LINEAR}.alpha": torch.tensor(1.0),
        },
        "loha": {
            f"{kohya(LINEAR)}.hada_{name}": dice(*shape)
            for name, shape in (("w1_a", (64, 2)), ("w1_b", (2, 96)), ("w2_a", (64, 2)), ("w2_b", (2, 96)))
        },
        "real": lora(kohya(LINEAR), 320, 768),
        "foreign": lora("lora_unet_elsewhere", 2, 2),
    }
    for name, tensors in files.items():
        save_file(tensors, folder / f"{name}.safetensors")
    (folder / "broken.safetensors").write_bytes(b"<html>")


def prompt(tags):
    return f"a red apple on a blue background{tags}"


def picture(engine, tags):
    return pixels(draw(engine, prompt=prompt(tags), steps=2)[0])


@pytest.fixture(scope="module")
def plain(engine):
    return picture(engine, "")


def test_it_changes_the_picture_and_leaves_no_trace(engine, plain):
    changed = picture(engine, "<lora:style:0.5>")
    assert (changed != plain).any()
    assert (picture(engine, "<lora:loha:0.5>") != plain).any()
    assert (picture(engine, "<lora:style:0.5>") == changed).all()
    assert (picture(engine, "") == plain).all()


def test_weight_zero_is_no_change_and_opposites_cancel_out(engine, plain):
    assert (picture(engine, "<lora:style:0>") == plain).all()
    assert (picture(engine, "<lora:text:0:1>") == plain).all()
    assert (picture(engine, "<lora:text:1:0>") != plain).any()
    assert abs(picture(engine, "<lora:twin:1:1><lora:peft:1:-1>") - plain).max() <= 1


def test_peft_names_mean_the_same_modules(engine):
    assert (picture(engine, "<lora:peft:1>") == picture(engine, "<lora:twin:1>")).all()


def test_it_is_taken_out_after_a_cancelled_drawing(engine, plain):
    with pytest.raises(DrawingCancelled):
        engine.draw(spec(prompt=prompt("<lora:style:1>")), Recorder(cancel_at=3))
    assert (picture(engine, "") == plain).all()


def test_infotext_keeps_the_tag_and_names_the_hash(engine):
    (drawn,) = draw(engine, prompt=prompt("<lora:style:0.5>"))
    info = parse_infotext(drawn.infotext)
    assert info.prompt.endswith("<lora:style:0.5>")
    name, digest = info.fields["Lora hashes"].split(": ")
    assert (name, len(digest)) == ("style", 12)


@pytest.mark.parametrize(
    ("tag", "kind", "detail"),
    [
        ("<lora:nowhere:1>", "missing_model", {"lora": "nowhere"}),
        ("<lora:style:much>", "bad_input", {"lora": "style", "reason": "lora_tag"}),
        ("<lora:real:1>", "bad_input", {"lora": "real", "reason": "lora_misfit"}),
        ("<lora:foreign:1>", "bad_input", {"lora": "foreign", "reason": "lora_misfit"}),
        ("<hypernet:old:1>", "bad_input", {"network": "hypernet:old", "reason": "network_kind"}),
        ("<lora:broken:1>", "bad_model", {"lora": "broken", "problem": "corrupt"}),
    ],
)
def test_a_lora_that_cannot_be_used_is_told_and_touches_nothing(engine, plain, tag, kind, detail):
    with pytest.raises(EngineError) as caught:
        draw(engine, prompt=prompt(f"<lora:style:1>{tag}" if kind == "bad_input" else tag))
    assert caught.value.kind == kind
    assert caught.value.detail.items() >= detail.items()
    assert (picture(engine, "") == plain).all()
