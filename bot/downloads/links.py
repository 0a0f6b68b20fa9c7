"""What people paste: addresses of files, pages of Civitai, files on Hugging Face."""

from __future__ import annotations

from dataclasses import dataclass

from bot.downloads.sources import Source
from bot.downloads.web import Web

__all__ = ["Link", "parse_links", "resolve"]


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    """Cleaned: no fragment, no token."""


def parse_links(text: str) -> list[Link]:
    """Links separated by commas or white space, each once. Raises UserFacingError."""
    raise NotImplementedError


async def resolve(link: Link, web: Web) -> Source:
    """Asks the host what the link stands for. Raises UserFacingError."""
    raise NotImplementedError
