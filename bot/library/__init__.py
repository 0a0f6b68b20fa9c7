"""The model files: found, read, hashed, named, moved."""

from bot.library.arrival import Arrival
from bot.library.files import LibraryFile, RefreshReport, ScanProgress
from bot.library.library import Library

__all__ = ["Arrival", "Library", "LibraryFile", "RefreshReport", "ScanProgress"]
