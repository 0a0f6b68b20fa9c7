"""What people paste: addresses of files, pages of Civitai, files on Hugging Face."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yarl import URL

from bot.domain.mentions import spoken
from bot.downloads import civitai, huggingface
from bot.downloads.sources import Source
from bot.downloads.web import Web
from bot.errors import UserFacingError

__all__ = ["LINKS_MAX", "Link", "parse_links", "resolve"]

LINKS_MAX = 20
LINK_CHARS_MAX = 2000
_BETWEEN = re.compile(r"[,;]*\s+[,;\s]*|[,;]+(?=(?:https?://|urn:air:))", re.IGNORECASE)
"""A comma may be part of an address; before another one it is not."""
_BARE = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}/\S+", re.IGNORECASE)
_AIR = re.compile(r"urn:air:[\w-]+:[\w-]+:civitai:(\d+)@(\d+)(?:\.\w+)?", re.IGNORECASE)
_SECRETS = ("token", "api_key", "apikey", "access_token")
"""Ours is sent where it belongs; one in a link would be stored and shown."""
_HOSTS = {
    "civitai.com": "civitai.com", "www.civitai.com": "civitai.com", "huggingface.co": "huggingface.co",
    "www.huggingface.co": "huggingface.co", "hf.co": "huggingface.co", "github.com": "github.com",
}  # fmt: skip
_GITHUB_PAGE = re.compile(r"(/[^/]+/[^/]+)/blob/(.+)")


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    """Cleaned: no fragment, no token."""


def parse_links(text: str) -> list[Link]:
    """Links separated by commas or white space, each once, in the order given.

    Raises UserFacingError: `download_no_link`, `download_link`, `download_many_links`, `download_with_password`.
    """
    words = [word.strip("<>,;\"'`") for word in _BETWEEN.split(text.strip())]
    links = list(dict.fromkeys(_link(word) for word in words if word))
    if not links:
        raise UserFacingError("download_no_link")
    if len(links) > LINKS_MAX:
        raise UserFacingError("download_many_links", limit=LINKS_MAX)
    return links


async def resolve(link: Link, web: Web) -> Source:
    """Asks the host what the link stands for; of any other host's link only the address is known. Raises
    UserFacingError."""
    url = URL(link.url, encoded=True)
    if web.is_civitai(url):
        return await civitai.resolve(url, web)
    if web.is_huggingface(url):
        return await huggingface.resolve(url, web)
    page = _GITHUB_PAGE.fullmatch(url.raw_path) if url.host == "github.com" else None
    if page is not None:
        url = url.with_path(f"{page[1]}/raw/{page[2]}", encoded=True)
    # Without its query, which may be a signature.
    return Source(urls=(str(url),), page=str(url.with_query(None)))


def _link(word: str) -> Link:
    if air := _AIR.fullmatch(word):
        return Link(f"https://civitai.com/models/{air[1]}?modelVersionId={air[2]}")
    if _BARE.fullmatch(word):
        word = f"https://{word}"
    shown = spoken(word.partition("?")[0])
    url = _url(word)
    if url is None or len(word) > LINK_CHARS_MAX:
        raise UserFacingError("download_link", link=shown)
    host = url.host or ""
    if url.user is not None or url.password is not None:
        raise UserFacingError("download_with_password", host=host)
    known = _HOSTS.get(host.rstrip("."))
    if known is not None and url.is_default_port():
        url = url.with_scheme("https").with_host(known)
    secrets = [name for name in url.query if name.lower() in _SECRETS]
    if known is None and not secrets and word.isascii():
        return Link(word.partition("#")[0])  # to the letter: it may be signed
    return Link(str(url.without_query_params(*secrets).with_fragment(None)))


def _url(word: str) -> URL | None:
    """None where it is none of the web's."""
    try:
        url = URL(word)
        # Host and port are read only when they are asked for, and refused then.
        return url if url.scheme in ("http", "https") and url.host and url.port is not None else None
    except ValueError:
        return None
