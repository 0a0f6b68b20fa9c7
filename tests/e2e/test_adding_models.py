"""Adding a model from an attached file: the card, the word at the end, held back until enabled, and what is refused.

Links go through the same board; what happens to them on the way is tested with the downloads.
"""

import pytest

from tests.e2e.model_files import lora_bytes
from tests.e2e.product import Product


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    product = Product(tmp_path_factory.mktemp("empty"), {"PINCEL_WORKERS": "0"})
    yield product.start()
    product.stop()


@pytest.fixture
async def operator(empty):
    async with empty.person("Admin") as visitor:
        await visitor.set_locale("en-US")
        yield visitor


async def add(person, filename, data, **options):
    answer = await person.slash("general", "model-admin add", options, {"file": (filename, data)})
    return answer.message_id


async def told(person, of):
    return await person.wait_for_message(
        "general", lambda m: "added" in m.text and of in m.text and "Adding models" not in m.text, 90
    )


async def loras(person, typed):
    rows = await person.autocomplete("general", "imagine", "lora", {"lora": typed})
    return [row["value"] for row in rows if ":" not in row["value"]]  # a whole name is offered with weights, too


async def test_an_attached_file_is_checked_added_and_told(empty, operator):
    card = await add(operator, "myink.safetensors", lora_bytes("myink", ["inky"]))
    end = await told(operator, "myink")
    assert "1 model added" in end.text
    assert not end.ephemeral
    assert end.labels == ("Test",)
    await operator.shown("general", card, lambda m: "✅ added" in m.text and "Cancel" not in m.labels, 20)
    assert (empty.data / "models" / "loras" / "myink.safetensors").exists()
    assert await loras(operator, "myink") == ["myink"]
    answer = await operator.slash("general", "model-admin audit")
    assert "added" in await operator.told(answer)


async def test_a_held_file_waits_for_its_button(empty, operator):
    await add(operator, "oil.safetensors", lora_bytes("oil"), hold=True, name="late oil")
    end = await told(operator, "late oil")
    assert "disabled until" in end.text
    assert await loras(operator, "late oil") == []
    async with empty.person("Member") as member:
        assert "Only admins" in await member.told(await member.click(end, "Enable"))
    assert "is enabled" in await operator.told(await operator.click(end, "Enable"))
    assert await loras(operator, "late oil") == ["late oil"]


async def test_what_is_no_model_is_refused_and_said(empty, operator):
    card = await add(operator, "fake.safetensors", b"\xff\0\0\0\0\0\0\0{ no model")
    await operator.shown("general", card, lambda m: "❌" in m.text, 60)
    await operator.wait_for_message("general", lambda m: "0 models added" in m.text and "fake" in m.text, 60)
    assert not list((empty.data / "models" / "loras").glob("fake*"))


async def test_nothing_under_way_and_a_download_that_is_over(operator):
    answer = await operator.slash("general", "model-admin downloads")
    assert "Nothing is being downloaded" in await operator.told(answer)
