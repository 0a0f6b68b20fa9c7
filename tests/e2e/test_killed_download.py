"""A kill while a link is fetched: nothing half is visible, and the same card goes on to the end."""

from pathlib import Path

import pytest

from tests.e2e.product import Product
from tests.e2e.test_adding_by_link import MODEL, serving

HALF = len(MODEL) // 2


@pytest.fixture
def product(tmp_path):
    found = Product(tmp_path / "product", script=Path(__file__).with_name("loopback_bot.py"))
    yield found.start()
    found.stop()


def models(product):
    return [file.name for file in (product.data / "models").rglob("*") if file.is_file()]


async def test_a_killed_download_goes_on_in_its_own_card(product):
    async with serving() as host:
        async with product.person("Admin") as admin:
            await admin.set_locale("en-US")
            answer = await admin.slash("general", "model-admin add", {"links": f"{host.link}, {host.link}?second"})
            card = await admin.shown("general", answer.message_id, lambda m: "50 %" in m.text, 30)
            product.kill()
        assert models(product) == []

        product.start()
        async with product.person("Admin") as admin:
            # Nobody presses anything: the card of the life before is found, and its button works.
            again = await admin.shown("general", card.id, lambda m: "▰" in m.text, 60)
            assert "Cancel" in again.labels
            assert models(product) == []
            host.go.set()
            await admin.shown("general", card.id, lambda m: "added" in m.text and "▰" not in m.text, 60)
            await admin.wait_for_message("general", lambda m: "model added" in m.text or "models added" in m.text, 30)
            said = [m for m in await admin.messages("general") if "inky" in m.text and "added" in m.text]
            assert len([m for m in said if m.id == card.id]) == 1
        assert (product.data / "models" / "loras" / "inky.safetensors").read_bytes() == MODEL
        assert models(product).count("inky.safetensors") == 1
