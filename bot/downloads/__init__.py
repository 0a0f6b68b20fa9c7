"""Model files that are fetched: links understood, bytes taken from hosts that nobody vouches for, files checked before
they become visible, all of it durable."""

from bot.downloads.manager import Downloads
from bot.downloads.records import Download, DownloadState, DownloadWish

__all__ = ["Download", "DownloadState", "DownloadWish", "Downloads"]
