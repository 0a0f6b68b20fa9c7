"""Why a playground cannot start, in the operator's language."""

from __future__ import annotations

from bot.errors import StartupError
from bot.operator_language import operator_texts

__all__ = ["startup_error"]


def startup_error(reason: str, exit_code: int, **values: object) -> StartupError:
    """`reason` names `playground.start.<reason>` in bot/i18n; codes are those of bot/exit_codes.py."""
    say = operator_texts()
    key = f"playground.start.{reason}"
    return StartupError(say(f"{key}.sentence", **values), say(f"{key}.fix", **values), exit_code)
