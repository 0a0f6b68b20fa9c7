"""Which prompts a panel repeats where."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bot.studio.operations.sight import PromptSight


def channel(everybody: bool = True, nsfw: bool = False):
    guild = SimpleNamespace(default_role=object())
    return SimpleNamespace(
        guild=guild, nsfw=nsfw, permissions_for=lambda _: SimpleNamespace(view_channel=everybody)
    )  # fmt: skip


OPEN, OTHER, TEAM, DARK, UNKNOWN = 1, 2, 3, 4, 5
CHANNELS = {OPEN: channel(), OTHER: channel(), TEAM: channel(everybody=False), DARK: channel(nsfw=True)}


@pytest.mark.parametrize(
    ("asked_in", "panel_in", "shown"),
    [
        (OPEN, OPEN, True), (OTHER, OPEN, True), (TEAM, OPEN, False), (TEAM, TEAM, True), (OPEN, TEAM, True),
        (DARK, OPEN, False), (DARK, TEAM, False), (DARK, DARK, True), (OPEN, DARK, True), (UNKNOWN, OPEN, False),
        (UNKNOWN, UNKNOWN, True),
    ],
)  # fmt: skip
def test_nobody_reads_more_than_where_it_was_asked(asked_in, panel_in, shown):
    sight = PromptSight(SimpleNamespace(get_channel=CHANNELS.get))
    assert sight.shows(asked_in, 7, panel_in) is shown


def test_an_operators_direct_message_shows_all():
    assert PromptSight(SimpleNamespace(get_channel=CHANNELS.get)).shows(UNKNOWN, 0, 99)
