"""Which language the console speaks, as the environment or the system says it."""

import locale

import pytest

from bot.operator_language import operator_texts


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("value", "language"), [("es_MX.UTF-8", "es"), ("en_GB.UTF-8", "en"), ("C", "en"), ("de", "en")]
)
def test_the_environment(monkeypatch, value, language):
    monkeypatch.setenv("LANG", value)
    assert operator_texts().language == language


@pytest.mark.parametrize(
    ("system", "language"),
    [
        ("Spanish_Mexico", "es"),
        ("es_ES", "es"),
        ("Estonian_Estonia", "en"),
        ("English_United States", "en"),
        (None, "en"),
    ],
)
def test_the_system_in_words_or_codes(monkeypatch, system, language):
    monkeypatch.setattr(locale, "getlocale", lambda: (system, "UTF-8"))
    assert operator_texts().language == language
