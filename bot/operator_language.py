"""How to speak to the person at the console: in the language of LC_ALL, LC_MESSAGES or LANG, else of the system; and
without anything that a terminal would obey."""

from __future__ import annotations

import locale
import os

from bot.i18n import Texts, texts_for

__all__ = ["operator_texts", "plain"]


def operator_texts() -> Texts:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return texts_for(value.replace("_", "-"))
    # Windows names languages in words (`Spanish_Mexico`); its first two letters are not always the ISO code.
    system = (locale.getlocale()[0] or "").lower()
    aliases = locale.locale_alias
    known = aliases.get(system) or aliases.get(system.split("_")[0]) or system
    return texts_for(known.split(".")[0].replace("_", "-"))


def plain(text: str) -> str:
    """A file's name, or what a server says, may hold anything, even what a terminal would obey."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
