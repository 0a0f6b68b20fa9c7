"""The texts: both languages say the same things, Discord takes them, and the code asks for none that is missing."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter

import pytest

import bot
import cogs
from bot.i18n import LANGUAGES, Texts, language_of, load_language, texts_for
from bot.i18n.plurals import plural_forms

EN = load_language("en")
PACKAGES = [Path(package.__file__).parent for package in (bot, cogs)]
COUNTED = re.compile(r"\.(one|few|many|other)$")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def is_metadata(key: str) -> bool:
    return key.startswith(("command.", "option.", "choice."))


COUNTING = {key.removesuffix(".one") for key in EN if key.endswith(".one") and f"{key.removesuffix('one')}other" in EN}
"""Keys of the sentences that count."""


def faults(texts: Mapping[str, str], language: str) -> list[str]:
    """What a language lacks of English, or has too much: keys, forms of counting sentences, values to fill."""
    wanted = {key for key in EN if COUNTED.sub("", key) not in COUNTING}
    wanted |= {f"{stem}.{form}" for stem in COUNTING for form in plural_forms(language)}
    wrong = [f"lacks {key}" for key in sorted(wanted - texts.keys())]
    wrong += [f"knows {key}, which English does not" for key in sorted(texts.keys() - wanted)]
    for key in sorted(wanted & texts.keys()):
        if is_metadata(key):
            continue
        stem = COUNTED.sub("", key)
        whole = placeholders(EN[f"{stem}.other"] if stem in COUNTING else EN[key])
        ours = placeholders(texts[key])
        # "one thing" needs no number, so that form may leave out what the others show.
        if ours != whole and not (key.endswith(".one") and ours <= whole):
            wrong.append(f"fills {sorted(ours)} in {key}, where English fills {sorted(whole)}")
    return wrong


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_what_english_says(language):
    assert faults(load_language(language), language) == []


def test_what_is_missing_or_wrong_is_found_in_either_language():
    spanish = dict(load_language("es"))
    del spanish["error.queue_full.other"]
    spanish["error.invented"] = "¡No!"
    spanish["style.deleted"] = "He borrado el estilo {nombre}."
    assert faults(spanish, "es") == [
        "lacks error.queue_full.other",
        "knows error.invented, which English does not",
        "fills ['nombre'] in style.deleted, where English fills ['name']",
    ]


def test_a_language_with_other_plurals_needs_its_own_forms():
    assert "lacks error.queue_full.few" in faults(EN, "pl")
    assert "knows error.queue_full.one, which English does not" in faults(EN, "ja")


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
    commands = {text for key, text in texts.items() if re.fullmatch(r"command\.(?:admin\.)?[a-z_]+\.name", key)}
    options = {text for key, text in texts.items() if re.fullmatch(r"option\.imagine\.[a-z_]+\.name", key)}
    wrong = [
        (key, name)
        for key, text in texts.items()
        if not key.startswith("page.")
        for name, option in re.findall(r"(?<![\w/.:<}])/([a-z-]+)\b(?![/.])(?: ([\w]+):)?", text)
        if name not in commands or (option and option not in options)
    ]
    assert wrong == []


def sources(*, needs_place: bool = True) -> Iterator[tuple[Path, ast.Call]]:
    for package in PACKAGES:
        for file in sorted(package.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and (node.args or not needs_place):
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


PLACES: Mapping[tuple[str, int | str], int] = {
    ("button", 2): 80, ("Button", "label"): 80, ("form_of", 0): 45, ("Modal", "title"): 45,
    ("text_field", 2): 45, ("text_field", 3): 100, ("select_field", 2): 45, ("select_field", 3): 100,
    ("Label", "text"): 45, ("Label", "description"): 100, ("TextInput", "placeholder"): 100,
    ("select_row", 2): 150, ("Select", "placeholder"): 150, ("SelectOption", "label"): 100,
    ("SelectOption", "description"): 100, ("add_option", "label"): 100, ("add_option", "description"): 100,
}  # fmt: skip
"""Function and argument (place or name) → characters that Discord shows there (PLATFORM: components)."""


def shown_in_small_places() -> Iterator[tuple[str, int]]:
    """(pattern of a key, characters) of every text that the source puts where Discord has a limit."""
    for _, node in sources(needs_place=False):
        name = called(node)
        arguments: dict[int | str, ast.expr] = dict(enumerate(node.args))
        arguments |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        for place, argument in arguments.items():
            limit = PLACES.get((name, place))
            for inner in ast.walk(argument) if limit else ():
                if isinstance(inner, ast.Call) and inner.args and called(inner) == "texts":
                    pattern = key_pattern(inner.args[0])
                    if pattern is not None:
                        yield pattern.replace(r"[\w:.]+", r"\w+"), limit or 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_hints_and_titles_fit_their_places(language):
    texts = load_language(language)
    places = list(shown_in_small_places())
    assert len(places) > 40, "the scan finds nothing: have the functions that make buttons and forms changed?"
    wrong = {
        (key, len(least), limit)
        for pattern, limit in places
        for key, text in texts.items()
        if re.fullmatch(pattern, COUNTED.sub("", key) if COUNTED.sub("", key) in COUNTING else key)
        and key.endswith("_hint") == pattern.endswith("_hint")
        and len(least := re.sub(r"\{\w+\}", "", text)) > limit
    }
    assert wrong == set()


SAID: frozenset[tuple[str, int | str]] = frozenset(
    {*PLACES, ("TextDisplay", 0), ("say", 1), ("send_message", 0), ("send", 0), ("edit", "content"), ("Choice", "name")}
)
"""Function and argument by which something is shown to a person."""
SAYS_NOTHING = re.compile(r"\{[^}]*\}|<[^>]*>|`[^`]*`|attachment://\S*|https://\S*")
"""Addresses, mentions and code are the same in every language."""


def literal_words(argument: ast.expr) -> list[str]:
    """Words that stand in the source itself and would be shown whatever the language."""
    texts = [
        node.value
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not in_call(argument, node)
    ]
    return [text for text in texts if re.search(r"[^\W\d_]{3,}", SAYS_NOTHING.sub("", text))]


def in_call(argument: ast.expr, wanted: ast.Constant) -> bool:
    """Part of a call (a key, a separator) or of a question, not of what is shown itself."""
    kinds = (ast.Call, ast.Subscript, ast.Compare)
    inside = (node for node in ast.walk(argument) if isinstance(node, kinds))
    return any(inner is wanted for node in inside for inner in ast.walk(node))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"Hello there"', 1), ('f"{name} is gone"', 1), ('"Yes" if ok else texts("no")', 1), ('f"### {texts(key)}"', 0),
        ('f"<t:{when}:R> · {n}"', 0), ('"".join(lines)', 0), ('f"U{n}"', 0),
        ('texts("card.title", name="three words")', 0),
    ],
)  # fmt: skip
def test_words_in_the_source_are_seen(source, found):
    assert len(literal_words(ast.parse(source, mode="eval").body)) == found


def test_nothing_is_said_in_words_of_the_source():
    wrong = []
    for file, node in sources(needs_place=False):
        arguments: dict[int | str, ast.expr] = dict(enumerate(node.args))
        arguments |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        for place, argument in arguments.items():
            if (called(node), place) in SAID:
                wrong += [(file.name, node.lineno, words) for words in literal_words(argument)]
    assert wrong == []


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
    assert texts("style.exported", n=1) == "1 style."
    assert texts("style.exported", n=3) == "3 styles."


@pytest.mark.parametrize(
    ("locale", "language"),
    [("es-ES", "es"), ("es-419", "es"), ("en-GB", "en"), ("tlh", "en"), (None, "en"), ("", "en")],
)
def test_language_of_a_locale(locale, language):
    assert language_of(locale) == language


def test_an_unknown_key_and_a_missing_value_are_found_out():
    with pytest.raises(KeyError):
        texts_for("en")("no.such.key")
    with pytest.raises(KeyError):
        texts_for("en")("error.size_odd", width=1)
