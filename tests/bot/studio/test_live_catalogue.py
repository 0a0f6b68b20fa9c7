"""The catalogue of a running bot: an edit counts at once, a mistake in it changes nothing."""

import pytest

from bot.catalogue import load_catalogue
from bot.studio.live_catalogue import LiveCatalogue

OWN = """[[model]]
key = "house-style"
title = "Our house style"
kind = "lora"
family = "sd1"
urls = ["https://a.example/house.safetensors"]
sha256 = "{0}"
"""


@pytest.fixture
def own(tmp_path):
    return tmp_path / "catalogue.toml"


async def test_edits_count_without_a_restart(own):
    live = LiveCatalogue(own.parent)
    assert live.family_of("a" * 64) is None
    assert (await live.current()).entries == load_catalogue().entries
    own.write_text(OWN.format("a" * 64))
    assert (await live.current()).get("house-style").sha256 == "a" * 64
    assert live.family_of("a" * 64) == "sd1"
    own.write_text(OWN.format("bb" * 32) + "\n")
    assert (await live.current()).get("house-style").sha256 == "b" * 64
    own.unlink()
    assert (await live.current()).get("house-style") is None


async def test_a_mistake_keeps_what_was_there(own, caplog):
    live = LiveCatalogue(own.parent)
    own.write_text("[[model]\n")
    assert (await live.current()).entries == load_catalogue().entries
    own.write_text(OWN.format("a" * 64))
    await live.current()
    own.write_text("nonsense")
    for _ in range(3):
        assert (await live.current()).get("house-style") is not None
    assert caplog.text.count("left as it was") == 2  # once for each mistake


async def test_nothing_is_read_again_that_did_not_change(own, monkeypatch):
    live = LiveCatalogue(own.parent)
    first = await live.current()
    assert await live.current() is first
