"""Why a job cannot begin on this machine."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from gpu_worker.protocol.messages import FailureKind

__all__ = ["StockError", "disk_trouble"]


class StockError(Exception):
    """This job cannot have what it needs; its `Failed` is made of this."""

    def __init__(
        self, kind: FailureKind, message: str, detail: Mapping[str, Any] | None = None, *, retryable: bool = False
    ) -> None:
        """`message`: for the log; `detail`: what the user's sentence may show; `retryable`: another machine, or another
        time, may do."""
        super().__init__(message)
        self.kind: FailureKind = kind
        self.detail = dict(detail or {})
        self.retryable = retryable
        self.no_room = False
        """The disk itself took no more: nothing else would find room there just now, either."""


def disk_trouble(error: OSError) -> StockError:
    """What this machine's disk says, as the end of an attempt."""
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    trouble = StockError("disk_full" if full else "other", f"this machine's disk: {error}", retryable=True)
    trouble.no_room = full
    return trouble
