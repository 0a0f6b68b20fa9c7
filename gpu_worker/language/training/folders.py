"""Folders of a data set: `10_mychar` is "each picture ten times, mychar where it has no caption" (behaviours §24.1)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FolderName", "read_folder_name"]


@dataclass(frozen=True)
class FolderName:
    repeats: int
    class_tokens: str

    @property
    def used(self) -> bool:
        """A folder without a whole number of at least 1 in front is passed over."""
        return self.repeats >= 1


def read_folder_name(name: str) -> FolderName:
    """What stands before the first `_`, and after it. Never raises."""
    number, _, tokens = name.partition("_")
    try:
        return FolderName(int(number), tokens)
    except ValueError:
        return FolderName(0, "")
