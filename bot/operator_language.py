"""The language of the person at the console: LC_ALL, LC_MESSAGES or LANG, else what the system says."""

from __future__ import annotations

import locale
import os

from bot.i18n import Texts, texts_for

__all__ = ["operator_texts"]


def operator_texts() -> Texts:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return texts_for(value.replace("_", "-"))
    # Windows names languages in words (`Spanish_Mexico`); its first two letters are not always the ISO code.
    system = locale.getlocale()[0] or ""
    return texts_for("es" if system.lower().startswith(("es", "spanish")) else "en")
