"""LoRAs change the picture while their job runs, and leave no trace."""

import pytest
import torch
from drawing import Recorder, draw, pixels, spec
from safetensors.torch import save_file

from gpu_worker.engine.engine import DrawingCancelled, EngineError
from gpu_worker.language.infotext import parse_infotext

TO_K = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "down_blocks.1.resnets.0.conv1"
MLP = "encoder.layers.0.mlp.fc1"


def kohya(name):
    return "lora_unet_" + name.replace(".", "_")


def factors(rank=2, seed=0, size=1.0):
    """One linear module, one 3x3 convolution, one 1x1 convolution and one text module, in kohya's naming."""
    dice = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=dice) * size

    text = "lora_te_text_model_" + MLP.replace(".", "_")
    return {
        f"{kohya(TO_K)}.lora_down.weight": random(rank, 96),
        f"{kohya(TO_K)}.lora_up.weight": random(64, rank),
        f"{kohya(TO_K)}.alpha": torch.tensor(1.0),
        f"{kohya(CONV)}.lora_down.weight": random(rank, 64, 3, 3),
        f"{kohya(CONV)}.lora_up.weight": random(96, rank, 1, 1),
        f"{kohya('down_blocks.0.attentions.0.proj_in')}.lora_down.weight": random(rank, 64),
        f"{kohya('down_blocks.0.attentions.0.proj_in')}.lora_up.weight": random(64, rank),
        f"{text}.lora_down.weight": random(rank, 96),
        f"{text}.lora_up.weight": random(384, rank),
    }


@pytest.fixture(scope="module", autouse=True)
def loras(models_dir):
    folder = models_dir / "loras"
    save_file(factors(), folder / "style.safetensors")
    peft = {
        f"unet.{TO_K}.lora_A.weight": factors()[f"{kohya(TO_K)}.lora_down.weight"],
        f"unet.{TO_K}.lora_B.weight": factors()[f"{kohya(TO_K)}.lora_up.weight"],
        f"unet.{TO_K}.alpha": torch.tensor(1.0),
    }
    save_file(peft, folder / "peft.safetensors")
    only = {key: value for key, value in factors().items() if key.startswith(kohya(TO_K))}
    save_file(only, folder / "only.safetensors")
    real_size = {
        f"{kohya(TO_K)}.lora_down.weight": torch.zeros(4, 768),
        f"{kohya(TO_K)}.lora_up.weight": torch.zeros(320, 4),
    }
    save_file(real_size, folder / "real.safetensors")
    save_file(
        {
            "lora_unet_elsewhere.lora_down.weight": torch.zeros(1, 2),
            "lora_unet_elsewhere.lora_up.weight": torch.zeros(2, 1),
        },
        folder / "foreign.safetensors",
    )
    (folder / "broken.safetensors").write_bytes(b"<html>")


def state(engine):
    checkpoint = engine._borrow(engine._checkpoint_file("pincel-demo"))
    parts = (checkpoint.unet, checkpoint.text_encoders[0].model)
    return [tensor.clone() for part in parts for tensor in part.state_dict().values()]


def same(before, after):
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def prompt(tags):
    return f"a red apple on a blue background{tags}"


def picture(engine, tags, **changes):
    return pixels(draw(engine, prompt=prompt(tags), **changes)[0])


def test_it_changes_the_picture_and_is_taken_out_bit_for_bit(engine):
    before, plain = state(engine), picture(engine, "")
    changed = picture(engine, "<lora:style:0.5>")
    assert (changed != plain).any()
    assert same(before, state(engine))
    assert (picture(engine, "") == plain).all()


def test_the_weights_are_those_of_the_formula(engine, monkeypatch):
    checkpoint = engine._borrow(engine._checkpoint_file("pincel-demo"))
    linear = checkpoint.unet.get_submodule(TO_K).weight
    conv = checkpoint.unet.get_submodule(CONV).weight
    text = checkpoint.text_encoders[0].model.get_submodule(MLP).weight
    start = [t.clone() for t in (linear, conv, text)]
    seen = []
    original = checkpoint.unet.forward
    monkeypatch.setattr(
        checkpoint.unet,
        "forward",
        lambda *a, **k: (seen.append([t.clone() for t in (linear, conv, text)]), original(*a, **k))[1],
    )
    draw(engine, prompt=prompt("<lora:style:0.25:0.5>"), steps=1)
    f = factors()
    down, up = f[f"{kohya(TO_K)}.lora_down.weight"], f[f"{kohya(TO_K)}.lora_up.weight"]
    torch.testing.assert_close(seen[0][0], start[0] + 0.5 * (1 / 2) * up @ down)
    down, up = f[f"{kohya(CONV)}.lora_down.weight"], f[f"{kohya(CONV)}.lora_up.weight"]
    torch.testing.assert_close(
        seen[0][1], start[1] + 0.5 * torch.einsum("orxy,rihw->oihw", up, down), atol=1e-5, rtol=1e-4
    )
    name = "lora_te_text_model_" + MLP.replace(".", "_")
    torch.testing.assert_close(
        seen[0][2], start[2] + 0.25 * f[f"{name}.lora_up.weight"] @ f[f"{name}.lora_down.weight"], atol=1e-5, rtol=1e-4
    )


def test_weight_zero_is_no_change_and_two_loras_add_up(engine):
    plain = picture(engine, "")
    assert (picture(engine, "<lora:style:0>") == plain).all()
    assert (picture(engine, "<lora:style:1><lora:style:1>") != picture(engine, "<lora:style:1>")).any()
    cancelled_out = picture(engine, "<lora:only:1:1><lora:peft:1:-1>")
    assert abs(cancelled_out - plain).max() <= 1


def test_peft_names_mean_the_same_modules(engine):
    assert (picture(engine, "<lora:peft:1>") == picture(engine, "<lora:only:1>")).all()


def test_it_is_taken_out_after_cancel_and_after_failure(engine, monkeypatch):
    before = state(engine)
    with pytest.raises(DrawingCancelled):
        engine.draw(spec(prompt=prompt("<lora:style:1>")), Recorder(cancel_at=3))
    assert same(before, state(engine))
    checkpoint = engine._borrow(engine._checkpoint_file("pincel-demo"))
    monkeypatch.setattr(checkpoint.unet, "forward", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        draw(engine, prompt=prompt("<lora:style:1>"))
    assert same(before, state(engine))


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
def test_a_lora_that_cannot_be_used_is_told_and_touches_nothing(engine, tag, kind, detail):
    before = state(engine)
    with pytest.raises(EngineError) as caught:
        draw(engine, prompt=prompt(f"<lora:style:1>{tag}" if kind == "bad_input" else tag))
    assert caught.value.kind == kind
    assert caught.value.detail.items() >= detail.items()
    assert same(before, state(engine))
