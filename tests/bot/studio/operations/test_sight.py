"""Which prompts a panel repeats where."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bot.studio.operations.sight import PromptSight

EVERYBODY, KNOWN, MODERATORS, PROGRAM = (SimpleNamespace(id=n, managed=n == 4) for n in range(1, 5))
GUILD = SimpleNamespace(roles=[EVERYBODY, KNOWN, MODERATORS, PROGRAM])


def channel(*seen_by, nsfw: bool = False):
    roles = seen_by or GUILD.roles
    return SimpleNamespace(
        guild=GUILD, nsfw=nsfw, permissions_for=lambda role: SimpleNamespace(view_channel=role in roles)
    )  # fmt: skip


OPEN, OTHER, TEAM, DARK, UNKNOWN, GATED, BOTS = 1, 2, 3, 4, 5, 6, 7
CHANNELS = {
    OPEN: channel(), OTHER: channel(), TEAM: channel(MODERATORS), DARK: channel(nsfw=True),
    GATED: channel(KNOWN, MODERATORS), BOTS: channel(MODERATORS, PROGRAM),
}  # fmt: skip


@pytest.mark.parametrize(
    ("asked_in", "panel_in", "shown"),
    [
        (OPEN, OPEN, True), (OTHER, OPEN, True), (TEAM, OPEN, False), (TEAM, TEAM, True), (OPEN, TEAM, True),
        (DARK, OPEN, False), (DARK, TEAM, False), (DARK, DARK, True), (OPEN, DARK, True), (UNKNOWN, OPEN, False),
        (UNKNOWN, UNKNOWN, True), (TEAM, GATED, False), (GATED, TEAM, True), (GATED, OPEN, False), (TEAM, BOTS, True),
    ],
)  # fmt: skip
def test_nobody_reads_more_than_where_it_was_asked(asked_in, panel_in, shown):
    sight = PromptSight(SimpleNamespace(get_channel=CHANNELS.get))
    assert sight.shows(asked_in, 7, panel_in) is shown


def test_an_operators_direct_message_shows_all():
    assert PromptSight(SimpleNamespace(get_channel=CHANNELS.get)).shows(UNKNOWN, 0, 99)
