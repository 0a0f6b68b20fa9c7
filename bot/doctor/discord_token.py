"""The bot's token: its form, and whether Discord takes it. The token itself is never shown."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.error
import urllib.request

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings

__all__ = ["DISCORD_API", "check_token", "token_looks_right"]

DISCORD_API = "https://discord.com/api/v10"
_LIMIT_S = 10


def token_looks_right(token: str) -> bool:
    """Three base64url parts, the first of which is the bot's id (API reference, "Authentication")."""
    match = re.fullmatch(r"([\w-]{18,})\.[\w-]{4,}\.[\w-]{20,}", token, re.ASCII)
    if match is None:
        return False
    try:
        return base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)).decode("ascii").isdigit()
    except (binascii.Error, UnicodeDecodeError):
        return False


def check_token(say: Texts, settings: Settings, api: str = DISCORD_API) -> Check:
    """Asks Discord only where there is a token of the right form; being offline is no failure."""
    token = settings.token.get_secret_value()
    if not token:
        return finding(say, "token", State.OK, "none")
    if not token_looks_right(token):
        return finding(say, "token", State.FAIL, "form")
    request = urllib.request.Request(  # noqa: S310 - the address is ours
        f"{api}/users/@me", headers={"Authorization": f"Bot {token}", "User-Agent": "DiscordBot (Pincel, 1)"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310
            name = json.load(answer)["username"]
    except urllib.error.HTTPError as error:
        # The error is itself an open answer.
        error.close()
        if error.code == 401:
            return finding(say, "token", State.FAIL, "refused")
        return finding(say, "token", State.WARN, "busy", code=error.code)
    except (OSError, ValueError, KeyError):
        return finding(say, "token", State.WARN, "offline")
    return finding(say, "token", State.OK, "good", name=name)
