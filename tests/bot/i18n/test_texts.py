"""The texts: both languages say the same things, Discord takes them, and the code asks for none that is missing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import bot
import cogs
from bot.i18n import LANGUAGES, Texts, language_of, load_language, texts_for

EN = load_language("en")
PACKAGES = [Path(package.__file__).parent for package in (bot, cogs)]
COUNTED = re.compile(r"\.(one|other)$")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def is_metadata(key: str) -> bool:
    return key.startswith(("command.", "option.", "choice."))


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_equal_keys(language):
    assert sorted(load_language(language)) == sorted(EN)


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_fill_equal_values(language):
    texts = load_language(language)
    wrong = []
    for key in EN.keys() - set(filter(is_metadata, EN)):
        ours, theirs = placeholders(EN[key]), placeholders(texts[key])
        # "one thing" needs no number, so that form may leave out what the other shows.
        other = key.removesuffix("one") + "other"
        if theirs != ours and not (key.endswith(".one") and theirs <= placeholders(EN[other])):
            wrong.append((key, ours, theirs))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_form_for_one_has_a_form_for_others(language):
    texts = load_language(language)
    assert [key for key in texts if key.endswith(".one") and key.removesuffix("one") + "other" not in texts] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_discord_takes_the_command_texts(language):
    """Names: 1–32 letters, digits, - and _, lower case; descriptions and choices: 1–100 (Discord's command limits).

    They are not filled, so a brace is written once.
    """
    wrong = []
    for key, text in load_language(language).items():
        if key.startswith(("choice.", "command.", "option.")) and key.endswith(".description"):
            fits = 1 <= len(text) <= 100 and "{{" not in text
        elif key.startswith("choice."):
            fits = 1 <= len(text) <= 100
        elif is_metadata(key):
            fits = key.endswith(".name") and re.fullmatch(r"[\w-]{1,32}", text) and text == text.lower()
        else:
            continue
        if not fits:
            wrong.append((key, text))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_unique_within_their_command(language):
    texts = load_language(language)
    names: dict[str, list[str]] = {}
    for key, text in texts.items():
        if key.startswith(("option.", "command.")) and key.endswith(".name"):
            # `option.style.show.name.name`: what is named is the part before the last.
            parent = key.removesuffix(".name").rpartition(".")[0]
            names.setdefault(parent, []).append(text)
    assert {parent: found for parent, found in names.items() if len(set(found)) != len(found)} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_name_commands_and_options_as_this_language_does(language):
    texts = load_language(language)
    commands = {text for key, text in texts.items() if re.fullmatch(r"command\.[a-z_]+\.name", key)}
    options = {text for key, text in texts.items() if re.fullmatch(r"option\.imagine\.[a-z_]+\.name", key)}
    wrong = [
        (key, name)
        for key, text in texts.items()
        if not key.startswith("page.")
        for name, option in re.findall(r"(?<![\w/.:<}])/([a-z-]+)\b(?![/.])(?: ([\w]+):)?", text)
        if name not in commands or (option and option not in options)
    ]
    assert wrong == []


def sources() -> Iterator[tuple[Path, ast.Call]]:
    for package in PACKAGES:
        for file in sorted(package.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args:
                    yield file, node


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def key_pattern(argument: ast.expr) -> str | None:
    """A regular expression for the keys an argument can be; None where it is computed elsewhere."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return re.escape(argument.value)
    if isinstance(argument, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[\w:.]+" for part in argument.values
        ]
        return "".join(parts)
    return None


def used_keys() -> set[tuple[str, str]]:
    """(file, pattern) of every key of a refusal, a command text or a sentence that the source names."""
    found = set()
    for file, node in sources():
        name, pattern = called(node), key_pattern(node.args[0])
        if pattern is None:
            continue
        if name in ("UserFacingError", "ContentRefusedError"):
            found.add((file.name, rf"error\.{pattern}"))
        elif name in ("texts", "keyed") or (isinstance(node.func, ast.Call) and called(node.func) == "texts_for"):
            found.add((file.name, pattern))
        elif name == "Note":
            found.add((file.name, rf"note\.{pattern}"))
    return found


def test_every_key_the_code_names_exists():
    keys = {*EN, *(COUNTED.sub("", key) for key in EN)}
    used = used_keys()
    assert len(used) > 60, "the scan finds nothing: has the way of raising changed?"
    missing = sorted(
        (file, pattern)
        for file, pattern in used
        if pattern.replace("\\", "") not in keys and not any(re.fullmatch(pattern, key) for key in keys)
    )
    assert missing == []


def test_every_error_sentence_is_a_sentence():
    for language in LANGUAGES:
        for key, text in load_language(language).items():
            if key.startswith("error."):
                assert text[0].isupper() or text[0] in "`{«“¿¡", (language, key)
                assert text.rstrip("`").endswith((".", "!", "?")) or "`" in text[-3:], (language, key)


def test_braces_that_are_meant_are_shown():
    assert "`{prompt}`" in texts_for("en")("error.prompt_expanded_long", limit=1)


def test_counting():
    texts = Texts("en")
    assert texts("style.title", n=1) == "### Your style"
    assert texts("style.title", n=3) == "### Your 3 styles"


@pytest.mark.parametrize(
    ("locale", "language"), [("es-ES", "es"), ("es-419", "es"), ("en-GB", "en"), ("de", "en"), (None, "en"), ("", "en")]
)
def test_language_of_a_locale(locale, language):
    assert language_of(locale) == language


def test_an_unknown_key_and_a_missing_value_are_found_out():
    with pytest.raises(KeyError):
        texts_for("en")("no.such.key")
    with pytest.raises(KeyError):
        texts_for("en")("error.size_odd", width=1)
