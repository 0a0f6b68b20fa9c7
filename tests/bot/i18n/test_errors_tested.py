"""Every sentence of refusal is raised somewhere and named by some test, as every error path needs one."""

import re

from bot.i18n import load_language
from bot.settings import CHECKOUT

UNTESTED = frozenset[str]()
"""Keys that no test can meet, each with its reason beside it."""
COMPUTED = re.compile(r"limit_(?!value|roles)\w+|\w+_(?:none|unusable|unknown|range)|(?:template|content)_\w+")
"""Keys that are put together where they are raised."""


def keys():
    """Without `error.`, and without the forms of what counts."""
    found = (key.removeprefix("error.") for key in load_language("en") if key.startswith("error."))
    return sorted({re.sub(r"\.(one|two|few|many|other|zero)$", "", key) for key in found})


def sources(*folders):
    files = [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def named(text):
    """Whatever stands there as a string, or as a sentence that is asked for by its whole key or a longer one."""
    strings = set(re.findall(r"""["'](?=([\w.-]+)["'])""", text))
    asked = (found.split(".") for found in re.findall(r"\berror\.([\w.-]+)", text))
    return strings | {".".join(parts[:n]) for parts in asked for n in range(1, len(parts) + 1)}


def test_every_refusal_is_met_by_a_test():
    found = named(sources("tests"))
    missing = [key for key in keys() if key not in UNTESTED and key not in found]
    assert not missing, f"no test names {missing}: see tests/stage/refusing.py"


def test_every_refusal_is_raised_by_something():
    found = named(sources("bot", "cogs", "gpu_worker"))
    superfluous = [key for key in keys() if key not in found and not COMPUTED.fullmatch(key)]
    assert not superfluous, f"nothing says {superfluous}"
