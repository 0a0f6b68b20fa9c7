"""Installing from the catalogue: whole sets, what is left out by name, and what the list offers."""

from types import SimpleNamespace

import pytest

from bot.catalogue import load_catalogue
from bot.errors import UserFacingError
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.model_admin.adding import LINKS_MAX
from bot.studio.model_admin.choices import AdminChoices
from tests.bot.studio.admin_rig import Talk
from tests.bot.studio.test_download_board import Known


class Many(Known):
    async def add(self, wish):
        download = await super().add(wish)
        self.found[f"x{len(self.found)}"] = download
        return download


@pytest.fixture
async def shop(rig):
    rig.downloads, rig.catalogue = Many(), LiveCatalogue(rig.data)
    await rig.start()
    return rig


async def test_a_set_of_more_than_links_are_taken_at_once(shop):
    wanted = [entry for entry in load_catalogue().sets["annotators"] if entry.installable]
    assert len(wanted) > LINKS_MAX
    await shop.adding.install(talk := Talk(), "annotators", hold=True)
    wishes = {download.wish for download in shop.downloads.found.values()}
    assert len(shop.downloads.found) == len(wanted) + 1
    assert all(wish.held for wish in wishes)
    assert talk.log == ["defer", "edit", "send"], "what has no hash yet is named"


async def test_what_is_left_out_is_named_to_who_asked(shop):
    entries = load_catalogue().sets["checkpoints"]
    await shop.adding.install(talk := Talk(), "checkpoints", hold=False)
    assert talk.log == ["defer", "edit", "send"]
    for entry in entries:
        assert (entry.title in talk.said[1]) == (not entry.installable)
    assert "models verify" in talk.said[1]


async def test_a_link_that_is_refused_is_told_besides_the_card(shop):
    async def add(wish):
        if "two" in wish.link:
            raise UserFacingError("download_running")
        return await Known.add(shop.downloads, wish)

    shop.downloads.add = add
    links = "https://a.example/one.safetensors, https://a.example/two.safetensors"
    options = dict.fromkeys(("file", "kind", "name", "sha256"))
    await shop.adding.add(talk := Talk(), links=links, hold=False, **options)
    assert talk.log == ["defer", "edit", "send"]
    assert "being downloaded already" in talk.said[1]


async def test_only_what_can_be_installed_is_offered(shop, tmp_path):
    (shop.data / "catalogue.toml").write_text(
        '[[model]]\nkey = "unknown-one"\ntitle = "U"\nkind = "lora"\npage = "https://a.example/u"\nsets = ["odd"]\n'
    )
    choices = AdminChoices(shop.library, shop.rules, SimpleNamespace(), shop.catalogue, shop.stewards)
    rows = {row.value: row.name for row in await choices.catalogue("")}
    assert {"start", "annotators"} <= set(rows)
    assert "odd" not in rows
    assert [row.value for row in await choices.catalogue("unknown-one")][:1] != ["unknown-one"]
    entry = next(entry for entry in load_catalogue().entries if entry.installable)
    (row,) = [row for row in await choices.catalogue(entry.key) if row.value == entry.key]
    assert row.name == f"{entry.key} · {entry.title}"[:100]
