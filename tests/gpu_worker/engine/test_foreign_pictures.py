"""Pictures of other programs, each made here in the form that its program documents."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gpu_worker.engine.images.files import picture_bytes
from gpu_worker.engine.images.foreign import LIMIT_NODES, read_parameters
from gpu_worker.language.infotext import Infotext, parse_infotext

LINE = "a cat\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x48, Model: m"


def png(size=(64, 48), **texts):
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    target = io.BytesIO()
    Image.new("RGB", size).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def graph(**changes):
    """ComfyUI's own first example, as its "prompt" chunk holds it."""
    nodes = {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 156680208700286, "steps": 20, "cfg": 8.0, "sampler_name": "dpmpp_2m", "scheduler": "karras",
                "denoise": 1.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd\\v1-5.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass bottle", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    }  # fmt: skip
    nodes.update(changes)
    return json.dumps(nodes)


def test_a1111_and_forge():
    assert read_parameters(png(parameters=LINE)) == parse_infotext(LINE)
    forge = LINE + ", Distilled CFG Scale: 3.5, Module 1: ae, Version: f2.0.1v1.10.1-previous-659-gc055f2d4"
    assert read_parameters(png(parameters=forge)).fields["Distilled CFG Scale"] == "3.5"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_format(kind):
    assert read_parameters(picture_bytes(np.zeros((8, 8, 3), np.uint8), LINE, kind)) == parse_infotext(LINE)


def test_user_comments_of_other_writers():
    for comment in (b"UNICODE\0" + LINE.encode("utf-16-le"), b"ASCII\0\0\0" + LINE.encode(), LINE.encode()):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = comment
        target = io.BytesIO()
        Image.new("RGB", (8, 8)).save(target, "JPEG", exif=exif.tobytes())
        assert read_parameters(target.getvalue()) == parse_infotext(LINE)


def test_novelai_with_samplers_of_its_later_models():
    comment = {"steps": 28, "sampler": "k_dpmpp_2s_ancestral", "seed": 1, "scale": 5, "noise_schedule": "karras"}
    found = read_parameters(png(Software="NovelAI", Description="1girl", Comment=json.dumps(comment)))
    assert (found.fields["Sampler"], found.fields["Schedule type"]) == ("DPM++ 2S a", "Karras")
    unknown = json.dumps(comment | {"sampler": "k_unheard_of"})
    assert read_parameters(png(Software="NovelAI", Description="", Comment=unknown)).fields["Sampler"] == "Euler a"


@pytest.mark.parametrize("workflow", [{}, {"workflow": json.dumps({"nodes": [], "links": []})}])
def test_comfyui(workflow):
    assert read_parameters(png((1024, 1536), prompt=graph(), **workflow)) == Infotext(
        "a glass bottle",
        "text, watermark",
        {
            "Steps": "20", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "8.0",
            "Seed": "156680208700286", "Size-1": "512", "Size-2": "768", "Model": "v1-5",
        },
    )  # fmt: skip


def test_comfyui_with_a_second_pass_gives_the_first():
    second = {"class_type": "KSampler", "inputs": {
        "seed": 2, "steps": 9, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.5,
        "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["3", 0],
    }}  # fmt: skip
    nodes = {"1": second} | json.loads(graph())
    assert read_parameters(png(prompt=json.dumps(nodes))).fields["Steps"] == "20"


def test_comfyui_graphs_that_loop_or_are_too_large():
    loop = {"class_type": "X", "inputs": {"a": ["6", 0], "text": 5}}
    assert read_parameters(png(prompt=graph(**{"6": loop}))).fields["Steps"] == "20"
    many = {str(n): {"class_type": "X", "inputs": {"a": [str(n + 1), 0]}} for n in range(10, LIMIT_NODES + 20)}
    assert read_parameters(png(prompt=graph(**many))) is None


def test_invokeai():
    said = {
        "app_version": "5.4.2", "generation_mode": "txt2img", "positive_prompt": "a barn", "negative_prompt": "people",
        "width": 512, "height": 640, "seed": 7, "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k",
        "clip_skip": 1,
        "model": {"key": "k", "hash": "blake3:0", "name": "dreamshaper", "base": "sd-1", "type": "main"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.75}],
    }  # fmt: skip
    assert read_parameters(png(invokeai_metadata=json.dumps(said))) == Infotext(
        "a barn <lora:ink:0.75>",
        "people",
        {
            "Steps": "30", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "7.5", "Seed": "7",
            "Size-1": "512", "Size-2": "640", "Model": "dreamshaper", "Clip skip": "2",
        },
    )  # fmt: skip


def test_invokeai_of_the_first_years():
    found = read_parameters(png((512, 512), Dream='"a barn [people]" -s 50 -S 99 -W 512 -H 512 -C 7.5 -A k_lms'))
    assert (found.prompt, found.negative_prompt) == ("a barn", "people")
    assert found.fields["Sampler"] == "LMS"
    assert found.fields["Seed"] == "99"


def test_fooocus():
    said = {
        "base_model": "juggernautXL", "base_model_hash": "aa", "guidance_scale": 4, "scheduler": "karras", "seed": "5",
        "sharpness": 2, "steps": 30, "sampler": "dpmpp_2m_sde_gpu", "prompt": "a fox", "negative_prompt": "",
        "version": "Fooocus v2.5.5",
    }  # fmt: skip
    found = read_parameters(png(parameters=json.dumps(said)))
    assert (found.prompt, found.fields["Sampler"], found.fields["Seed"]) == ("a fox", "DPM++ 2M SDE", "5")


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a", png(), png(prompt="[]"), png(prompt="{"), png(prompt="[" * 100_000), png(Software="NovelAI"),
     png(Software="NovelAI", Description="", Comment="[1]"), png(invokeai_metadata="{}"), png(Dream="x"),
     png(parameters="  "), png(prompt='{"1": 5, "2": {"inputs": 7}}'), png(parameters=LINE)[:60]],
)  # fmt: skip
def test_pictures_that_say_nothing(data):
    assert read_parameters(data) is None


def test_a_prompt_alone_is_one():
    assert read_parameters(png(parameters="just words")) == Infotext("just words")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


@given(
    st.sampled_from(["parameters", "prompt", "invokeai_metadata", "sd-metadata", "Dream", "Comment"]),
    json_values.map(json.dumps) | st.text(max_size=60),
)
def test_nothing_makes_the_reader_raise(key, text):
    read_parameters(
        png((8, 8), **{"Software": "NovelAI", "Description": "d"} if key == "Comment" else {}, **{key: text})
    )


@given(st.fixed_dictionaries({}, optional={
    "class_type": json_values,
    "inputs": st.dictionaries(st.sampled_from(
        ["seed", "steps", "cfg", "sampler_name", "scheduler", "model", "positive", "negative", "text", "width"]
    ), json_values | st.tuples(st.sampled_from("1234"), st.integers(0, 2)).map(list)),
}), json_values)  # fmt: skip
def test_no_graph_makes_the_reader_raise(node, other):
    read_parameters(png((8, 8), prompt=json.dumps({"1": node, "2": other, "3": json.loads(graph())["3"]})))
