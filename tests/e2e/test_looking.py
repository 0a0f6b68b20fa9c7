"""Finished pictures through the real worker: described by a tagger, enlarged, and drawn over."""

import io

from PIL import Image

from tests.e2e.visitor import finished
from tests.gpu_worker.engine.small_tagger import write_tagger


def red(width=48, height=32):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (250, 10, 10)).save(out, "PNG")
    return out.getvalue()


async def test_a_picture_is_described_drawn_and_enlarged(own_product):
    product = own_product()
    write_tagger(product.data / "models" / "taggers" / "colours")
    product.start()
    async with product.person("Member") as member:
        files = {"image": ("red.png", red())}
        answer = await member.slash("general", "describe", {"general": 0.6}, attachments=files)
        card = await member.wait_for_message(
            "general", lambda m: m.id == answer.message_id and "Draw this" in m.labels, 120
        )
        assert "mostly red" in card.text
        assert "mostly blue" not in card.text
        answer = await member.click(card, "Draw this")
        drawn = await member.wait_for_message("general", lambda m: m.id == answer.message_id and finished(m), 120)
        assert len(drawn.media) >= 1
        answer = await member.slash("general", "upscale", {"factor": 3, "upscaler": "Lanczos"}, attachments=files)
        large = await member.wait_for_message("general", lambda m: m.id == answer.message_id and finished(m), 60)
        with Image.open(io.BytesIO(await member.download(large.media[0]))) as picture:
            assert picture.size == (144, 96)
        options = {"factor": 2, "denoise": 0.3, "prompt": "a red wall"}
        answer = await member.slash("general", "upscale", options, attachments={"image": ("red.png", red(128, 96))})
        detailed = await member.wait_for_message("general", lambda m: m.id == answer.message_id and finished(m), 120)
        with Image.open(io.BytesIO(await member.download(detailed.media[0]))) as picture:
            assert picture.size == (256, 192)
            assert "a red wall" in picture.text["parameters"]
