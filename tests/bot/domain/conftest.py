"""Every refusal raised in these tests must have its sentence, with exactly the values it is raised with."""

import pytest

from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, texts_for


@pytest.fixture(autouse=True)
def _every_refusal_has_its_sentence(monkeypatch):
    original = UserFacingError.__init__

    def checked(self, key, **values):
        original(self, key, **values)
        for language in LANGUAGES:
            sentence = texts_for(language)(f"error.{key}", **values)
            assert sentence
            assert "{" not in sentence.replace("{prompt}", "")

    monkeypatch.setattr(UserFacingError, "__init__", checked)
