"""A broker that starts on a full disk works when there is room again."""

from __future__ import annotations

from bot.broker.configuration import ServerKind, main_text


def test_its_room_is_not_what_was_free_when_it_started(tmp_path):
    text = main_text(tmp_path, (), ServerKind())
    assert f'"max_file_store": {2**40}' in text
