"""What admins may do to the line: hold it, let it run dry, move a job. Pure."""

from __future__ import annotations

import enum

__all__ = ["ALL_SERVERS", "GateState", "Move"]

ALL_SERVERS = 0
"""In place of a server's id: the operator's word for every server and for direct messages."""


class GateState(enum.StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    """Nothing new is handed to a worker; what one holds already is finished. New jobs may be asked for, and wait."""
    DRAINING = "draining"
    """No new job is taken in; what waits is drawn, until the line is empty."""


class Move(enum.StrEnum):
    """How far a move reaches is whose word it is: an operator's over the whole line, a server's over its own turns."""

    FRONT = "front"
    BACK = "back"
    """Behind everybody who waits at that moment, not behind whoever comes later."""
    SERVER_FRONT = "server_front"
    """Takes the next turn that the policy gives to any job of its server, so no other server loses one."""
    SERVER_BACK = "server_back"

    @property
    def to_front(self) -> bool:
        return self in (Move.FRONT, Move.SERVER_FRONT)

    @property
    def server_only(self) -> bool:
        return self in (Move.SERVER_FRONT, Move.SERVER_BACK)
