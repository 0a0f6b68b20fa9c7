"""/control through the real worker: a picture leads, is kept by what goes on from it, and its map can be seen."""

import io

import pytest
from diffusers import UNet2DConditionModel
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from bot.settings import CHECKOUT
from tests.e2e.visitor import finished
from tests.gpu_worker.engine.control_files import controlnet


def box():
    image = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(image).rectangle((32, 32, 96, 96), outline="black", width=6)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


async def parameters(member, card):
    with Image.open(io.BytesIO(await member.download(card.media[0]))) as picture:
        return picture.convert("RGB").tobytes(), picture.text["parameters"]


@pytest.fixture
def led(own_product):
    product = own_product()
    folder = product.data / "models" / "controlnet"
    folder.mkdir(parents=True)
    unet = UNet2DConditionModel.from_pretrained(CHECKOUT / "data" / "demo" / "sd-mini" / "unet")
    save_file(controlnet(unet).state_dict(), folder / "own_canny.safetensors")
    return product.start()


async def test_a_picture_leads_a_drawing(led):
    async with led.person("Member") as member:

        async def drawn(answer):
            return await member.wait_for_message("general", lambda m: m.id == answer.message_id and finished(m), 180)

        async def control(**options):
            options = {"prompt": "a red apple", "model": "own_canny", "count": 1, "seed": 7, "steps": 4, **options}
            return await drawn(
                await member.slash("general", "control", options, attachments={"image": ("b.png", box())})
            )

        card = await control()
        pixels, text = await parameters(member, card)
        assert 'ControlNet 0: "Module: canny, Model: own_canny [' in text
        without = await parameters(member, await control(weight=0.0))
        assert without[0] != pixels
        plain = await member.slash("general", "imagine", {"prompt": "a red apple", "count": 1, "seed": 7, "steps": 4})
        assert (await parameters(member, await drawn(plain)))[0] == without[0]  # weight 0 is no control
        # The text of the picture draws it again: its control picture is taken from the record.
        again = await member.slash("general", "imagine", {"prompt": text.replace("\n", " ")})
        assert (await parameters(member, await drawn(again)))[0] == pixels
