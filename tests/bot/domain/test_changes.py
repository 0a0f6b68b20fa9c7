"""What a request does differently, and the LoRA tags of a prompt as a list."""

import pytest

from bot.domain.changes import Change, Words, changed_wishes, changes
from bot.domain.lora_tags import LoraTag, loras_of, with_loras, with_weights, without_loras
from gpu_worker.protocol.specs import Hires, ImageRef, Img2Img, Mask, Txt2Img, Variation

BASE = Txt2Img(
    prompt="a cat, blue hat <lora:ink:0.8>", checkpoint="m", width=512, height=512, seed=1, steps=20, cfg_scale=7,
    sampler="DPM++ 2M", schedule="Karras",
)  # fmt: skip
IMAGE = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=9)


def with_(spec=BASE, **update):
    return spec.model_copy(update=update)


def test_a_request_is_like_itself():
    assert changes(BASE, BASE) == []
    assert vars(changed_wishes(BASE, BASE)) == vars(type(changed_wishes(BASE, BASE))())


@pytest.mark.parametrize(
    ("update", "change"),
    [
        ({"steps": 30}, Change("Steps", "20", "30")),
        ({"cfg_scale": 5.5}, Change("CFG scale", "7", "5.5")),
        ({"width": 768}, Change("Size", "512×512", "768×512")),
        ({"sampler": "Euler a", "schedule": "Automatic"}, Change("Sampler", "DPM++ 2M Karras", "Euler a")),
        ({"vae": "soft"}, Change("VAE", "", "soft")),
        ({"variations": (Variation(seed=3, strength=0.25),)}, Change("Variation", "", "0.25")),
        ({"prompt": "a cat, red hat <lora:ink:0.8>"}, Words("Prompt", ("red hat",), ("blue hat",))),
        ({"prompt": "blue hat, a cat <lora:ink:0.8>"}, Words("Prompt", (), ())),
        ({"prompt": "a cat, blue hat <lora:ink:0.5>"}, Change("LoRA ink", "0.8", "0.5")),
        ({"prompt": "a cat, blue hat"}, Change("LoRA ink", "0.8", "")),
    ],
)  # fmt: skip
def test_one_change_is_told_as_one(update, change):
    assert changes(BASE, with_(**update)) == [change]


def test_a_second_pass_and_a_picture_are_told_part_by_part():
    told = changes(BASE, with_(hires=Hires(scale=2, upscaler="4x", denoising_strength=0.4)))
    assert Change("Hires upscale", "", "2") in told
    assert Change("Hires upscaler", "", "4x") in told
    given = Img2Img(prompt=BASE.prompt, checkpoint="m", width=512, height=512, seed=1, image=IMAGE,
                    sampler="DPM++ 2M", schedule="Karras", mask=Mask(image=IMAGE))  # fmt: skip
    assert [change for change in changes(BASE, given) if change.after == "+"] == [
        Change("Picture", "", "+"), Change("Mask", "", "+")
    ]  # fmt: skip


def test_what_belongs_to_one_picture_is_not_remembered():
    new = with_(seed=5, steps=30, prompt="other", variations=(Variation(seed=3, strength=0.25),), tiling=True)
    wishes = changed_wishes(BASE, new)
    assert {name: wish for name, wish in vars(wishes).items() if wish is not None} == {"steps": 30, "tiling": True}


def test_loras_are_read_once_each():
    assert loras_of("a <lora:x> b <LYCO:y:0.5:0.2> <lora:x:0.3> <hypernet:z:1>") == (
        LoraTag("x", "0.3"), LoraTag("y", "0.5:0.2")
    )  # fmt: skip
    assert without_loras("a <lora:x:1> b <hypernet:z:1>") == "a b <hypernet:z:1>"


def test_loras_come_and_go_and_the_others_keep_their_place():
    assert with_loras("a <lora:x:0.3> b <lora:y:1>", ["x", "new"]) == "a <lora:x:0.3> b <lora:new:1>"
    assert with_loras("a <lora:x:0.3>", []) == "a"
    assert with_loras("a  b <lora:x:0.3>", ["x"]) == "a  b <lora:x:0.3>"


def test_weights_change_and_an_empty_one_takes_the_lora_out():
    assert with_weights("a <lora:x:1> <lora:y>", {"x": "0,5:0.2", "y": "-1"}) == "a <lora:x:0.5:0.2> <lora:y:-1>"
    assert with_weights("a <lora:x:1> <lora:y>", {"x": "", "y": "1"}) == "a <lora:y:1>"
