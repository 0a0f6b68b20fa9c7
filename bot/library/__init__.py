"""The model files: found, read, hashed, named, moved."""

from bot.library.files import LibraryFile, RefreshReport, ScanProgress
from bot.library.library import Library

__all__ = ["Library", "LibraryFile", "RefreshReport", "ScanProgress"]
