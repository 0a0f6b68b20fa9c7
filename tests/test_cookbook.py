"""The cookbook's messages can be sent as they are written, in both languages, and its pictures are small."""

import re
from pathlib import Path

import pytest
from PIL import Image

from bot.i18n import load_language

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDERS = {"en": DOCS / "cookbook", "es": DOCS / "es" / "cookbook"}
PAGES = [(language, page) for language, folder in FOLDERS.items() for page in sorted(folder.glob("*.md"))]
IDS = [f"{language}/{page.name}" for language, page in PAGES]


def names(language):
    """Each command's name in a language, and those of its options."""
    texts = load_language(language)
    found = {}
    for key, name in texts.items():
        if command := re.fullmatch(r"command\.(\w+)\.name", key):
            start = f"option.{command[1]}."
            found[name] = {text for key, text in texts.items() if key.startswith(start) and key.endswith(".name")}
    return found


def messages(page):
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith("/")]


@pytest.mark.parametrize(("language", "page"), PAGES, ids=IDS)
def test_messages_name_commands_and_options_of_the_pages_language(language, page):
    commands = names(language)
    for message in messages(page):
        command, _, rest = message[1:].partition(" ")
        used = re.findall(r"(?:^|(?<= ))(\w+): ", rest)
        assert command in commands, message
        assert used, message
        assert set(used) <= commands[command], f"{message}: {set(used) - commands[command]}"
        assert len(set(used)) == len(used), message


@pytest.mark.parametrize(("language", "page"), PAGES, ids=IDS)
def test_words_in_code_after_which_a_colon_comes_are_options_too(language, page):
    options = set().union(*names(language).values())
    spoken = re.findall(r"`(\w+): [^`]+`", page.read_text(encoding="utf-8"))
    assert set(spoken) <= options


def test_both_languages_have_the_same_pages_with_the_same_recipes():
    english, spanish = (sorted(page.name for page in folder.glob("*.md")) for folder in FOLDERS.values())
    assert english == spanish
    for name in english:
        assert len(messages(FOLDERS["en"] / name)) == len(messages(FOLDERS["es"] / name)), name


def test_pictures_are_small_and_each_is_shown():
    pictures = sorted((DOCS / "images" / "cookbook").iterdir())
    text = "".join(page.read_text(encoding="utf-8") for _, page in PAGES)
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 100_000
        assert text.count(f"images/cookbook/{picture.name}") == 2
        with Image.open(picture) as opened:
            opened.load()
