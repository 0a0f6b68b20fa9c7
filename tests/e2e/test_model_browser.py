"""The browsers, through the playground: what they show, how their buttons go on, and what a picture gets of them."""

import pytest
from PIL import Image

from tests.e2e.model_files import listed, lora_file
from tests.e2e.product import Product


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """Thirty LoRAs, one with a picture, the demo checkpoint and its three ControlNets; nobody draws."""
    product = Product(tmp_path_factory.mktemp("stocked"), {"PINCEL_WORKERS": "0"})
    loras = product.data / "models" / "loras"
    for number in range(30):
        lora_file(loras / f"brush {number:02}.safetensors", words=(f"stroke{number}",))
    Image.new("RGB", (900, 1200), "red").save(loras / "brush 00.png")
    yield listed(product.start(), 30)
    product.stop()


async def opened(member, command="loras", **options):
    answer = await member.slash("general", command, options)
    return await member.shown("general", answer.message_id, lambda m: "###" in m.text, 20)


async def chosen(member, card, placeholder, label):
    """Chooses a row of a list by what it says."""
    row = next(row for row in card.find(placeholder)["options"] if row["label"] == label)
    await member.select(card, placeholder, [row["value"]])


async def test_pages_search_details_and_the_next_picture(stocked):
    async with stocked.person() as member:
        card = await opened(member)
        assert "30 models" in card.text
        assert "page 1 of 4" in card.text
        assert len(card.media) == 1
        picture = await member.download(card.media[0])
        assert len(picture) < 20_000
        await member.click(card, "Next")
        card = await member.shown("general", card.id, lambda m: "page 2 of 4" in m.text, 20)
        await member.submit_modal(await member.click(card, "Search"), {"text": "stroke17"})
        card = await member.shown("general", card.id, lambda m: "1 model" in m.text, 20)
        await chosen(member, card, "Details of …", "brush 17")
        card = await member.shown("general", card.id, lambda m: "Trigger words" in m.text, 20)
        assert "SD 1" in card.text
        await member.click(card, "… with its trigger words")
        card = await member.shown("general", card.id, lambda m: "next picture will use" in m.text, 20)

        # What is chosen is drawn with once, and said; what is typed stays first.
        spec = member.spec(await member.begin(prompt="a cat --steps 3", count=1))
        assert spec["prompt"] == "a cat, stroke17 <lora:brush 17:1>"
        assert spec["steps"] == 3
        await member.wait_for_message("general", lambda m: "brush 17" in m.text and "chose for this picture" in m.text)
        assert member.spec(await member.begin(prompt="a dog", count=1))["prompt"] == "a dog"

        await member.click(card, "To the list")
        card = await member.shown("general", card.id, lambda m: "search: stroke17" in m.text, 20)
        assert "next picture" not in card.text


async def test_a_choice_that_fits_no_more_is_left_out_and_said(stocked):
    async with stocked.person() as member:
        card = await opened(member, search="brush 03")
        await chosen(member, card, "Details of …", "brush 03")
        card = await member.shown("general", card.id, lambda m: "Trigger words" in m.text, 20)
        await member.click(card, "Use in next picture")
        card = await member.shown("general", card.id, lambda m: "next picture will use" in m.text, 20)
        await member.click(card, "Clear choice")
        card = await member.shown("general", card.id, lambda m: "next picture will use" not in m.text, 20)
        assert member.spec(await member.begin(prompt="a bird", count=1))["prompt"] == "a bird"


async def test_filters_and_kinds(stocked):
    async with stocked.person() as member:
        card = await opened(member, "models")
        assert "34 models" in card.text  # with the demo's own ControlNets
        await chosen(member, card, "Kind", "Checkpoint")
        card = await member.shown("general", card.id, lambda m: "1 model" in m.text, 20)
        assert "pincel-demo" in card.text
        card = await opened(member, "models", search="there is no such model")
        assert "Nothing fits" in card.text
        card = await opened(member, "loras", base="sdxl")
        assert "0 models" in card.text
        bases = await member.autocomplete("general", "loras", "base", {"base": ""})
        assert [choice["value"] for choice in bases]


async def test_buttons_work_after_a_restart_and_for_nobody_else(own_product, local_discord):
    product = own_product(local_discord.start(), PINCEL_WORKERS="0")
    for number in range(20):
        lora_file(product.data / "models" / "loras" / f"brush {number:02}.safetensors")
    listed(product.start(), 20)
    async with product.person() as member:
        card = await opened(member)
        product.kill()
        product.start()
        await member.wait_for_bot(60, "imagine")
        await member.click(card, "Next")
        card = await member.shown("general", card.id, lambda m: "page 2 of 3" in m.text, 20)
        await chosen(member, card, "Details of …", "brush 09")
        card = await member.shown("general", card.id, lambda m: "Trigger words" in m.text, 20)
        product.execute("UPDATE model_shelves SET user_id = 1")
        assert "somebody else's" in await member.told(await member.click(card, "To the list"))


async def test_autocomplete_ranks_and_thousands_are_quick(stocked):
    async with stocked.person() as member:
        rows = await member.autocomplete("general", "imagine", "lora", {"lora": "brush"})
        assert len(rows) == 25
        rows = await member.autocomplete("general", "imagine", "lora", {"lora": "stroke29"})
        assert rows[0]["value"] == "brush 29"
        for _ in range(3):
            await member.begin(prompt="a tree", lora="brush 21", count=1)
        rows = await member.autocomplete("general", "imagine", "lora", {"lora": ""})
        assert rows[0]["value"] == "brush 21"
