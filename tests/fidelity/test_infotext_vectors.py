"""The infotext, where files keep it, and file names, against what A1111 itself answered."""

import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from reference import vectors

from gpu_worker.engine.images.files import picture_bytes, read_infotext
from gpu_worker.engine.images.foreign import read_parameters
from gpu_worker.language.filenames import PictureFacts, name_from_pattern, next_sequence_number
from gpu_worker.language.infotext import build_infotext, parse_generation_parameters, parse_infotext, quote, unquote

WHEN = datetime(2024, 2, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(("value", "expected"), vectors("infotext_quote"))
def test_quote(value, expected):
    assert quote(value) == expected


@pytest.mark.parametrize(("text", "expected"), vectors("infotext_unquote"))
def test_unquote(text, expected):
    assert unquote(text) == expected


_DEFAULTS = parse_generation_parameters("")


@pytest.mark.parametrize(("text", "expected"), vectors("infotext_parse"))
def test_parse(text, expected):
    """The vectors leave out defaults that a text did not say."""
    said = {"Prompt", "Negative prompt", *parse_infotext(text).fields}
    found = parse_generation_parameters(text)
    found = {key: value for key, value in found.items() if key in said or value != _DEFAULTS.get(key)}
    assert found == expected["fields"]
    assert [type(value) for value in found.values()] == [type(expected["fields"][key]) for key in found]


@pytest.mark.parametrize(("_", "expected"), vectors("infotext_parse_defaults"))
def test_defaults(_, expected):
    assert expected | {"Prompt": "", "Negative prompt": ""} == _DEFAULTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.5.2", {"Downcast alphas_cumprod", "Old prompt editing timelines"}),
        ("v1.6.0", {"Downcast alphas_cumprod"}),
        ("v1.6.0-RC", {"Downcast alphas_cumprod", "Old prompt editing timelines"}),
        ("v1.7.0-224-g0123abc", {"Downcast alphas_cumprod"}), ("v1.7.0-225-g0123abc", set()), ("v1.10.1", set()),
        ("f2.0.1v1.10.1-previous", set()), ("Pincel 0.1.0", set()), ("1.6", {"Downcast alphas_cumprod"}),
    ],
)  # fmt: skip
def test_switches_of_a_version(text, expected):
    found = parse_generation_parameters(f"a [b:c:3]\nSteps: 20, Sampler: Euler, Seed: 1, Version: {text}")
    assert {key for key, value in found.items() if value is True} == expected


def test_an_automatic_first_pass():
    found = parse_generation_parameters("cat\nSteps: 20, Seed: 1, Size: 1024x768, First pass size: 0x0")
    assert [found[f"{key}-{n}"] for key in ("Size", "Hires resize") for n in (1, 2)] == [640, 448, 1024, 768]


def test_values_that_are_empty_are_skipped_and_sizes_may_be_quoted():
    assert parse_infotext('Steps: 20, Sampler: , Seed: 1, Size: "64x48"').fields == {
        "Steps": "20", "Seed": "1", "Size-1": "64", "Size-2": "48",
    }  # fmt: skip


def _fields(given):
    """The field dictionary that A1111 fills for the state in a vector."""
    extra = dict(given.get("extra_generation_params", {}))
    fields = {
        "Steps": given.get("steps", 20),
        "Sampler": given.get("sampler_name", "Euler a"),
        "CFG scale": given.get("cfg_scale", 7),
        "Seed": 1,
        "Face restoration": "CodeFormer" if given.get("restore_faces") else None,
        "Size": "512x768",
        "Model hash": "31e35c80fc",
        "Model": "sd_xl_base",
    }
    if "sd_vae_name" in given:
        fields |= {"VAE hash": "63aeecb90f", "VAE": given["sd_vae_name"]}
    if given.get("subseed_strength"):
        fields |= {"Variation seed": 5, "Variation seed strength": given["subseed_strength"]}
    if given.get("seed_resize_from_w"):
        fields["Seed resize from"] = "512x512"
    fields["Denoising strength"] = extra.pop("Denoising strength", None)
    fields["Conditional mask weight"] = 1.0 if given.get("is_using_inpainting_conditioning") else None
    fields["Clip skip"] = given.get("clip_skip")
    fields["ENSD"] = given["ensd"] if given["ensd"] and "sampler_name" not in given else None
    fields["RNG"] = given["rng"] if given["rng"] != "GPU" else None
    fields["NGMS"] = given.get("s_min_uncond")
    fields["Tiling"] = True if given.get("tiling") else None
    return fields | extra | {"Version": "v1.9.0"}


@pytest.mark.parametrize(("given", "expected"), vectors("infotext_create"))
def test_build_infotext(given, expected):
    assert build_infotext(given["prompt"], given["negative_prompt"], _fields(given)) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("infotext_storage"))
def test_storage(given, expected):
    black = np.zeros((8, 8, 3), np.uint8)
    if given["extension"] == ".gif":
        target = io.BytesIO()
        Image.fromarray(black).save(target, "GIF", comment=given["infotext"].encode())
        data = target.getvalue()
    else:
        kind = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[given["extension"]]
        data = picture_bytes(black, given["infotext"], kind)
    assert read_infotext(data) == expected["read_back"]
    for chunk, keyword in expected.get("chunks", []):
        assert f"{chunk}{keyword}\0".encode() in data
    if "user_comment_hex" in expected:
        with Image.open(io.BytesIO(data)) as image:
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        assert comment.hex() == expected["user_comment_hex"]


@pytest.mark.parametrize(("given", "expected"), vectors("novelai_import"))
def test_novelai(given, expected):
    info = PngInfo()
    for key, text in given["info"].items():
        info.add_text(key, text)
    width, height = map(int, given["size"].split("x"))
    target = io.BytesIO()
    Image.new("RGB", (width, height)).save(target, "PNG", pnginfo=info)
    assert json.loads(given["info"]["Comment"])
    assert read_parameters(target.getvalue()) == parse_infotext(expected)


@pytest.mark.parametrize(("given", "expected"), vectors("filename_pattern"))
def test_file_names(given, expected):
    width, height = map(int, given["size"].split("x"))
    facts = PictureFacts(
        seed=given["seed"],
        prompt=given["prompt"],
        when=WHEN,
        # What the vectors do not name: found from their answers.
        negative_prompt="bad",
        batch_seeds=(10, 11),
        clip_skip=2,
        style_prompts=["masterpiece, {prompt}"],
        batch_size=given["batch_size"],
        batch_count=given["n_iter"],
        batch_index=given["batch_index"],
        iteration=given["iteration"],
        steps=given["steps"],
        cfg_scale=given["cfg"],
        width=width,
        height=height,
        sampler=given["sampler"],
        styles=given["styles"],
        denoising_strength=given["denoising"],
    )
    assert name_from_pattern(given["pattern"], facts) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[date]/[datetime<%Y-%m>]", "2024-02-01/2024-02"), ("[prompt_words]", "a b c d e f g h"),
        ("[styles]-[sampler]", "None-Euler a"), ("[steps]_[cfg]_[width]x[height]", "20_7.0_512x512"),
        ("[prompt_words]x[none]y", "a b c d e f g hxy"), ("[unknown<3>]", "[unknown]"), ("[seed<3>]", "[seed]"),
        ("[prompt_hash<x>]", "[prompt_hash]"), ("[datetime<%Y><No/Where>]", "2024"),
        ("[datetime<%H%M><Asia/Tokyo>]", "2130"), ("[datetime]", "20240201123000"), ("[[seed]]", "[5]"),
        ("[hasprompt<B><z|no>]", "bno"), ("[model_name] [user]", "m_x me"),
    ],
)  # fmt: skip
def test_more_file_names(pattern, expected):
    facts = PictureFacts(
        seed=5, prompt="a b,c d_e f;g h i j", when=WHEN, sampler="Euler a", model_name="m/x",
        user="me",
    )  # fmt: skip
    assert name_from_pattern(pattern, facts) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("next_sequence_number"))
def test_sequence_numbers(given, expected):
    assert next_sequence_number(given["files"], given["basename"]) == expected


def test_sequence_numbers_behind_a_name():
    assert next_sequence_number(["grid-0003.png", "grid-0010.png", "grid.png"], "grid") == 11
    assert next_sequence_number(["a-00005-1.png"]) == 0
