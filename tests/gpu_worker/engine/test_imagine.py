"""One picture from the shell: exit codes, saved files, and a friendly sentence for what cannot be drawn."""

import pytest
from PIL import Image

from gpu_worker import imagine
from gpu_worker.engine.images.files import read_infotext
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.shell.parser import make_parser
from gpu_worker.shell.request import build_spec


@pytest.fixture(autouse=True)
def one_engine(engine, monkeypatch):
    """The session's engine instead of a new one, which would load the libraries' models again."""
    monkeypatch.setattr("gpu_worker.engine.engine.Engine", lambda **_: engine)
    monkeypatch.setattr(engine, "close", lambda: None)


def run(capsys, *arguments):
    code = imagine.main(["--checkpoint", "pincel-demo", "--steps", "2", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_it_saves_the_picture_and_prints_path_and_infotext(capsys, tmp_path):
    path = tmp_path / "apple.png"
    code, out, _ = run(capsys, "a red apple", "--out", path, "--seed", 7)
    assert code == 0
    first, *rest = out.splitlines()
    assert first == str(path)
    assert "\n".join(rest) == read_infotext(path.read_bytes())
    assert "Seed: 7, Size: 128x128" in out
    with Image.open(path) as image:
        assert image.size == (128, 128)


def test_several_pictures_are_numbered(capsys, tmp_path):
    code, _, _ = run(capsys, "a red apple", "--out", tmp_path / "a.png", "--count", 2, "--width", 64, "--height", 64)
    assert code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.png", "a-2.png"]


def test_the_file_name_says_how_it_is_saved(capsys, tmp_path):
    for suffix, kind in ((".jpg", "JPEG"), (".webp", "WEBP")):
        path = tmp_path / f"apple{suffix}"
        assert run(capsys, "a red apple", "--out", path, "--seed", 7)[0] == 0
        with Image.open(path) as image:
            assert image.format == kind
        assert "Seed: 7," in read_infotext(path.read_bytes())


def pixels(path):
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.slow
def test_an_old_picture_is_drawn_again_from_its_infotext(capsys, tmp_path):
    first, again, from_text = (tmp_path / name for name in ("first.png", "again.png", "text.png"))
    options = [
        "--seed",
        7,
        "--hires",
        1.5,
        "--hires-denoise",
        0.4,
        "--sampler",
        "Euler a",
        "--tiling",
        "--clip-skip",
        2,
    ]
    options += ["--variation-seed", 3, "--variation-strength", 0.3, "--negative", "blurry"]
    code, out, err = run(capsys, "a red apple", "--out", first, *options)
    assert code == 0, err
    # No steps of its own here: the text says them.
    assert imagine.main(["--infotext", str(first), "--out", str(again)]) == 0
    text = out.split("\n", 1)[1].strip()
    assert imagine.main(["--infotext", text, "--out", str(from_text)]) == 0
    assert pixels(again) == pixels(first) == pixels(from_text)


@pytest.mark.slow
def test_a_picture_is_changed_inside_its_mask_alone(capsys, tmp_path):
    start, mask, out = (tmp_path / name for name in ("start.png", "mask.png", "out.png"))
    Image.new("RGB", (128, 128), "blue").save(start)
    half = Image.new("L", (128, 128), 0)
    half.paste(255, (64, 0, 128, 128))
    half.save(mask)
    options = ["--init", start, "--mask", mask, "--mask-blur", 0, "--denoise", 0.9, "--seed", 1, "--out", out]
    code, _, err = run(capsys, "a red square", *options)
    assert code == 0, err
    with Image.open(out) as image:
        assert image.crop((0, 0, 56, 128)).convert("RGB").getcolors() == [(56 * 128, (0, 0, 255))]
        assert len(image.crop((64, 0, 128, 128)).getcolors(9999)) > 10


def test_a_picture_is_enlarged_without_a_checkpoint(capsys, tmp_path):
    start, out = tmp_path / "start.png", tmp_path / "out.png"
    Image.new("RGB", (40, 24), "green").save(start)
    code, _, err = run(capsys, "--upscale", start, "--by", 2, "--upscaler", "Lanczos", "--out", out)
    assert code == 0, err
    with Image.open(out) as image:
        assert image.size == (80, 48)


FACTS = (
    ModelFact(kind="checkpoint", name="m", family="sd1", native_px=512),
    ModelFact(kind="checkpoint", name="r", family="sd1", native_px=512),
    ModelFact(kind="vae", name="soft"),
    ModelFact(kind="face", name="GFPGANv1.4"),
    ModelFact(kind="detector", name="hand_yolov8n"),
)


def spec_of(*arguments, recorded=None):
    return build_spec(make_parser().parse_args([*map(str, arguments)]), FACTS, recorded or {})


def test_every_option_reaches_the_spec():
    spec = spec_of(
        "a cat", "--checkpoint", "m.safetensors", "--vae", "soft", "--steps", 9, "--cfg", 5.5, "--sampler",
        "Euler a Karras", "--clip-skip", 2, "--count", 3, "--batch-size", 1, "--tiling", "--restore-faces",
        "--face-weight", 0.3, "--refiner", "r@0.7", "--seed", 5, "--variation-seed", 6, "--variation-strength", 0.2,
        "--seed-resize", "384x512", "--rng", "cpu", "--ensd", 31337, "--hires", "640x768", "--hires-steps", 4,
        "--hires-upscaler", "Latent", "--denoise", 0.7, "--hires-prompt", "a dog", "--emphasis", "No norm", "--ngms",
        1, "--eta", 0.5, "--zero-snr", "--fix", "Hands",
    )  # fmt: skip
    assert (spec.checkpoint, spec.vae, spec.steps, spec.cfg_scale, spec.clip_skip) == ("m", "soft", 9, 5.5, 2)
    assert (spec.sampler, spec.schedule, spec.count, spec.batch_size, spec.tiling) == ("Euler a", "Karras", 3, 1, True)
    assert (spec.face_restore.model, spec.face_restore.weight) == ("GFPGAN", 0.3)
    assert (spec.refiner.checkpoint, spec.refiner.switch_at) == ("r", 0.7)
    assert [unit.model for unit in spec.details] == ["hand_yolov8n"]
    assert (spec.variations[0].seed, spec.variations[0].strength, spec.seed_resize) == (6, 0.2, (384, 512))
    assert (spec.noise_source, spec.ensd, spec.emphasis, spec.zero_terminal_snr) == ("CPU", 31337, "No norm", True)
    assert (spec.hires.resize_width, spec.hires.resize_height, spec.hires.upscaler) == (640, 768, "Latent")
    assert (spec.hires.steps, spec.hires.denoising_strength, spec.hires.prompt) == (4, 0.7, "a dog")


def test_the_options_of_pictures_reach_the_spec(tmp_path):
    start = tmp_path / "start.png"
    Image.new("RGB", (300, 200)).save(start)
    spec = spec_of(
        "a cat", "--init", start, "--mask", start, "--denoise", 0.3, "--resize-mode", "fill", "--mask-blur", 8,
        "--invert-mask", "--inpaint-content", "latent noise", "--only-masked", "--padding", 16, "--extend", "left:60",
        "--color-correction", "--exact-steps",
    )  # fmt: skip
    assert (spec.kind, spec.denoising_strength, spec.resize_mode) == ("img2img", 0.3, "Resize and fill")
    assert spec.mask.model_dump(exclude={"image"}) == {
        "blur": 8, "invert": True, "content": "latent noise", "only_masked": True, "padding_px": 16, "prompt": "",
    }  # fmt: skip
    assert (spec.width, spec.height, spec.extend.left) == (624 + 64, 416, 64)
    assert spec.color_correction
    assert spec.exact_steps
    enlarged = spec_of("--upscale", start, "--to", "600x600", "--no-crop", "--upscaler", "4x", "--gfpgan", 0.5)
    assert (enlarged.kind, enlarged.width, enlarged.height, enlarged.crop) == ("upscale", 600, 600, False)
    assert (enlarged.upscaler, enlarged.gfpgan_visibility) == ("4x", 0.5)


def test_what_is_typed_stands_above_the_infotext():
    recorded = {
        "kind": "txt2img",
        "prompt": "a cat",
        "steps": 9,
        "sampler": "DDIM",
        "hires": {"scale": 2.0, "steps": 3},
    }
    spec = spec_of("--steps", 5, "--hires", 1.5, recorded=recorded)
    assert (spec.prompt, spec.steps, spec.sampler, spec.hires.scale, spec.hires.steps) == ("a cat", 5, "DDIM", 1.5, 3)


def test_a_factor_takes_away_the_size_of_an_infotext():
    recorded = {"kind": "txt2img", "prompt": "a", "hires": {"resize_width": 640, "resize_height": 960, "steps": 3}}
    hires = spec_of("--hires", 1.5, recorded=recorded).hires
    assert (hires.scale, hires.resize_width, hires.resize_height, hires.steps) == (1.5, 0, 0, 3)


def test_latent_upscalers_are_given_the_denoising_they_need():
    assert spec_of("a", "--hires", 2, "--hires-upscaler", "Latent (nearest)").hires.denoising_strength == 0.7
    assert spec_of("a", "--hires", 2, "--hires-upscaler", "Latent", "--denoise", 0.6).hires.denoising_strength == 0.6
    assert spec_of("a", "--hires", 2).hires.denoising_strength == 0.5
    recorded = {"kind": "txt2img", "prompt": "a", "hires": {"upscaler": "Latent", "denoising_strength": 0.55}}
    assert spec_of(recorded=recorded).hires.denoising_strength == 0.55


def test_faces_of_an_infotext_take_a_typed_weight():
    recorded = {"kind": "txt2img", "prompt": "a", "face_restore": {"model": "GFPGAN", "visibility": 0.8}}
    faces = spec_of("--face-weight", 0.3, recorded=recorded).face_restore
    assert (faces.model, faces.visibility, faces.weight) == ("GFPGAN", 0.8, 0.3)


def test_one_number_extends_every_side_and_replaces_what_a_text_says(tmp_path):
    start = tmp_path / "start.png"
    Image.new("RGB", (512, 512)).save(start)
    spec = spec_of("a cat", "--init", start, "--extend", 60)
    assert (spec.width, spec.height) == (640, 640)
    assert {*spec.extend.model_dump().values()} == {64}
    recorded = {
        "kind": "img2img", "prompt": "a", "width": 640, "height": 512, "extend": {"left": 128, "right": 0, "top": 0},
    }  # fmt: skip
    again = spec_of("--init", start, recorded=recorded)
    assert (again.width, again.height, again.extend.left) == (640, 512, 128)
    other = spec_of("--init", start, "--extend", "top:64", recorded=recorded)
    assert (other.width, other.height, other.extend.left) == (512, 576, 0)


def test_a_mask_that_a_text_does_not_hold_is_said(capsys, tmp_path):
    start = tmp_path / "start.png"
    Image.new("RGB", (64, 64), "blue").save(start)
    text = "a\nSteps: 2, Seed: 1, Size: 64x64, Denoising strength: 0.5, Mask blur: 2"
    code, _, err = run(capsys, "--infotext", text, "--init", start, "--out", tmp_path / "out.png")
    assert code == 0, err
    assert "--mask" in err


def test_a_missing_checkpoint_of_a_text_names_the_option(capsys, tmp_path):
    code = imagine.main(
        ["--infotext", "a\nSteps: 2, Seed: 1, Size: 64x64, Model: nowhere", "--out", str(tmp_path / "out.png")]
    )
    assert code == 2
    err = capsys.readouterr().err
    assert "nowhere" in err
    assert "--checkpoint" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a", "--width", 130], "--width"),
        (["a", "--cfg", 0], "--cfg"),
        (["a", "--count", 17], "--count"),
        (["a", "--seed", -2], "--seed"),
        (["a", "--hires-scale", 9], "--hires:"),
        (["a", "--sampler", "Hewn"], "Hewn"),
        (["a", "--schedule", "Oil"], "Oil"),
        (["a", "--hires", "big"], "--hires"),
        (["a", "--hires", 2, "--hires-upscaler", "nowhere"], "nowhere"),
        (["a", "--denoise", 0.5], "--hires 2 or --init"),
        (["a", "--variation-seed", 5], "--variation-strength"),
        (["a", "--seed-resize", "wide"], "--seed-resize"),
        (["a", "--vae", "nowhere"], "models/vae"),
        (["a", "--restore-faces"], "models/faces"),
        (["a", "--refiner", "nowhere@0.5"], "nowhere"),
        (["a", "--fix", "nowhere"], "models install detectors"),
        (["a", "--mask", "x.png"], "--init"),
        (["a", "--init", "/no/such.png"], "/no/such.png"),
        (["a", "--extend", "left:8"], "--init"),
        (["a", "--mask-blur", 9, "--only-masked"], "--mask-blur, --only-masked; name it with --init"),
        (["a", "--inpaint-content", "fill"], "--inpaint-content"),
        (["a", "--resize-mode", "crop"], "--resize-mode"),
        (["a", "--noise-multiplier", 1.1], "--noise-multiplier"),
        (["a", "--face-weight", 0.3], "--restore-faces"),
        (["a", "--out", "picture.tiff"], ".png, .jpg or .webp"),
        (["--infotext", "hello"], "--infotext"),
        (["a", "--checkpoint", "nowhere"], "nowhere"),
        (["a <lora:nowhere:1>"], "models/loras"),
        (["a", "--out", "/no/such/folder/x.png"], "/no/such/folder"),
        (["  "], "prompt is empty"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(capsys, arguments, sentence):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_a_file_that_cannot_be_written_is_exit_code_1(capsys, tmp_path):
    (tmp_path / "taken.png").mkdir()
    code, _, err = run(capsys, "a", "--out", tmp_path / "taken.png")
    assert code == 1
    assert "--out" in err
