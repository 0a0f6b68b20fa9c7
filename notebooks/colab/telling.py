"""What a cell says: sentences of bot/i18n, in the language that the notebook was opened in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.i18n import Texts

__all__ = ["StoppedError", "Telling"]


class StoppedError(Exception):
    """Ends "Run all" here; its text is a sentence for whoever runs the notebook, with the next step."""


@dataclass(frozen=True)
class Telling:
    texts: Texts
    write: Callable[[str], None]
    hidden: tuple[str, ...] = ()
    """Secrets, which no line shows, whoever wrote it."""

    def say(self, key: str, **values: object) -> None:
        self.line(self.texts(f"colab.{key}", **values))

    def stop(self, key: str, **values: object) -> StoppedError:
        return StoppedError(self.texts(f"colab.{key}", **values))

    def line(self, text: str) -> None:
        for secret in self.hidden:
            text = text.replace(secret, "•••")
        self.write(text)
