"""The error door: every exception has a text, in the user's language; a bug has a reference that the log knows, too."""

import logging
import re
import sqlite3
from types import SimpleNamespace

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.errors import ContentRefusedError, UserFacingError
from bot.i18n import LANGUAGES, texts_for
from bot.storage.database import StorageFullError
from bot.ui.door import say, sentence, tell_error


def http(kind, status, code):
    return kind(SimpleNamespace(status=status, reason="no"), {"code": code, "message": "secret words"})


COMMAND = SimpleNamespace(name="imagine", qualified_name="imagine")
ERRORS = [
    UserFacingError("prompt_empty"),
    UserFacingError("queue_full", n=1),
    ContentRefusedError("content_adult"),
    app_commands.MissingPermissions(["manage_messages"]),
    app_commands.CheckFailure("secret words"),
    app_commands.CommandSignatureMismatch.__new__(app_commands.CommandSignatureMismatch),
    app_commands.CommandNotFound("imagine", []),
    StorageFullError(),
    http(discord.NotFound, 404, 10062),
    http(discord.HTTPException, 500, 0),
    aiohttp.ClientConnectionError("secret words"),
    sqlite3.OperationalError("secret words"),
    ValueError("secret words"),
    RuntimeError(),
    UserFacingError("no_such_key"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_has_a_sentence(language, error, caplog):
    text = sentence(texts_for(language), error, "interaction 7")
    assert len(text) > 15
    assert "secret words" not in text
    reference = re.search(r"`([0-9a-f]{8})`", text)
    if reference:  # nobody's wrong input: the trace is in the log under the same reference
        (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert reference[1] in record.getMessage()
        assert record.exc_info[1] is error


def test_what_is_nobodys_wish_has_the_sentence_that_fits():
    keys = {
        "not_allowed": (app_commands.MissingPermissions(["manage_messages"]), app_commands.NoPrivateMessage()),
        "command_outdated": (ERRORS[5], app_commands.CommandNotFound("imagine", [])),
        "disk_full": (StorageFullError(),),
        "too_slow": (http(discord.NotFound, 404, 10062), http(discord.NotFound, 404, 10015)),
    }
    for key, errors in keys.items():
        for error in errors:
            assert sentence(texts_for("en"), error, "interaction 7") == texts_for("en")(f"error.{key}")


class Told:
    """An interaction as far as the door sees it; it remembers what its user was told."""

    id = 7
    locale = "es-ES"

    def __init__(self, kind=discord.InteractionType.application_command, *, done=False, fails=None):
        self.type, self.texts, self.choices, self.extras = kind, [], None, {}
        self.response = SimpleNamespace(is_done=lambda: done, send_message=self._respond, autocomplete=self._complete)
        self.followup = SimpleNamespace(send=self._follow)
        self._fails = fails

    async def _respond(self, text, *, ephemeral):
        if self._fails:
            raise self._fails
        self.texts.append(("response", text, ephemeral))

    async def _follow(self, text, *, ephemeral):
        self.texts.append(("followup", text, ephemeral))

    async def _complete(self, choices):
        self.choices = choices


async def test_only_the_user_sees_it_and_in_their_language():
    told = Told()
    await tell_error(told, UserFacingError("prompt_empty"))
    assert told.texts == [("response", texts_for("es")("error.prompt_empty"), True)]
    told = Told(done=True)
    await tell_error(told, UserFacingError("prompt_empty"))
    assert told.texts[0][0] == "followup"


async def test_what_a_command_raised_is_what_counts():
    told = Told()
    wrapped = app_commands.CommandInvokeError(COMMAND, ValueError("inner"))
    wrapped.__cause__ = UserFacingError("prompt_empty")
    await tell_error(told, wrapped)
    assert told.texts[0][1] == texts_for("es")("error.prompt_empty")


async def test_autocomplete_is_answered_with_nothing():
    told = Told(discord.InteractionType.autocomplete)
    await tell_error(told, ValueError())
    assert told.choices == []
    assert told.texts == []


@pytest.mark.parametrize(
    "failure", [http(discord.NotFound, 404, 10062), aiohttp.ClientConnectionError(), OSError(), TimeoutError()]
)
async def test_the_door_itself_never_raises(failure):
    await tell_error(Told(fails=failure), UserFacingError("prompt_empty"))


async def test_the_end_of_the_process_goes_through():
    with pytest.raises(KeyboardInterrupt):
        await tell_error(Told(), KeyboardInterrupt())


async def test_what_is_said_fits_a_message():
    told = Told()
    await say(told, "x" * 9000)
    assert len(told.texts[0][1]) == 2000
