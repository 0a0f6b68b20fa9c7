"""The one HTTP client that talks to hosts which nobody vouches for."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from bot.downloads.addresses import AddressPolicy, PublicAddresses

__all__ = ["Tokens", "Web", "WebRules"]


@dataclass(frozen=True, slots=True)
class Tokens:
    civitai: SecretStr = field(default_factory=lambda: SecretStr(""))
    huggingface: SecretStr = field(default_factory=lambda: SecretStr(""))


@dataclass(frozen=True, slots=True)
class WebRules:
    """The origins are those that tokens are sent to, and whose pages are understood."""

    addresses: AddressPolicy = field(default_factory=PublicAddresses)
    allow_http: bool = False
    civitai: str = "https://civitai.com"
    huggingface: str = "https://huggingface.co"


class Web:
    """`async with Web(WebRules(), Tokens()) as web:`"""

    def __init__(self, rules: WebRules, tokens: Tokens) -> None:
        self.rules = rules
        self._tokens = tokens

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """May be called more than once."""
