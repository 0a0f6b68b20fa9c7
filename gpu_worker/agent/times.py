"""How long things take here, and may take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AgentTimes"]


@dataclass(frozen=True, slots=True)
class AgentTimes:
    """All in seconds."""

    heartbeat_s: float = 2.0
    """Until the bot says another."""
    retry_s: float = 2.0
    resend_s: float = 30.0
    """How long the bot may take to say that it has an entry, before that is put into the mailbox anew."""
    mail_first_s: float = 10.0
    """How long results of an earlier life may keep the first word of this one waiting."""
    start_s: float = 600.0
    """Until a child's hello: it may wait for its predecessor's last picture, and load a large library."""
    down_s: float = 90.0
    """Jobs wait this long for a child that is not up; then they go back to the bot, for others."""
    silence_s: float = 180.0
    """A child that says nothing for this long after its hello is hung as a whole: it is killed and started again."""
    stable_s: float = 60.0
    """A child that lived this long starts again at once; a younger one waits, longer each time."""
    backoff_s: tuple[float, ...] = (0.2, 1.0, 3.0, 10.0, 30.0)
    grace_s: float = 65.0
    """At the end, for what is being drawn: a little more than a child gives itself (`ORPHAN_GRACE_S`)."""
    close_s: float = 20.0
    """At the end, for results on their way to the broker; what is not there by then goes at the next start."""
