"""Where a training is, on the disk: written as a whole or not at all, so that it goes on after any death."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

__all__ = ["Snapshots", "kept_step", "write_whole"]

KEPT = 2
"""The one before the last is read where the last is damaged."""
_NAME = re.compile(r"state-(\d{8,})\.pt")
_FORMAT = 1


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """`path` is its old self until all of the new one is on the disk. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def kept_step(folder: Path) -> int:
    """Steps that are done in the newest state there; 0 where there is none."""
    return next((step for step, _ in _states(folder)), 0)


class Snapshots:
    """Of one training, in a folder of its own. What belongs to another spec is never read."""

    def __init__(self, folder: Path, spec_hash: str) -> None:
        self._folder = folder
        self._spec = spec_hash
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".writing-*"):  # of a death while writing
            left.unlink(missing_ok=True)

    def keep(self, step: int, state: dict[str, Any]) -> None:
        """Durable when it returns. Raises OSError."""
        whole = {"format": _FORMAT, "spec": self._spec, "step": step, **state}
        try:
            write_whole(self._folder / f"state-{step:08d}.pt", lambda file: torch.save(whole, file))
        except RuntimeError as error:  # what torch makes of a write that failed
            raise OSError(str(error)) from error
        for _, path in self._found()[KEPT:]:
            with contextlib.suppress(OSError):
                path.unlink()

    def newest(self) -> tuple[dict[str, Any] | None, bool]:
        """The last whole one of this training, and whether there is one of another."""
        foreign = False
        for _, path in self._found():
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
                continue
            if isinstance(state, dict) and state.get("format") == _FORMAT:
                if state.get("spec") == self._spec:
                    return state, False
                foreign = True
        return None, foreign

    def clear(self) -> None:
        for _, path in self._found():
            with contextlib.suppress(OSError):
                path.unlink()

    def _found(self) -> list[tuple[int, Path]]:
        return _states(self._folder)


def _states(folder: Path) -> list[tuple[int, Path]]:
    """Newest first."""
    named = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted(((int(match[1]), path) for match, path in named if match), reverse=True)
