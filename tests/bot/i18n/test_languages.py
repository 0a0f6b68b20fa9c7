"""Which languages there are, how a number is said in each, and that one more needs one file."""

import discord
import pytest

from bot.app import CatalogueTranslator
from bot.i18n import LANGUAGES, Texts, language_of, languages_in, load_language, read_language
from bot.i18n.plurals import plural_form, plural_forms
from bot.ui.commands import keyed


def test_a_language_is_a_folder_or_one_file(tmp_path):
    for file in ("en/cards.toml", "es/cards.toml", "fr.toml", "pt-BR/all.toml", "notes/x.toml", "README.md"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text('[card]\nlost = "Perdu"\n')
    (tmp_path / "de").mkdir()
    (tmp_path / "__pycache__").mkdir()
    assert languages_in(tmp_path) == ("en", "es", "fr", "pt-BR")
    french = Texts("fr", read_language(tmp_path, "fr"))
    assert french("card.lost") == "Perdu"
    assert french("error.draft_unknown") == Texts("en")("error.draft_unknown"), "what it lacks is said in English"


def test_a_key_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "fr").mkdir()
    for file in ("fr/cards.toml", "fr.toml"):
        (tmp_path / file).write_text('[card]\nlost = "Perdu"\n')
    with pytest.raises(ValueError, match="twice"):
        read_language(tmp_path, "fr")


def test_the_languages_there_are():
    assert LANGUAGES[0] == "en"
    assert "es" in LANGUAGES
    for language in LANGUAGES:
        assert load_language(language)["language.name"]


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("pt-BR", "pt-BR"),
        ("pt-PT", "en"),
        ("es-419", "es"),
        ("es-ES", "es"),
        ("en-GB", "en"),
        ("zh-TW", "zh"),
        ("", "en"),
    ],
)
def test_a_locale_finds_its_own_language_and_else_the_plain_one(locale, language):
    assert language_of(locale, ("en", "es", "pt-BR", "zh")) == language


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", {0: "other", 1: "one", 2: "other", 21: "other"}),
        ("es", {0: "other", 1: "one", 2: "other"}),
        ("fr", {0: "one", 1: "one", 2: "other"}),
        ("ru", {1: "one", 2: "few", 5: "many", 11: "many", 12: "many", 21: "one", 22: "few", 111: "many"}),
        ("pl", {1: "one", 2: "few", 5: "many", 12: "many", 21: "many", 22: "few"}),
        ("cs", {1: "one", 3: "few", 5: "other", 22: "other"}),
        ("hr", {1: "one", 11: "other", 21: "one", 24: "few"}),
        ("lt", {1: "one", 2: "few", 11: "other", 15: "other", 20: "other", 21: "one", 22: "few"}),
        ("ro", {0: "few", 1: "one", 19: "few", 20: "other", 101: "few", 119: "few", 120: "other"}),
        ("ja", {0: "other", 1: "other", 2: "other"}),
        ("pt-BR", {0: "one", 1: "one", 2: "other"}),
    ],
)
def test_the_form_of_a_number(language, said):
    assert {n: plural_form(language, n) for n in said} == said
    assert set(said.values()) <= set(plural_forms(language))


def test_a_language_with_many_forms_says_its_own():
    polish = Texts("pl", {"file.one": "{n} plik", "file.few": "{n} pliki", "file.many": "{n} plików"})
    assert [polish("file", n=n) for n in (1, 3, 5, 22)] == ["1 plik", "3 pliki", "5 plików", "22 pliki"]


@pytest.mark.parametrize("locale", [locale.value for locale in discord.Locale])
async def test_commands_are_translated_for_every_locale_of_a_language(locale):
    found = await CatalogueTranslator().translate(keyed("command.imagine.description"), discord.Locale(locale), None)
    language = language_of(locale)
    assert found == (None if language == "en" else load_language(language)["command.imagine.description"])
