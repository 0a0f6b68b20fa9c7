"""A model on its whole way from a link to a member's picture: added with its progress, held, tested, enabled, used."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.model_files import lora_bytes
from tests.e2e.product import Product

MODEL = lora_bytes("inky", ["inkwash"], width=64, rank=8)
"""It fits the demo checkpoint."""


class Host:
    """Serves one file, the second half of it when `go` is set."""

    def __init__(self):
        self.go = asyncio.Event()

    async def answer(self, request):
        response = web.StreamResponse(headers={"Content-Length": str(len(MODEL))})
        await response.prepare(request)
        await response.write(MODEL[:100])
        await asyncio.sleep(0.5)  # what comes within a moment is written, and told, together
        await response.write(MODEL[100 : len(MODEL) // 2])
        await self.go.wait()
        await response.write(MODEL[len(MODEL) // 2 :])
        return response


@contextlib.asynccontextmanager
async def serving():
    host, app = Host(), web.Application()
    app.router.add_get("/inky.safetensors", host.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.link = f"http://127.0.0.1:{runner.addresses[0][1]}/inky.safetensors"
    try:
        yield host
    finally:
        await runner.cleanup()


@pytest.fixture
def product(tmp_path):
    found = Product(tmp_path / "product", script=Path(__file__).with_name("loopback_bot.py"))
    yield found.start()
    found.stop()


async def offered(person):
    rows = await person.autocomplete("general", "imagine", "lora", {"lora": "inky"})
    return [row["value"] for row in rows if ":" not in row["value"]]


async def test_from_a_link_to_a_members_picture(product):
    async with serving() as host, product.person("Admin") as admin, product.person("Member") as member:
        await admin.set_locale("en-US")
        await member.set_locale("en-US")
        answer = await admin.slash("general", "model-admin add", {"links": host.link, "hold": True})

        # Everybody sees how far it is.
        card = await admin.shown("general", answer.message_id, lambda m: "▰" in m.text and "50 %" in m.text, 30)
        assert "inky.safetensors" in card.text
        assert "Cancel" in card.labels
        host.go.set()
        await admin.shown("general", card.id, lambda m: "✅ added" in m.text, 30)
        end = await admin.wait_for_message("general", lambda m: "1 model added" in m.text, 30)
        assert "disabled until" in end.text
        assert end.labels == ("Test", "Enable")
        assert (product.data / "models" / "loras" / "inky.safetensors").read_bytes() == MODEL

        # Held: nobody else can use it, but its test is drawn.
        assert await offered(member) == []
        refused = await member.slash("general", "imagine", {"prompt": "a tree", "lora": "inky"})
        assert "not enabled here" in await member.told(refused)
        assert "Only admins" in await member.told(await member.click(end, "Test"))
        test = await admin.shown("general", (await admin.click(end, "Test")).message_id)
        assert len(test.media) == 1
        assert test.labels == ("Enable", "Delete")
        assert "inky" in str(admin.spec(test))
        assert await offered(member) == []

        assert "is enabled in this server" in await admin.told(await admin.click(test, "Enable"))
        assert await offered(member) == ["inky"]
        picture = await member.imagine(prompt="a tree", lora="inky", count=1, steps=2)
        assert len(picture.media) == 1
        assert "<lora:inky:1" in member.spec(picture)["prompt"]
