"""Every way in which a download can fail has a sentence that can be filled."""

import re
import tomllib
from pathlib import Path
from string import Formatter

import bot.downloads
from bot.i18n import load_language
from bot.settings import CHECKOUT

SOURCES = "\n".join(path.read_text() for path in Path(bot.downloads.__file__).parent.glob("*.py"))
KEYS = set(re.findall(r'"(download_[a-z_]+)"', SOURCES)) - {"download_of"} | {"download_archive"}


def test_every_failure_has_a_sentence_and_every_sentence_a_failure():
    texts = {key.removeprefix("error.") for key in load_language("en") if re.match(r"error\.download_", key)}
    ours = tomllib.loads((CHECKOUT / "bot/i18n/en/downloads.toml").read_text(encoding="utf-8"))["error"]
    assert len(KEYS) > 40
    assert KEYS - texts == set()
    assert {
        key for key in ours if key.startswith("download_") and f"error.{key}" in load_language("en")
    } - KEYS == set()


def test_what_a_sentence_names_is_given_where_it_is_raised():
    texts = load_language("en")
    given = re.findall(r'Error\(\s*"(download_[a-z_]+)"((?:[^()]|\([^()]*(?:\([^()]*\))?[^()]*\))*)\)', SOURCES)
    assert len(given) > 50
    for key, rest in given:
        names = {name for _, name, _, _ in Formatter().parse(texts[f"error.{key}"]) if name}
        assert "**" in rest or names <= set(re.findall(r"(\w+)=", rest)), (key, rest)
