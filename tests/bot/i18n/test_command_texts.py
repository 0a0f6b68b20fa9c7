"""Every command, menu, option and choice that Discord is sent has its text in every language, for all its locales."""

import discord
import pytest

from bot.app import EXTENSIONS, CatalogueTranslator, create_bot
from bot.i18n import ENGLISH, LANGUAGES, language_of, load_language
from bot.settings import Settings
from bot.storage.database import open_database
from bot.studio import StudioParts

OTHER_LOCALES = {locale.value for locale in discord.Locale if language_of(locale.value) != ENGLISH}
PROPER_NAMES = 75
"""Choices that are names, such as those of samplers, are the same everywhere; far more would be words."""


class NoWorkers:
    connected = True

    async def start(self, on_message, on_gone): ...
    async def stop(self): ...
    async def settled(self, message): ...
    async def send(self, worker, message): ...


@pytest.fixture
async def payloads(tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_DATA", str(tmp_path))
    database = await open_database(tmp_path / "pincel.sqlite")
    async with create_bot(StudioParts(Settings(), database, NoWorkers())) as bot:
        await bot.tree.set_translator(CatalogueTranslator())
        for extension in EXTENSIONS:
            await bot.load_extension(extension)
        commands = [*bot.tree.get_commands(), *bot.tree.get_commands(type=discord.AppCommandType.message)]
        yield [await c.get_translated_payload(bot.tree, bot.tree.translator) for c in commands]
    await database.close()


def parts(payload, path=""):
    """(path, kind of text, text, its translations) of everything that has a name."""
    here = f"{path} {payload['name']}".strip()
    for kind in ("name", "description"):
        if payload.get(kind):
            yield here, kind, payload[kind], payload.get(f"{kind}_localizations") or {}
    for choice in payload.get("choices", []):
        yield f"{here} = {choice['value']}", "choice", choice["name"], choice.get("name_localizations") or {}
    for option in payload.get("options", []):
        yield from parts(option, here)


async def test_everything_has_its_text_for_every_locale_of_every_language(payloads):
    missing, names = [], set()
    for payload in payloads:
        for path, kind, text, translations in parts(payload):
            if kind == "choice" and not translations and str(text) == path.rpartition(" = ")[2]:
                names.add(text)
            elif OTHER_LOCALES - translations.keys():
                missing.append((path, kind, text))
    assert {"es-ES", "es-419"} <= OTHER_LOCALES
    assert missing == []
    assert len(names) < PROPER_NAMES


async def test_every_text_of_a_command_belongs_to_one_that_is_there(payloads):
    """A key that nothing uses any more is found in English; that the others are the same is another test."""
    shown = {text for payload in payloads for _, _, text, _ in parts(payload)}
    keys = {key for key in load_language(ENGLISH) if key.startswith(("command.", "option.", "choice.", "menu."))}
    assert {key for key in keys if load_language(ENGLISH)[key] not in shown} == set()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_subcommands_and_options_read_differently_within_their_command(payloads, language):
    locales = [locale.value for locale in discord.Locale if language_of(locale.value) == language]
    for payload in payloads:
        waiting = [payload]
        while waiting:
            part = waiting.pop()
            options = part.get("options", [])
            waiting += options
            for locale in locales:
                names = [(o.get("name_localizations") or {}).get(locale, o["name"]) for o in options]
                assert len(set(names)) == len(names), (part["name"], locale, names)
