"""What the commands about models share: the operator's words, sizes, names that a terminal does not obey, questions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from bot.domain.amounts import size_text
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.operator_language import plain

__all__ = ["Console", "sentence", "size"]


def size(size_bytes: int | None) -> str:
    """`?` where it is not known."""
    return "?" if size_bytes is None else size_text(size_bytes)


def sentence(say: Texts, error: UserFacingError) -> str:
    """What went wrong, safe for a terminal."""
    try:
        return plain(say(f"error.{error.key}", **error.values))
    except KeyError:
        return say("download.failed")


@dataclass
class Console:
    say: Texts
    out: TextIO
    ask: Callable[[str], str] = input
    """Raises EOFError where nobody can answer."""

    def tell(self, text: str = "") -> None:
        self.out.write(f"{text}\n")
        self.out.flush()

    def json(self, value: Any) -> None:
        self.tell(json.dumps(value, ensure_ascii=False, indent=2))

    def agreed(self, question: str, *, default: bool = False) -> bool | None:
        """None where nobody answered. An answer that is neither yes nor no is asked for again, three times at most."""
        yes, no = (self.say(f"models_cli.{word}").split() for word in ("yes", "no"))
        for _ in range(3):
            try:
                answer = self.ask(question).strip().casefold()
            except EOFError:
                self.tell()
                return None
            if not answer:
                return default
            if answer in yes or answer in no:
                return answer in yes
        return False

    def replace_line(self, text: str) -> None:
        """Shows progress in place on a terminal; elsewhere nothing, for a log has no use for it."""
        if self.out.isatty():
            self.out.write(f"\r{text:<78.78}")
            self.out.flush()

    def end_line(self) -> None:
        self.replace_line("")
        if self.out.isatty():
            self.out.write("\r")

    @staticmethod
    def interactive() -> bool:
        """A person sits at both ends."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
