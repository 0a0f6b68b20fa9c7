"""Who moderates a whole server, from wherever they press."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import discord
import pytest

from bot.studio.safety.who import is_safety_moderator


def pressing(here, everywhere=()):
    user = MagicMock(spec=discord.Member)
    user.guild_permissions = discord.Permissions(**dict.fromkeys(everywhere, True))
    return SimpleNamespace(guild_id=7, user=user, permissions=discord.Permissions(**dict.fromkeys(here, True)))


@pytest.mark.parametrize(
    ("here", "everywhere", "moderates"),
    [
        (["manage_messages"], [], False),
        (["manage_messages"], ["manage_messages"], True),
        (["moderate_members"], ["moderate_members"], True),
        (["manage_guild"], ["manage_guild"], True),
        ([], [], False),
    ],
)
def test_one_channels_messages_are_not_enough(here, everywhere, moderates):
    assert is_safety_moderator(pressing(here, everywhere)) is moderates


def test_nobody_moderates_direct_messages():
    one = pressing(["manage_messages"], ["manage_messages"])
    one.guild_id = None
    assert not is_safety_moderator(one)
