"""Where a machine may have a file from: addresses that give it to anybody."""

import pytest

from bot.studio.fetchable import sources_of
from bot.studio.live_catalogue import LiveCatalogue
from tests.bot.dispatch.test_needs import Shelf

PAGE = "https://huggingface.co/somebody/some-model/blob/main/files/a%20b.safetensors"


@pytest.fixture
async def catalogue(tmp_path):
    found = LiveCatalogue(tmp_path)
    await found.current()
    return found


@pytest.mark.parametrize(
    ("page", "address"),
    [
        (PAGE, "https://huggingface.co/somebody/some-model/resolve/main/files/a%20b.safetensors"),
        ("https://huggingface.co/somebody/some-model", None),
        ("https://huggingface.co/somebody/some-model/tree/main", None),
        ("http://huggingface.co/somebody/some-model/blob/main/a.safetensors", None),
        ("https://elsewhere.example/somebody/some-model/blob/main/a.safetensors", None),
        ("https://civitai.com/models/1", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_files_page_tells_its_address(tmp_path, catalogue, page, address):
    file = Shelf(tmp_path).add("lora", "brush", source=page)
    assert sources_of(catalogue)(file) == address


async def test_the_catalogue_knows_files_by_their_hash(tmp_path, catalogue):
    entry = next(entry for entry in (await catalogue.current()).entries if entry.sha256 and entry.urls)
    file = Shelf(tmp_path).add("upscaler", "up", sha256=entry.sha256)
    assert sources_of(catalogue)(file) == entry.urls[0]
