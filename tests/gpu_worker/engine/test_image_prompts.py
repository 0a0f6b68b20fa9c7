"""Pictures as prompts: diffusers computes the same, jobs beside it do not notice, and nothing of it stays."""

import copy

import numpy as np
import pytest
import torch
from drawing import Recorder, draw, pixels, ref_to, spec
from image_prompt_files import PROJECTIONS, attention, encoder, write_adapter, write_encoder
from PIL import Image
from transformers import CLIPImageProcessor

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.image_prompts.adapter import load_adapter
from gpu_worker.engine.image_prompts.attention import AppliedImages, image_processors
from gpu_worker.engine.image_prompts.book import ImagePromptBook
from gpu_worker.engine.image_prompts.vision import load_encoder, prepared
from gpu_worker.engine.images.files import png_bytes
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import ImagePrompt, ImagePrompts


@pytest.fixture(scope="module")
def unet(engine):
    with engine._cache.borrow(engine.model_file("checkpoint", "pincel-demo")) as checkpoint:
        yield checkpoint.unet


@pytest.fixture(scope="module", autouse=True)
def files(models_dir, unet):
    for folder in ("controlnet", "annotators"):
        (models_dir / folder).mkdir(exist_ok=True)
    for kind in PROJECTIONS:
        write_adapter(models_dir / "controlnet" / f"ip-{kind}.safetensors", unet, kind)
    write_adapter(models_dir / "controlnet" / "ip-pickle.bin", unet)
    write_adapter(models_dir / "controlnet" / "ip-foreign.safetensors", unet, context=32)
    write_encoder(models_dir / "annotators" / "clip.safetensors")
    yield models_dir
    for name in ("controlnet", "annotators"):
        for file in (models_dir / name).iterdir():
            file.unlink()


def picture(colour="red", size=(90, 60)):
    image = Image.new("RGB", size, colour)
    image.paste("white", (10, 10, 40, 30))
    return np.asarray(image)


def prompts(*colours, adapter="ip-plain", weight=1.0, **more):
    """The wish, and the hooks that hand its pictures out."""
    found = {colour: png_bytes(picture(colour), "") for colour in colours}
    refs = tuple(ImagePrompt(image=ref_to(png, name), weight=weight) for name, png in found.items())
    return ImagePrompts(adapter=adapter, pictures=refs, **more), Recorder(pictures=found)


def drawn(engine, *colours, steps=3, **more):
    wish, hooks = prompts(*colours, **more)
    return pixels(draw(engine, hooks, image_prompts=wish, steps=steps)[0])


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_diffusers_computes_the_same(unet, files, engine, kind):
    adapter = load_adapter(files / "controlnet" / f"ip-{kind}.safetensors", kind)
    book = ImagePromptBook(engine._scan, engine._device)
    tokens = book.tokens(adapter, [picture("red"), picture("blue")], lambda: None)
    x, context = torch.randn(2, 4, 16, 16), torch.randn(2, 77, 96)
    ours = copy.deepcopy(unet)
    ours.set_attn_processor(image_processors(ours, AppliedImages(adapter, (0.7, 0.3)), "demo"))
    theirs = copy.deepcopy(unet)
    theirs._load_ip_adapter_weights(
        [{"image_proj": PROJECTIONS[kind](), "ip_adapter": attention(unet)}] * 2, low_cpu_mem_usage=False
    )
    for processor in theirs.attn_processors.values():
        if hasattr(processor, "to_k_ip"):
            processor.scale = [0.7, 0.3]
    with torch.no_grad():
        model = encoder()
        embeds = []
        for colour in ("red", "blue"):
            seen = model(torch.from_numpy(prepared(picture(colour), 32))[None], output_hidden_states=True)
            embeds.append(seen.image_embeds if kind == "plain" else seen.hidden_states[-2])
        blank = model(torch.zeros(1, 3, 32, 32), output_hidden_states=True).hidden_states[-2]
        nothing = torch.zeros_like(embeds[0]) if kind == "plain" else blank
        # Row 0 sees nothing, as under the negative prompt; row 1 the pictures.
        given = [torch.stack([nothing, each]) for each in embeds]
        wanted = theirs(x, torch.tensor([500]), context, added_cond_kwargs={"image_embeds": given})[0]
        pair = [torch.cat([no, yes]) for no, yes in zip(tokens.nothing, tokens.pictures, strict=True)]
        got = ours(x, torch.tensor([500]), (context, pair))[0]
        plain = unet(x, torch.tensor([500]), context)[0]
    assert torch.allclose(got, wanted, atol=1e-4)
    assert not torch.allclose(got, plain, atol=1e-2)


def test_pictures_are_prepared_as_clip_does():
    reference = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    for size in ((90, 60), (60, 90), (32, 32), (33, 200)):
        made = picture(size=size)
        wanted = reference(Image.fromarray(made), return_tensors="np")["pixel_values"][0]
        assert np.allclose(prepared(made, 32), wanted, atol=0.02), size


def test_they_change_the_picture_and_leave_no_trace(engine, unet):
    before = dict(unet.attn_processors)
    plain = pixels(draw(engine, steps=3)[0])
    red, blue = drawn(engine, "red"), drawn(engine, "blue")
    assert (red != plain).any()
    assert (red != blue).any()
    assert unet.attn_processors == before
    assert (drawn(engine, "red", weight=0.0) == plain).all()
    assert (pixels(draw(engine, steps=3)[0]) == plain).all()
    assert (drawn(engine, "red") == red).all()


def test_a_pickle_of_the_same_weights_draws_the_same(engine):
    assert (drawn(engine, "red", adapter="ip-pickle") == drawn(engine, "red")).all()


def test_several_pictures_count_each_by_its_weight(engine):
    both = drawn(engine, "red", "blue", weight=0.5)
    assert (both != drawn(engine, "red", weight=0.5)).any()
    # A picture twice with half the weight is the picture.
    wish, hooks = prompts("red", weight=0.5)
    twice = wish.model_copy(update={"pictures": wish.pictures * 2})
    got = pixels(draw(engine, hooks, image_prompts=twice, steps=3)[0])
    assert np.abs(got - drawn(engine, "red")).max() <= 2


def test_they_count_in_their_share_of_the_steps(engine):
    plain = pixels(draw(engine, steps=4)[0])
    whole, early, late = (
        drawn(engine, "red", steps=4, start=start, end=end) for start, end in ((0, 1), (0, 0.3), (0.3, 1))
    )
    for one, other in ((whole, early), (whole, late), (early, late), (early, plain), (late, plain)):
        assert (one != other).any()


def test_jobs_beside_it_draw_what_they_draw_alone(engine):
    wish, hooks = prompts("red")
    other, others = prompts("blue")
    jobs = [
        (spec(steps=3), Recorder()),
        (spec(steps=3, image_prompts=wish), hooks),
        (spec(steps=3, image_prompts=other), others),
    ]
    alone = [pixels(engine.draw(*job)[0]) for job in jobs]
    together = [pixels(outcome.get()[0]) for outcome in engine.draw_all(jobs)]
    for one, same in zip(alone, together, strict=True):
        assert np.abs(one - same).max() <= 2


def test_a_hires_fix_reads_them_in_both_passes(engine):
    wish, hooks = prompts("red")
    changes = {"hires": {"scale": 1.5, "upscaler": "Latent", "denoising_strength": 0.6}, "steps": 3}
    got = pixels(draw(engine, hooks, image_prompts=wish, **changes)[0])
    assert got.shape == (192, 192, 3)
    assert (got != pixels(draw(engine, **changes)[0])).any()


@pytest.mark.parametrize(
    ("adapter", "kind", "reason"),
    [
        ("ip-foreign", "bad_input", "image_prompt_misfit"),
        ("ip-nowhere", "missing_model", None),
        ("ip-broken", "bad_model", None),
        ("ip-face", "bad_model", None),
        ("canny", "bad_input", "no_image_adapter"),
        ("ip-wide", "missing_model", "no_image_encoder"),
    ],
)
def test_what_cannot_be_used_is_told(engine, files, unet, adapter, kind, reason):
    from safetensors.torch import load_file, save_file

    made = load_file(files / "controlnet" / "ip-plain.safetensors")
    face = {key: value for key, value in made.items() if "proj.weight" not in key} | {
        "image_proj.proj.0.weight": torch.ones(8, 8), "image_proj.proj.2.weight": torch.ones(8, 8),
    }  # fmt: skip
    wide = made | {"image_proj.proj.weight": torch.ones(4 * 96, 7)}
    broken = {key: value for key, value in made.items() if not key.endswith("1.to_v_ip.weight")}
    canny = {"control_model.input_hint_block.0.weight": torch.ones(1)}
    for name, tensors in {"ip-broken": broken, "ip-face": face, "ip-wide": wide, "canny": canny}.items():
        save_file(
            {key: value.contiguous() for key, value in tensors.items()}, files / "controlnet" / f"{name}.safetensors"
        )
    before = dict(unet.attn_processors)
    with pytest.raises(EngineError) as caught:
        drawn(engine, "red", adapter=adapter)
    assert (caught.value.kind, caught.value.detail.get("reason")) == (kind, reason)
    assert unet.attn_processors == before


def test_an_encoder_that_is_damaged_is_told(tmp_path):
    from safetensors.torch import load_file, save_file

    write_encoder(tmp_path / "clip.safetensors")
    made = load_file(tmp_path / "clip.safetensors")
    del made["vision_model.encoder.layers.1.mlp.fc1.weight"]
    save_file(made, tmp_path / "clip.safetensors")
    with pytest.raises(EngineError) as caught:
        load_encoder(tmp_path / "clip.safetensors", "clip")
    assert caught.value.detail == {"annotator": "clip", "problem": "corrupt"}


def test_the_infotext_tells_each_picture_as_a_unit(engine):
    wish, hooks = prompts("red", "blue", weight=0.5, end=0.8)
    (made,) = draw(engine, hooks, image_prompts=wish, steps=2)
    unit = "Module: ip-adapter-auto, Model: ip-plain, Weight: 0.5, Guidance Start: 0, Guidance End: 0.8"
    fields = parse_infotext(made.infotext).fields
    assert [fields[f"ControlNet {at}"] for at in range(2)] == [unit, unit]


def test_an_encoder_whose_file_changed_looks_anew(engine, files):
    adapter = load_adapter(files / "controlnet" / "ip-plain.safetensors", "plain")
    book = ImagePromptBook(engine._scan, engine._device)
    before = book.tokens(adapter, [picture("red")], lambda: None).pictures[0]
    write_encoder(files / "annotators" / "clip.safetensors", seed=6)
    after = book.tokens(adapter, [picture("red")], lambda: None).pictures[0]
    assert not torch.allclose(before, after)
    write_encoder(files / "annotators" / "clip.safetensors")
