"""Which of Discord's permissions the bot needs where. Pure."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["INVITE_PERMISSIONS", "missing"]

_ALWAYS = ("view_channel", "attach_files", "embed_links", "read_message_history")
INVITE_PERMISSIONS = (*_ALWAYS, "send_messages", "send_messages_in_threads")
"""What an invitation asks for, by discord.py's names; i18n has each below `permission`."""


def missing(has: Callable[[str], bool], *, thread: bool) -> list[str]:
    """In the order of an invitation."""
    needed = (*_ALWAYS, "send_messages_in_threads" if thread else "send_messages")
    return [name for name in needed if not has(name)]
