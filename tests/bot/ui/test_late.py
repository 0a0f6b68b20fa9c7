"""Only suggestions that Discord no longer waits for are kept quiet."""

import logging
from types import SimpleNamespace

import discord
import pytest

from bot.app import LATE
from bot.ui.late import LateSuggestions


def failure(code):
    return discord.NotFound(SimpleNamespace(status=404, reason="x"), {"code": code, "message": "x"})


@pytest.mark.parametrize(
    ("error", "text", "logged"),
    [
        (failure(10062), "Ignoring exception in autocomplete for %r", False),
        (failure(10008), "Ignoring exception in autocomplete for %r", True),
        (ValueError("x"), "Ignoring exception in autocomplete for %r", True),
        (failure(10062), "Ignoring exception in command %r", True),
    ],
)
def test_what_is_logged(error, text, logged):
    record = logging.LogRecord("x", logging.ERROR, "x", 1, text, ("imagine",), (type(error), error, None))
    assert LateSuggestions().filter(record) == logged


def test_without_an_exception_everything_is_logged():
    assert LATE.filter(logging.LogRecord("x", logging.ERROR, "x", 1, "autocomplete", (), None))
