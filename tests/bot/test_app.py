"""The client: which commands it has, how they read in each language, and that Discord is told only of changes."""

import re
from pathlib import Path

import discord
import pytest

from bot.app import EXTENSIONS, CatalogueTranslator, create_bot
from bot.playground.child import PlaygroundProcess
from bot.playground.redirect import point_discord_at
from bot.settings import Settings
from bot.storage.database import open_database
from bot.studio import StudioParts

CHECKOUT = Path(__file__).resolve().parents[2]
OPERATIONS = ("setup", "panel", "usage", "doctor", "backup", "addons", "prompt-log", "workers")


class NoWorkers:
    """A transport with nobody at the other end."""

    connected = True

    async def start(self, on_message, on_gone): ...
    async def stop(self): ...
    async def settled(self, message): ...
    async def send(self, worker, message): ...


@pytest.fixture
async def parts(tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_DATA", str(tmp_path))
    database = await open_database(tmp_path / "pincel.sqlite")
    yield StudioParts(Settings(), database, NoWorkers())
    await database.close()


@pytest.fixture
async def bot(parts):
    async with create_bot(parts) as made:
        yield made


@pytest.fixture
async def payloads(bot):
    """What Discord would be sent of slash commands, by name."""
    await bot.tree.set_translator(CatalogueTranslator())
    for extension in EXTENSIONS:
        await bot.load_extension(extension)
    commands = bot.tree.get_commands(type=discord.AppCommandType.chat_input)
    found = [await c.get_translated_payload(bot.tree, bot.tree.translator) for c in commands]
    return {payload["name"]: payload for payload in found}


def every_part(payload):
    """The command, its sub-commands, its options."""
    yield payload
    for option in payload.get("options", []):
        yield from every_part(option)


def characters(part, locale):
    """Of the 8000 that a command may have: name, description and values of it and everything in it."""
    total = 0
    for each in every_part(part):
        for key in ("name", "description"):
            total += len((each.get(f"{key}_localizations") or {}).get(locale, each[key]))
        for choice in each.get("choices", []):
            total += len((choice.get("name_localizations") or {}).get(locale, choice["name"])) + len(
                str(choice["value"])
            )
    return total


async def test_the_commands_there_are(payloads):
    assert set(payloads) == {
        "imagine", "style", "queue", "cancel", "help", "models", "loras", "model-admin", "settings",
        "blend", "control", "regions", "describe", "detail-fix", "png-info", "preprocess", "upscale", "ultimate",
        "inpaint",
        "random", "repeat",
        "limits", "quota", "moderation", "plot", "matrix",
        *OPERATIONS,
        "tags", "wildcards",
        "history", "forget-me", "starboard", "retention", "dataset", "train",
    }  # fmt: skip
    assert {option["name"] for option in payloads["style"]["options"]} == {
        "save", "list", "show", "rename", "delete", "versions", "share", "import", "export", "propose", "review",
    }  # fmt: skip


async def test_the_menus_of_messages(bot, payloads):
    menus = bot.tree.get_commands(type=discord.AppCommandType.message)
    found = [await menu.get_translated_payload(bot.tree, bot.tree.translator) for menu in menus]
    assert {menu["name"] for menu in found} >= {
        "Picture info",
        "Upscale",
        "Describe",
        "Save as style",
        "Add to dataset",
    }
    assert 5 < len(found) <= 15, "Discord takes 15, and discord.py 5 by itself"
    for menu in found:
        assert all(1 <= len(name) <= 32 for name in (menu["name"], *menu["name_localizations"].values()))
        assert menu["name_localizations"]["es-ES"] != menu["name"]
        assert (set(menu["contexts"]), set(menu["integration_types"])) == ({0, 1, 2}, {0, 1})


async def test_as_many_menus_of_messages_as_discord_takes(bot, payloads):
    async def callback(interaction: discord.Interaction, message: discord.Message) -> None: ...

    first, *others = (discord.app_commands.ContextMenu(name=f"Menu {n}", callback=callback) for n in range(16))
    bot.tree.add_command(first)
    with pytest.raises(discord.app_commands.CommandAlreadyRegistered):
        bot.tree.add_command(first)
    bot.tree.add_command(first, override=True)
    room = 15 - len(bot.tree.get_commands(type=discord.AppCommandType.message))
    for menu in others[:room]:
        bot.tree.add_command(menu)
    with pytest.raises(discord.app_commands.CommandLimitReached, match="15"):
        bot.tree.add_command(others[room])
    guild = discord.Object(7)  # of PINCEL_TEST_GUILD
    bot.tree.copy_global_to(guild=guild)
    copied = bot.tree.get_commands(type=discord.AppCommandType.message, guild=guild)
    assert copied == bot.tree.get_commands(type=discord.AppCommandType.message)
    assert {command.name for command in bot.tree.get_commands(guild=guild)} >= {
        "dataset",
        *(one.name for one in copied),
    }


async def test_every_name_and_description_exists_in_spanish_and_fits(payloads):
    for payload in payloads.values():
        for part in every_part(payload):
            names = {"en": part["name"], **(part["name_localizations"] or {})}
            descriptions = {"en": part["description"], **(part["description_localizations"] or {})}
            for locale in ("en", "es-ES", "es-419"):
                assert re.fullmatch(r"[-_\w]{1,32}", names[locale]), (locale, part["name"])
                assert names[locale] == names[locale].lower()
                assert 1 <= len(descriptions[locale]) <= 100, (locale, part["name"])
            assert len(part.get("options", [])) <= 25
            for choice in part.get("choices", []):
                assert 1 <= len(choice["name"]) <= 100
            assert len(part.get("choices", [])) <= 25
        for locale in ("en-US", "es-ES"):
            assert characters(payload, locale) <= 8000


async def test_no_two_options_of_a_command_share_a_name_in_any_language(payloads):
    for payload in payloads.values():
        for part in every_part(payload):
            for locale in ("en-US", "es-ES", "es-419"):
                names = [(o.get("name_localizations") or {}).get(locale, o["name"]) for o in part.get("options", [])]
                assert len(set(names)) == len(names), (part["name"], locale, names)


async def test_commands_work_in_servers_and_direct_messages_and_ask_for_no_privilege(bot, payloads):
    for name, payload in payloads.items():
        if name in ("model-admin", "limits", "moderation", "starboard", "retention", *OPERATIONS):
            continue
        assert set(payload["contexts"]) == {0, 1, 2}
        assert set(payload["integration_types"]) == {0, 1}
        assert not payload["default_member_permissions"]
    intents = bot.intents
    assert not intents.members
    assert not intents.presences
    assert not intents.message_content
    mentions = bot.allowed_mentions
    assert not any((mentions.everyone, mentions.users, mentions.roles, mentions.replied_user))


async def test_what_admins_do_with_the_bot_asks_for_manage_server_and_belongs_to_servers_that_installed_it(payloads):
    for name in OPERATIONS:
        payload = payloads[name]
        assert set(payload["contexts"]) == {0, 1}
        assert set(payload["integration_types"]) == {0}
        assert payload["default_member_permissions"] == discord.Permissions(manage_guild=True).value


async def test_looking_after_models_asks_for_manage_server_and_belongs_to_servers_that_installed_it(payloads):
    payload = payloads["model-admin"]
    assert int(payload["default_member_permissions"]) == discord.Permissions(manage_guild=True).value
    assert payload["integration_types"] == [0]
    # In direct messages with the bot it is there for operators.
    assert set(payload["contexts"]) == {0, 1}


async def test_loading_all_cogs_twice_clashes_with_nothing_but_themselves(bot, payloads):
    names = [command.qualified_name for command in bot.tree.walk_commands()]
    assert len(set(names)) == len(names)
    assert len(names) >= 35


def test_extensions_are_all_there_is_in_cogs():
    found = {f"cogs.{path.stem}" for path in (CHECKOUT / "cogs").glob("*.py") if path.stem != "__init__"}
    assert found == set(EXTENSIONS)


async def test_commands_are_sent_only_when_they_have_changed(tmp_path, bot, monkeypatch, caplog):
    gateway = discord.gateway.DiscordWebSocket
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(gateway, "DEFAULT_GATEWAY", gateway.DEFAULT_GATEWAY)
    monkeypatch.setattr(discord.asset.Asset, "BASE", discord.asset.Asset.BASE)
    async with PlaygroundProcess(tmp_path / "playground") as playground:
        point_discord_at(playground.endpoints)
        await bot.login(playground.endpoints.token)  # its setup_hook sends them the first time
        assert await bot.sync_if_changed(bot.studio.facts) is False
        bot.tree.remove_command("help")
        assert await bot.sync_if_changed(bot.studio.facts) is True
        assert await bot.sync_if_changed(bot.studio.facts) is False
        # Another application is another list.
        await bot.studio.facts.put(f"commands:{bot.application_id}:global", "of another time")
        assert await bot.sync_if_changed(bot.studio.facts) is True


async def test_no_warning_of_missing_voice_libraries(parts, monkeypatch, caplog):
    monkeypatch.setattr(discord.VoiceClient, "warn_nacl", True)
    monkeypatch.setattr(discord.VoiceClient, "warn_dave", True)
    async with create_bot(parts):
        assert not [record for record in caplog.records if "voice" in record.getMessage()]


async def test_what_follows_the_start_is_done_when_all_is_loaded(parts, monkeypatch):
    order = []

    async def start():
        order.append("studio")

    async with create_bot(parts, sync_commands=False, started=lambda: order.append("started")) as made:
        monkeypatch.setattr(made.studio, "start", start)
        await made.setup_hook()
    assert order == ["studio", "started"]
