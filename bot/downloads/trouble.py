"""How a download fails. UserFacingError itself: this address will not do, another may.

UserFacingError
├── PassingError   what may be over in a while: the same address is tried again
└── FinalError     no other address would help
"""

from __future__ import annotations

from bot.domain.amounts import size_text as amount
from bot.errors import UserFacingError

__all__ = ["FinalError", "PassingError", "amount"]


class PassingError(UserFacingError):
    def __init__(self, key: str, *, retry_after_s: float | None = None, **values: object) -> None:
        """`retry_after_s` is what the host itself asked for."""
        super().__init__(key, **values)
        self.retry_after_s = retry_after_s


class FinalError(UserFacingError):
    """Disk, limits, time."""
