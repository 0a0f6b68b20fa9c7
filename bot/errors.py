"""Every error this bot raises on purpose.

PincelError
├── UserFacingError       its text is sent to the user: `key` names a sentence in bot/i18n, `values` fill it
│   └── ContentRefusedError   the content rules said no
└── StartupError          ends the process with `exit_code` and one human sentence

Anything else is a bug: the user gets a short reference, the log gets the trace under the same reference.
"""

from __future__ import annotations

__all__ = ["ContentRefusedError", "PincelError", "StartupError", "UserFacingError"]


class PincelError(Exception):
    """Base of all errors raised on purpose."""


class UserFacingError(PincelError):
    """A refusal or failure that the user is told, in their language, with the next step.

    `key` is a text key without its `error.` prefix; the sentence itself must name the next step.
    """

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key} {values}" if values else key)
        self.key = key
        self.values = values
        self.appeal_id: str | None = None
        """Of a refusal that its user may have moderators look at; its sentence then comes with a button."""


class ContentRefusedError(UserFacingError):
    """The content rules refuse this text; never say which word, so that the answer is no guide around the rule."""


class StartupError(PincelError):
    """The process cannot start. `sentence` says what is wrong, `fix` what to do; see bot/__main__.py for exit codes."""

    def __init__(self, sentence: str, fix: str, exit_code: int) -> None:
        super().__init__(f"{sentence} {fix}")
        self.sentence = sentence
        self.fix = fix
        self.exit_code = exit_code
