"""Several servers share one disk: what a server's admin may not, and who counts as the operator. The bot has a token
here, so nobody is an operator unless the settings name them."""

import pytest

from bot.catalogue import load_catalogue
from bot.library.paths import file_id
from tests.e2e.model_files import listed, lora_bytes, lora_file

OTHER_SERVER = 4242


@pytest.fixture
async def shared(own_product, local_discord):
    """A product with a file of the operator's, one of this server's and one of another's."""
    endpoints = local_discord.start()
    product = own_product(endpoints, PINCEL_WORKERS="0", PINCEL_SERVER_QUOTA_GB="0.000001")
    loras = product.data / "models" / "loras"
    for name in ("of operator", "of ours", "of others"):
        lora_file(loras / f"{name}.safetensors")
    listed(product.start(), 3)
    async with product.person("Admin") as admin:
        await admin.set_locale("en-US")
        server = next(id_ for id_, name in (await admin.boot())["roles"].items() if name == "@everyone")
    product.stop()
    for name, owner in (("of ours", int(server)), ("of others", OTHER_SERVER)):
        id_ = file_id(loras / f"{name}.safetensors", product.data / "models")
        product.execute("INSERT INTO library_records (id, added_by, added_in) VALUES (?, 7, ?)", id_, owner)
    return product


async def told(person, command, place="general", **options):
    answer = await person.slash(place, f"model-admin {command}", options)
    return (await person.shown(place, answer.message_id, lambda m: m.text and not m.loading, 20)).text


async def loras(person, place="general"):
    rows = await person.autocomplete(place, "imagine", "lora", {"lora": "of"})
    return {row["value"] for row in rows if ":" not in row["value"]}


async def test_a_servers_admin(shared):
    product = shared.start()
    async with product.person("Admin") as admin:
        assert await loras(admin) == {"of operator", "of ours"}
        assert await loras(admin, "dm") == {"of operator"}
        answer = await admin.slash("general", "imagine", {"prompt": "x <lora:of others:1>"})
        assert "not enabled here" in await admin.told(answer)

        offered = await admin.autocomplete("general", "model-admin remove", "model", {"model": ""})
        assert [row["name"].split(" · ")[0] for row in offered] == ["of ours"]
        for command, more in (("remove", {}), ("rename", {"name": "x"}), ("note", {"text": "x"}), ("preview", {})):
            assert "belongs to the operator" in await told(admin, command, model="of operator", **more)
            assert "added by another server" in await told(admin, command, model="of others", **more)
        assert "now called" in await told(admin, "rename", model="of ours", name="of us")

        assert "Only the operator can say" in await told(admin, "disable", model="of operator", everywhere=True)
        assert "is disabled in this server" in await told(admin, "disable", model="of operator")
        assert await loras(admin) == {"of us"}
        # Another server's file can be let in.
        assert "is enabled in this server" in await told(admin, "enable", model="of others")
        assert await loras(admin) == {"of us", "of others"}

        assert "In direct messages this is for the operator alone" in await told(admin, "audit", "dm")
        assert "used" in await told(admin, "add", links="https://a.example/x.safetensors")
        known = next(entry.key for entry in load_catalogue().entries if entry.installable)
        assert "beyond" in await told(admin, "install", name=known)
        disk = await told(admin, "disk")
        assert "Added by this server" in disk
        assert "Free on the disk" not in disk
        answer = await admin.slash("general", "model-admin add", {}, {"file": ("x.safetensors", lora_bytes("x"))})
        assert "beyond" in await admin.told(answer)


async def test_an_operator_named_in_the_settings(shared):
    product = shared.start()
    async with product.person("Moderator") as moderator:
        operator = moderator.user_id
        # Being an operator opens no command that Discord does not show: in the server the permission decides.
        assert not any(row["name"].startswith("model-admin") for row in (await moderator.commands("general"))["slash"])
    product.stop()
    product.settings["PINCEL_OPERATORS"] = f"1, {operator}"
    product.start()
    async with product.person("Moderator") as moderator, product.person("Admin") as admin:
        assert "disabled everywhere" in await told(moderator, "disable", "dm", model="of operator")
        assert "of operator" not in await loras(admin)
        assert "operator has disabled" in await told(admin, "enable", model="of operator")
        assert "Free on the disk" in await told(moderator, "disk", "dm")
        assert "about one server" in await told(moderator, "favourite", "dm", model="of ours")
        assert "belong to a server" not in await told(moderator, "rules", "dm")
        answer = await moderator.slash("dm", "model-admin remove", {"model": "of others"})
        card = await moderator.shown("dm", answer.message_id, lambda m: "is removed" in m.text, 20)
        await moderator.click(card, "Undo")
        await moderator.shown("dm", card.id, lambda m: "is back" in m.text, 20)
        assert "brought back" in await told(moderator, "audit", "dm")
