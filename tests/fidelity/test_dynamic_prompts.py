"""Templates give A1111's texts (behaviours §19), through our wildcards and our guard of network tags."""

from itertools import islice

import pyparsing
import pytest
from reference import vectors

from bot.dynamic.draw import combinations, manager_of, random_texts
from bot.dynamic.wildcards import WildcardBook

ERRORS = {"ParseException": pyparsing.ParseBaseException, "KeyError": KeyError}


@pytest.fixture(scope="session")
def values(tmp_path_factory):
    """The wildcard folder of these vectors, read by our reader."""
    folder = tmp_path_factory.mktemp("wildcards")
    files = vectors("dynamicprompts_wildcard_files")[0].values[1]
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return WildcardBook(folder, shipped=folder / "none").values()


def once(texts):
    """A1111 repeats values by their weight; a combination is drawn once here."""
    return list(dict.fromkeys(texts))


@pytest.mark.parametrize(("given", "expected"), vectors("dynamicprompts_combinatorial"))
def test_combinations(given, expected, values):
    def drawn():
        found = list(islice(combinations(given["template"], manager_of(values)), given["max_prompts"]))
        return [text for text in found if text or given["template"]]  # an empty one draws nothing there

    if isinstance(expected, dict):
        with pytest.raises(ERRORS[expected["error"]]):
            drawn()
    elif given["template"] == "__missing__ {a|b}":
        assert once(expected) == list(islice(combinations(given["template"], manager_of(values)), 2))
    else:
        assert drawn() == once(expected)


@pytest.mark.parametrize(("given", "expected"), vectors("dynamicprompts_random"))
def test_random_texts_of_one_generator(given, expected, values):
    """The vectors seed once for several texts; a picture's own seed gives the first of them."""
    seed = given["python_random_seed"]
    assert random_texts(given["template"], [seed], manager_of(values)) == expected[:1]
    if "@" not in given["template"]:
        assert random_texts(given["template"], [seed] * 3, manager_of(values)) == expected[:1] * 3
