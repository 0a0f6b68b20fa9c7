"""A picture's parameters are read in a process of its own, which may die or hang without harm."""

import io
import json

import pytest
from PIL import Image, PngImagePlugin

from bot.studio.reading import PictureReader

TEXT = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768, Model: x"


def png(**texts):
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text)
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


async def test_the_text_as_it_stands_there():
    assert await PictureReader().infotext(png(parameters=TEXT)) == TEXT


async def test_another_programs_text_as_a1111_would_write_it():
    fooocus = {
        "base_model": "juggernautXL", "base_model_hash": "aa", "guidance_scale": 4, "scheduler": "karras", "seed": "77",
        "sharpness": 2, "steps": 30, "sampler": "dpmpp_2m_sde_gpu", "prompt": "a fox", "negative_prompt": "",
        "version": "Fooocus v2.5.5",
    }  # fmt: skip
    found = await PictureReader().infotext(png(parameters=json.dumps(fooocus)))
    assert found is not None
    assert "a fox" in found
    assert "Seed: 77" in found


@pytest.mark.parametrize("data", [b"", b"no picture", png()], ids=["nothing", "garbage", "silent"])
async def test_what_says_nothing(data):
    assert await PictureReader().infotext(data) is None


async def test_a_reader_that_takes_too_long_is_ended():
    assert await PictureReader(timeout_s=0.001).infotext(png(parameters=TEXT)) is None
