"""Control in drawings: as diffusers' pipeline draws it, in every task, beside other jobs; and nothing of it stays."""

import copy
import io

import numpy as np
import pytest
import torch
from control_files import controlnet, difference, save, t2i
from diffusers import EulerDiscreteScheduler, StableDiffusionControlNetPipeline
from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel
from drawing import Recorder, draw, drawn_over, pixels, ref_to, spec
from PIL import Image, ImageDraw

from gpu_worker.engine.checkpoints.residence import Card
from gpu_worker.engine.control.units import OpenedUnit
from gpu_worker.engine.engine import DrawingCancelled
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.files import png_bytes
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import ControlUnit, Hires, Refiner

BALANCED, PROMPT, CONTROL = "Balanced", "My prompt is more important", "ControlNet is more important"


@pytest.fixture(scope="module")
def unet(engine):
    with engine._cache.borrow(engine.model_file("checkpoint", "pincel-demo")) as checkpoint:
        yield checkpoint.unet


@pytest.fixture(scope="module")
def networks(unet):
    return {"first": controlnet(unet, 1), "second": controlnet(unet, 2)}


@pytest.fixture(scope="module", autouse=True)
def files(models_dir, unet, networks):
    folder = models_dir / "controlnet"
    folder.mkdir(exist_ok=True)
    made = {name: network.state_dict() for name, network in networks.items()}
    made["first_diff"] = difference(made["first"], unet, 1)
    made["adapter"] = t2i(unet).state_dict()
    for name, tensors in made.items():
        save(tensors, folder / f"{name}.safetensors")
    yield folder
    for file in folder.iterdir():
        file.unlink()


def shape(kind="circle", size=(128, 128)):
    image = Image.new("RGB", size, "black")
    draw_on = ImageDraw.Draw(image)
    box = (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4)
    (draw_on.ellipse if kind == "circle" else draw_on.rectangle)(box, outline="white", width=3)
    return np.asarray(image)


SHAPES = {
    "circle": png_bytes(shape(), ""),
    "box": png_bytes(shape("box"), ""),
    "wide": png_bytes(shape(size=(200, 90)), ""),
}


def unit(model="first", image="circle", **wish):
    return ControlUnit(model=model, image=ref_to(SHAPES[image], image) if image else None, **wish)


def hooks(**more):
    return Recorder(pictures=SHAPES, **more)


def led(engine, *units, **changes):
    return pixels(draw(engine, hooks(), **({"steps": 3, "control": units} | changes))[0])


@pytest.fixture(scope="module")
def plain(engine):
    return pixels(draw(engine, steps=3)[0])


def near(one, other, most=2):
    return np.abs(one - other).max() <= most


def pipeline_picture(engine, networks, scales, maps, starts, ends):
    """The same drawing by diffusers' own pipeline, from our noise."""
    with engine._cache.borrow(engine.model_file("checkpoint", "pincel-demo")) as checkpoint:
        text = checkpoint.text_encoders[0]
        pipe = StableDiffusionControlNetPipeline(
            vae=checkpoint.vae, text_encoder=text.model, tokenizer=copy.deepcopy(text.tokenizer), unet=checkpoint.unet,
            controlnet=MultiControlNetModel(networks), safety_checker=None, feature_extractor=None,
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="linspace",
            ),
        )  # fmt: skip
        pipe.set_progress_bar_config(disable=True)
        side = 128 // checkpoint.factor
        noise = ImageNoise((ImageSeed(1),), (4, side, side), torch.device("cpu"), source="GPU", ensd=0).first()
        with torch.no_grad():
            done = pipe(
                spec().prompt, negative_prompt="", image=[Image.fromarray(each) for each in maps],
                width=128, height=128,
                num_inference_steps=4, guidance_scale=5.0, latents=noise, controlnet_conditioning_scale=list(scales),
                control_guidance_start=list(starts), control_guidance_end=list(ends), output_type="np",
            )  # fmt: skip
    return (done.images[0] * 255).round().astype(int)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # torch's, within the scheduler
@pytest.mark.parametrize(
    ("wishes", "ends"),
    [([{"weight": 0.8}], [1.0]), ([{"weight": 0.6}, {"weight": 0.4, "start": 0.0, "end": 0.4}], [1.0, 0.5])],
)
def test_diffusers_pipeline_draws_the_same(engine, networks, wishes, ends):
    names, shapes = ("first", "second")[: len(wishes)], ("circle", "box")[: len(wishes)]
    units = tuple(unit(n, s, **w) for n, s, w in zip(names, shapes, wishes, strict=True))
    ours = pixels(draw(engine, hooks(), control=units, sampler="Euler", schedule="Automatic")[0])
    theirs = pipeline_picture(
        engine, [networks[name] for name in names], [w["weight"] for w in wishes], [shape(s) for s in shapes],
        [0.0] * len(wishes), ends,
    )  # fmt: skip
    assert np.abs(ours - theirs).max() <= 3
    without = pixels(draw(engine, sampler="Euler", schedule="Automatic")[0])
    assert np.abs(ours - without).mean() > 3


def test_it_leads_and_leaves_no_trace(engine, unet, plain):
    before = {key: tensor.clone() for key, tensor in unet.state_dict().items()}
    circle, box = led(engine, unit()), led(engine, unit(image="box"))
    assert (circle != plain).any()
    assert (circle != box).any()
    assert (led(engine, unit(weight=0.0)) == plain).all()
    assert (pixels(draw(engine, steps=3)[0]) == plain).all()
    assert (led(engine, unit()) == circle).all()
    assert all(torch.equal(tensor, before[key]) for key, tensor in unet.state_dict().items())


def test_a_difference_model_and_low_memory_draw_the_same(engine):
    assert near(led(engine, unit("first_diff")), led(engine, unit()))
    with_lora = {"prompt": "a red apple"}
    assert near(led(engine, unit("first_diff"), **with_lora), led(engine, unit(), **with_lora))
    assert (led(engine, unit(low_memory=True)) == led(engine, unit())).all()


def test_a_t2i_adapter_leads_beside_a_controlnet(engine, plain):
    adapter, net = unit("adapter", "box"), unit()
    both = led(engine, adapter, net)
    for other in (led(engine, adapter), led(engine, net), plain):
        assert (both != other).any()


def test_modes_weigh_as_the_reference_says(engine, plain, monkeypatch):
    pictures = {mode: led(engine, unit(mode=mode)) for mode in (BALANCED, PROMPT, CONTROL)}
    for one in pictures:
        assert (pictures[one] != plain).any()
        assert all((pictures[one] != pictures[other]).any() for other in pictures if other != one)
    asked = {}
    weights = OpenedUnit.weights

    def noted(self, outputs):
        asked[self.unit.mode] = (outputs, weights(self, outputs))
        return asked[self.unit.mode][1]

    monkeypatch.setattr(OpenedUnit, "weights", noted)
    led(engine, unit(weight=0.5, mode=BALANCED), unit(weight=0.5, mode=PROMPT), unit(weight=0.5, mode=CONTROL), steps=1)
    outputs = asked[BALANCED][0]
    assert asked[BALANCED] == (outputs, (0.5,) * outputs)
    assert asked[PROMPT][1] == pytest.approx([0.5 * 0.825 ** (12 - at) for at in range(outputs)])
    assert asked[CONTROL] == asked[PROMPT]


def test_the_prompts_share_alone_is_led_where_control_is_more_important(engine, monkeypatch):
    from gpu_worker.engine.control import residuals

    seen = []
    together = residuals._together
    monkeypatch.setattr(residuals, "_together", lambda control: seen.append(control) or together(control))
    led(engine, unit(mode=CONTROL), unit("second", "box"), steps=1)
    cond, uncond = seen[0]
    assert [each.opened.model.name for each in cond] == ["first", "second"]
    assert [each.opened.model.name for each in uncond] == ["second"]


def test_it_counts_in_its_share_of_the_steps(engine):
    whole, early, late, never = (
        led(engine, unit(start=start, end=end), steps=4) for start, end in ((0, 1), (0, 0.3), (0.3, 1), (0.9, 1))
    )
    assert (never == pixels(draw(engine, steps=4)[0])).all()
    for one, other in ((whole, early), (whole, late), (early, late), (early, never)):
        assert (one != other).any()


def test_up_to_four_units_and_the_same_model_twice(engine):
    four = led(engine, unit(), unit("second", "box"), unit("first", "box"), unit("adapter"))
    assert (four != led(engine, unit(), unit("second", "box"))).any()
    halves = led(engine, unit(weight=0.5), unit(weight=0.5))
    assert near(halves, led(engine, unit(weight=1.0)), 3)


def test_jobs_beside_it_draw_what_they_draw_alone(engine):
    jobs = [
        (spec(steps=3), hooks()),
        (spec(steps=3, seed=2, control=(unit(),)), hooks()),
        (spec(steps=3, seed=3, control=(unit("first", "box", weight=0.5), unit("adapter"))), hooks()),
        (spec(steps=4, seed=4, control=(unit("second"),), count=2), hooks()),
    ]
    alone = [[pixels(d) for d in engine.draw(*job)] for job in jobs]
    together = [[pixels(d) for d in outcome.get()] for outcome in engine.draw_all(jobs)]
    for one, same in zip(alone, together, strict=True):
        assert all(near(a, b) for a, b in zip(one, same, strict=True))


def test_a_batch_shares_the_map(engine):
    batch = draw(engine, hooks(), control=(unit(),), count=2, steps=3)
    assert near(pixels(batch[1]), led(engine, unit(), seed=2))


def test_a_hires_fix_is_led_in_the_passes_that_were_chosen(engine):
    changes = {"hires": {"scale": 1.5, "upscaler": "Latent", "denoising_strength": 0.6}}
    drawn = {option: led(engine, unit(hires=option), **changes) for option in ("Both", "Low res only", "High res only")}
    drawn["plain"] = pixels(draw(engine, steps=3, **changes)[0])
    assert all(picture.shape == (192, 192, 3) for picture in drawn.values())
    names = list(drawn)
    for at, one in enumerate(names):
        assert all((drawn[one] != drawn[other]).any() for other in names[at + 1 :])
    # Without a second pass the only one is led.
    assert (led(engine, unit(hires="High res only")) == led(engine, unit())).all()


def test_canny_is_softer_in_the_second_pass(engine):
    first, second = (OpenedUnit(unit(preprocessor="canny"), _Named(), None, None, at) for at in (False, True))
    assert first.weights(13) == (1.0,) * 13
    assert second.weights(13)[:2] == pytest.approx([0.099414, 0.1205], abs=1e-5)
    assert OpenedUnit(unit(), _Named(), None, None, True).weights(13) == (1.0,) * 13


class _Named:
    """A model of which only its kind is asked."""

    name = "x"

    class loaded:  # noqa: N801
        kind = "controlnet"


def test_sizes_that_do_not_halve_and_pictures_of_any_shape(engine):
    for mode in ("Just Resize", "Crop and Resize", "Resize and Fill"):
        wish = unit(image="wide", resize_mode=mode, preprocessor="canny", pixel_perfect=True)
        got = draw(engine, hooks(), control=(wish,), steps=2, width=104, height=72)[0]
        assert (got.width, got.height) == (104, 72)


def test_a_second_pass_in_tiles_follows_each_tiles_part(engine):
    changes = {"hires": {"scale": 2, "denoising_strength": 0.6, "tile_px": 128}}
    tiled = led(engine, unit(hires="High res only"), **changes)
    assert tiled.shape == (256, 256, 3)
    assert (tiled != pixels(draw(engine, steps=3, **changes)[0])).any()


def test_each_tile_has_its_part_under_a_refiner_as_well(engine):
    wish = unit(hires="High res only")
    changes = {"hires": {"scale": 2, "denoising_strength": 0.6, "tile_px": 128}}
    tiled = led(engine, wish, **changes)
    refined = led(engine, wish, **changes, refiner=Refiner(checkpoint="pincel-demo", switch_at=0.01))
    assert (tiled == refined).all(), "the same model takes over"


def test_an_img2img_follows_its_own_picture_or_another(engine):
    (source,) = draw(engine, steps=3)
    given = {**SHAPES, "picture": source.png}
    values = {"steps": 4, "denoising_strength": 0.8}

    def over(*units):
        return pixels(drawn_over(engine, source, hooks=Recorder(pictures=given), control=units, **values)[0])

    own, other, none = over(unit(image=None)), over(unit()), over()
    assert (own != none).any()
    assert (own != other).any()
    with pytest.raises(EngineError) as caught:
        led(engine, unit(image=None))
    assert caught.value.detail["reason"] == "control_image"


@pytest.mark.parametrize("only_masked", [False, True])
def test_inpainting_is_led_inside_its_mask_alone(engine, only_masked):
    (source,) = draw(engine, steps=3)
    mask = np.zeros((128, 128), np.uint8)
    mask[32:96, 32:96] = 255
    target = io.BytesIO()
    Image.fromarray(mask).save(target, "PNG")
    given = {**SHAPES, "picture": source.png, "mask": target.getvalue()}
    options = {"only_masked": only_masked, "blur": 0}

    def over(*units):
        found = drawn_over(
            engine, source, mask, mask_options=options, hooks=Recorder(pictures=given), control=units, steps=4,
        )  # fmt: skip
        return pixels(found[0])

    none = over()
    for each in (unit(), unit(image=None), unit(image=None, preprocessor="inpaint_only")):
        got = over(each)
        assert (got != none)[32:96, 32:96].any()
        assert (got[:24] == pixels(source)[:24]).all()
    assert (over(unit(image=None)) != over(unit(image=None, preprocessor="inpaint_only"))).any()


def test_a_mask_of_its_own_bounds_it(engine, plain):
    half = np.zeros((128, 128), np.uint8)
    half[:, :64] = 255
    nowhere = np.zeros((128, 128), np.uint8)
    pictures = {}
    for name, mask in {"half": half, "nowhere": nowhere}.items():
        target = io.BytesIO()
        Image.fromarray(mask).save(target, "PNG")
        pictures[name] = target.getvalue()

    def bounded(name):
        wish = unit().model_copy(update={"mask": ref_to(pictures[name], name)})
        return pixels(draw(engine, Recorder(pictures=SHAPES | pictures), steps=3, control=(wish,))[0])

    assert near(bounded("nowhere"), plain, 0)
    assert (bounded("half") != led(engine, unit())).any()


def test_what_inpaint_only_leaves_comes_back_over_the_drawing(engine):
    target = io.BytesIO()
    hidden = np.zeros((128, 128), np.uint8)
    hidden[:, :64] = 255
    Image.fromarray(hidden).save(target, "PNG")
    mask = ref_to(target.getvalue(), "half")

    def drawn(**wish):
        wished = unit(**wish).model_copy(update={"mask": mask})
        pictures = Recorder(pictures=SHAPES | {"half": target.getvalue()})
        return pixels(draw(engine, pictures, steps=3, control=(wished,))[0])

    pasted, whole = drawn(preprocessor="inpaint_only"), drawn(preprocessor="inpaint_global_harmonious")
    assert near(pasted[:, 72:], shape().astype(int)[:, 72:], 1), "its own picture, away from the seam"
    assert near(pasted[:, :60], whole[:, :60], 0)
    assert not near(whole[:, 72:], shape().astype(int)[:, 72:], 1)


def test_colours_stay_those_of_the_picture(engine):
    target = io.BytesIO()
    Image.fromarray(np.full((128, 128, 3), (90, 130, 170), np.uint8)).save(target, "PNG")
    blue = ref_to(target.getvalue(), "blue")

    def drawn(preprocessor, **changes):
        wish = ControlUnit(
            model="first",
            image=blue,
            preprocessor=preprocessor,
            weight=changes.pop("weight", 1.0),
            threshold_a=3 if "fix" in preprocessor else None,
        )
        pictures = Recorder(pictures=SHAPES | {"blue": target.getvalue()})
        return pixels(draw(engine, pictures, **({"steps": 4, "control": (wish,)} | changes))[0])

    def away(picture):
        return np.abs(picture.reshape(-1, 3).mean(axis=0) - (90, 130, 170)).max()

    fixed, free, half = drawn("tile_colorfix"), drawn("tile_resample"), drawn("tile_colorfix", weight=0.5)
    assert away(fixed) < away(half) < away(free)
    assert away(fixed) < away(free) / 2
    sharp = drawn("tile_colorfix+sharp")
    assert away(sharp) < away(free) / 2
    assert (sharp != fixed).any()
    tiles = {"hires": Hires(scale=2, upscaler="Lanczos", denoising_strength=0.6, steps=3, tile_px=128)}
    assert away(drawn("tile_colorfix", **tiles)) < away(drawn("tile_resample", **tiles))


def test_it_stops_between_two_steps(engine):
    watcher = hooks(cancel_at=4)
    with pytest.raises(DrawingCancelled):
        engine.draw(spec(steps=20, control=(unit(),)), watcher)
    assert (led(engine, unit()) == led(engine, unit())).all()


def test_out_of_memory_goes_on_in_portions_or_fails_plainly(engine, monkeypatch):
    expected = [pixels(d) for d in draw(engine, hooks(), control=(unit(),), count=2, steps=2)]
    with engine._cache.borrow_control(
        engine.model_file("controlnet", "first"), None, lambda: None, visits=False
    ) as model:
        network = model.loaded.network
        forward, most = network.forward, 1

        def tight(sample, *rest, **more):
            if len(sample) > most:
                raise torch.OutOfMemoryError("too large")
            return forward(sample, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(network, "forward", tight)
            got = [pixels(d) for d in draw(engine, hooks(), control=(unit(),), count=2, steps=2)]
            assert all(near(a, b) for a, b in zip(got, expected, strict=True))
            most = 0
            with pytest.raises(EngineError) as caught:
                draw(engine, hooks(), control=(unit(),), steps=2)
    assert caught.value.kind == "oom"
    assert near(led(engine, unit(), steps=2, count=2), expected[0])


def test_low_memory_visits_the_card(engine, monkeypatch):
    moves = []
    release = Card.release

    def noted(self, resident):
        moves.append(resident.part)
        return release(self, resident)

    monkeypatch.setattr(Card, "release", noted)
    led(engine, unit())
    assert "control" not in moves
    led(engine, unit(low_memory=True), steps=3)
    assert moves.count("control") == 3


def test_what_cannot_be_used_is_told(engine, files):
    save(
        {"image_proj.proj.weight": torch.ones(4, 4), "ip_adapter.1.to_k_ip.weight": torch.ones(4, 4)},
        files / "ip.safetensors",
    )
    (files / "torn.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    broken = {**SHAPES, "circle": b"no picture"}
    cases = {
        ("missing_model", None): unit("nowhere"),
        ("bad_model", None): unit("torn"),
        ("bad_input", "no_control_model"): unit("ip"),
        ("bad_input", "preprocessor"): unit(preprocessor="oil"),
        ("bad_input", "source_picture"): unit().model_copy(update={"image": ref_to(broken["circle"], "circle")}),
    }
    for (kind, reason), wish in cases.items():
        with pytest.raises(EngineError) as caught:
            draw(engine, Recorder(pictures=broken if reason == "source_picture" else SHAPES), control=(wish,), steps=1)
        assert (caught.value.kind, caught.value.detail.get("reason")) == (kind, reason)


def test_the_infotext_tells_each_unit(engine):
    wish = unit(preprocessor="canny", weight=0.5, end=0.8, mode=PROMPT, threshold_a=90)
    (made,) = draw(engine, hooks(), control=(wish, unit("second")), steps=1)
    fields = parse_infotext(made.infotext).fields
    digest = fields["ControlNet 0"].split("[")[1][:8]
    assert fields["ControlNet 0"] == (
        f"Module: canny, Model: first [{digest}], Weight: 0.5, Resize Mode: Crop and Resize, Processor Res: 512, "
        "Threshold A: 90, Guidance Start: 0, Guidance End: 0.8, Pixel Perfect: False, "
        "Control Mode: My prompt is more important"
    )
    assert fields["ControlNet 1"].startswith("Module: none, Model: second [")
