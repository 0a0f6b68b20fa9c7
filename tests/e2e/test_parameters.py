"""Parameters beyond the common ones: the panel behind "advanced", and pictures to start from."""

import io

from PIL import Image

from tests.e2e.look import background
from tests.e2e.visitor import APPLE


def picture(colour, size=(128, 128), box=None):
    image = Image.new("RGB", size, "black" if box else colour)
    if box:
        image.paste(colour, box)
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


async def test_the_panel_gathers_settings_before_anything_is_drawn(member):
    answer = await member.slash(
        "general", "imagine", {"prompt": APPLE, "seed": 5, "steps": 4, "count": 1, "advanced": True}
    )
    panel = await member.shown("general", answer.message_id, lambda m: m.ephemeral, 10)
    assert panel.labels == (
        "Prompt", "Numbers", "Start from a picture", "Second pass", "Seeds", "Sampler", "Model",
        "ControlNet", "Regions", "Fix details", "Draw", "Draw for me alone",
    )  # fmt: skip
    form = await member.click(panel, "Second pass")
    await member.submit_modal(form, {"hires": "1.5", "denoising_strength": "0,3", "hires_steps": "2"})
    form = await member.click(panel, "Seeds")
    shown = {part["component"]["custom_id"]: part["component"] for part in form.modal["components"]}
    assert shown["seed"]["value"] == "5"
    await member.submit_modal(form, {"variation": "9:0.2"})
    panel = await member.message("general", answer.message_id)
    assert "Hires upscale: 1.5" in panel.text
    assert "Variation seed: 9" in panel.text
    # What cannot be is refused, and the panel stays as it was.
    form = await member.click(panel, "Second pass")
    refusal = await member.submit_modal(form, {"hires": "9"})
    assert "cannot be 9" in await member.told(refusal)
    card = await member.press(panel, "Draw")
    spec = member.spec(card)
    assert (spec["hires"]["scale"], spec["hires"]["denoising_strength"], spec["hires"]["steps"]) == (1.5, 0.3, 2)
    assert (spec["seed"], spec["variations"]) == (5, [{"seed": 9, "strength": 0.2}])
    assert [found.size for found in await member.pictures(card)] == [(192, 192)]
    # A reroll keeps the second pass, and the form behind Edit shows it.
    form = await member.click(card, "Edit")
    lines = {part["component"]["custom_id"]: part["component"].get("value") for part in form.modal["components"]}
    assert "Hires upscale: 1.5, Hires steps: 2, Hires upscaler: Lanczos" in lines["parameters"]


async def test_a_given_picture_is_repainted_inside_its_mask_and_kept(member):
    mask = picture("white", box=(64, 0, 128, 128))
    answer = await member.slash(
        "general",
        "imagine",
        {"prompt": "a red square --mask-blur 0", "seed": 3, "steps": 6, "count": 1, "denoise": 0.9},
        {"image": ("start.png", picture("blue")), "mask": ("mask.png", mask)},
    )
    card = await member.shown("general", answer.message_id)
    (drawn,) = await member.pictures(card)
    assert drawn.size == (128, 128)
    assert drawn.convert("RGB").crop((0, 0, 56, 128)).getcolors() == [(56 * 128, (0, 0, 255))]
    assert len(drawn.crop((64, 0, 128, 128)).getcolors(99999)) > 10
    spec = member.spec(card)
    assert (spec["kind"], spec["mask"]["blur"], spec["denoising_strength"]) == ("img2img", 0, 0.9)
    # The picture is kept for as long as its card, so that it can be drawn again.
    again = await member.press(card, "Reroll")
    assert member.spec(again)["image"] == spec["image"]
    upscaled = await member.press(card, "Creative")
    assert [found.size for found in await member.pictures(upscaled)] == [(256, 256)]
    assert background((await member.pictures(upscaled))[0]) == "blue"
    refused = await member.slash("general", "imagine", {"prompt": "x"}, {"image": ("notes.png", b"no picture")})
    text = (await member.wait_for_message("general", lambda m: m.ephemeral and "as a picture" in m.text, 10)).text
    assert "PNG, JPEG" in text
    assert await member.message("general", refused.message_id) is None
